"""Every filter, order and search of the list of clients along an index."""

from django.db import migrations, models
from django.db.models.functions import Upper

from crm_common.search import words_index


class Migration(migrations.Migration):
    dependencies = [
        ("clientes", "0002_document_taken_is_unique"),
    ]

    operations = [
        migrations.AlterField(
            model_name="cliente",
            name="updated_at",
            field=models.DateTimeField(auto_now=True, db_index=True, verbose_name="updated at"),
        ),
        migrations.AddIndex(
            model_name="cliente",
            index=models.Index(Upper("email"), name="cliente_email_upper"),
        ),
        migrations.AddIndex(
            model_name="cliente",
            index=models.Index(
                Upper("origem"), models.F("created_at"), models.F("id"), name="cliente_origem_upper"
            ),
        ),
        migrations.AddIndex(
            model_name="cliente",
            index=models.Index(
                condition=models.Q(("nao_perturbe", True)),
                fields=["created_at", "id"],
                name="cliente_nao_perturbe",
            ),
        ),
        *words_index(
            "clientes_cliente",
            "cliente_words",
            texts=["nome", "email", "empresa"],
            exact=["telefone", "documento"],
        ),
    ]
