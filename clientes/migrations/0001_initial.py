import django.core.validators
import django.utils.timezone
from django.db import migrations, models

import clientes.fields
import clientes.validators
import crm_common.validators


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.CreateModel(
            name="Cliente",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_index=True,
                        default=django.utils.timezone.now,
                        editable=False,
                        verbose_name="created at",
                    ),
                ),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="updated at")),
                ("nome", models.CharField(max_length=200, verbose_name="name")),
                ("email", models.EmailField(blank=True, max_length=254, verbose_name="e-mail")),
                (
                    "telefone",
                    clientes.fields.PhoneField(
                        blank=True,
                        help_text="With the area code; with + and the country code outside Brazil.",
                        max_length=16,
                        verbose_name="telephone",
                    ),
                ),
                (
                    "documento",
                    clientes.fields.DocumentField(
                        blank=True,
                        help_text="With or without punctuation.",
                        max_length=14,
                        verbose_name="CPF or CNPJ",
                    ),
                ),
                ("empresa", models.CharField(blank=True, max_length=200, verbose_name="company")),
                (
                    "origem",
                    models.CharField(
                        blank=True,
                        help_text="Where the client came from.",
                        max_length=100,
                        verbose_name="source",
                    ),
                ),
                (
                    "etiquetas",
                    clientes.fields.CheckedJSONField(
                        blank=True,
                        default=list,
                        validators=[clientes.validators.validate_tags],
                        verbose_name="tags",
                    ),
                ),
                (
                    "nao_perturbe",
                    models.BooleanField(
                        default=False,
                        help_text="The client asked not to be contacted.",
                        verbose_name="do not disturb",
                    ),
                ),
                (
                    "campos_personalizados",
                    clientes.fields.CheckedJSONField(
                        blank=True,
                        default=dict,
                        help_text='A JSON object, like {"plano": "ouro"}.',
                        validators=[clientes.validators.validate_custom_fields],
                        verbose_name="custom fields",
                    ),
                ),
                (
                    "observacoes",
                    models.TextField(
                        blank=True,
                        max_length=10000,
                        validators=[
                            django.core.validators.MaxLengthValidator(10000),
                            crm_common.validators.validate_text_size,
                        ],
                        verbose_name="notes",
                    ),
                ),
            ],
            options={
                "verbose_name": "client",
                "verbose_name_plural": "clients",
                "indexes": [
                    models.Index(fields=["nome"], name="cliente_nome"),
                    models.Index(fields=["telefone"], name="cliente_telefone"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("documento", ""), _negated=True),
                        fields=("documento",),
                        name="cliente_documento_unique",
                        violation_error_message="There is a client with this CPF or CNPJ already.",
                    )
                ],
            },
        ),
    ]
