import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import crm_common.validators


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("clientes", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Tarefa",
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
                ("titulo", models.CharField(max_length=200, verbose_name="title")),
                (
                    "descricao",
                    models.TextField(
                        blank=True,
                        max_length=10000,
                        validators=[
                            django.core.validators.MaxLengthValidator(10000),
                            crm_common.validators.validate_text_size,
                        ],
                        verbose_name="description",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("PENDENTE", "Pending"),
                            ("EM_ANDAMENTO", "In progress"),
                            ("CONCLUIDA", "Done"),
                            ("CANCELADA", "Cancelled"),
                        ],
                        default="PENDENTE",
                        max_length=20,
                        verbose_name="status",
                    ),
                ),
                (
                    "prioridade",
                    models.CharField(
                        choices=[
                            ("BAIXA", "Low"),
                            ("MEDIA", "Medium"),
                            ("ALTA", "High"),
                            ("URGENTE", "Urgent"),
                        ],
                        default="MEDIA",
                        max_length=20,
                        verbose_name="priority",
                    ),
                ),
                (
                    "data_vencimento",
                    models.DateTimeField(blank=True, null=True, verbose_name="due"),
                ),
                (
                    "data_conclusao",
                    models.DateTimeField(
                        blank=True, editable=False, null=True, verbose_name="done at"
                    ),
                ),
                (
                    "cliente",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="tarefas",
                        to="clientes.cliente",
                        verbose_name="client",
                    ),
                ),
                (
                    "responsavel",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="tarefas",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="responsible",
                    ),
                ),
            ],
            options={
                "verbose_name": "task",
                "verbose_name_plural": "tasks",
                "indexes": [
                    models.Index(fields=["status", "data_vencimento"], name="tarefa_status_due"),
                    models.Index(fields=["data_vencimento"], name="tarefa_due"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("data_conclusao__isnull", False), ("status", "CONCLUIDA")),
                            models.Q(
                                models.Q(("status", "CONCLUIDA"), _negated=True),
                                ("data_conclusao__isnull", True),
                            ),
                            _connector="OR",
                        ),
                        name="tarefa_done_has_its_date",
                        violation_error_message="A task has a date of completion when it is done.",
                    )
                ],
            },
        ),
    ]
