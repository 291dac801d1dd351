"""The order by the last change, and searches, along an index."""

from django.db import migrations, models

from crm_common.search import latest_first_index, words_index


class Migration(migrations.Migration):
    dependencies = [
        ("chamados", "0001_initial"),
    ]

    operations = [
        migrations.AlterField(
            model_name="chamado",
            name="updated_at",
            field=models.DateTimeField(auto_now=True, db_index=True, verbose_name="updated at"),
        ),
        migrations.AlterField(
            model_name="departamento",
            name="updated_at",
            field=models.DateTimeField(auto_now=True, db_index=True, verbose_name="updated at"),
        ),
        migrations.AddIndex(
            model_name="chamado",
            index=models.Index(fields=["data_resolucao"], name="chamado_resolved"),
        ),
        migrations.AddIndex(
            model_name="chamado",
            index=models.Index(fields=["titulo", "id"], name="chamado_titulo"),
        ),
        latest_first_index("chamados_chamado", "chamado_resolved_last", "data_resolucao"),
        *words_index("chamados_chamado", "chamado_words", texts=["titulo", "descricao"]),
    ]
