from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("clientes", "0001_initial"),
    ]

    operations = [
        migrations.AlterConstraint(
            model_name="cliente",
            name="cliente_documento_unique",
            constraint=models.UniqueConstraint(
                condition=models.Q(("documento", ""), _negated=True),
                fields=("documento",),
                name="cliente_documento_unique",
                violation_error_code="unique",
                violation_error_message="There is a client with this CPF or CNPJ already.",
            ),
        ),
    ]
