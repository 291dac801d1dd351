"""The order by the last change, and searches, along an index."""

from django.db import migrations, models

from crm_common.search import latest_first_index, words_index


class Migration(migrations.Migration):
    dependencies = [
        ("tarefas", "0001_initial"),
    ]

    operations = [
        migrations.AlterField(
            model_name="tarefa",
            name="updated_at",
            field=models.DateTimeField(auto_now=True, db_index=True, verbose_name="updated at"),
        ),
        migrations.AddIndex(
            model_name="tarefa",
            index=models.Index(fields=["titulo", "id"], name="tarefa_titulo"),
        ),
        latest_first_index("tarefas_tarefa", "tarefa_due_last", "data_vencimento"),
        *words_index("tarefas_tarefa", "tarefa_words", texts=["titulo", "descricao"]),
    ]
