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
            name="Departamento",
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
                ("nome", models.CharField(max_length=100, unique=True, verbose_name="name")),
                (
                    "descricao",
                    models.CharField(blank=True, max_length=500, verbose_name="description"),
                ),
            ],
            options={
                "verbose_name": "department",
                "verbose_name_plural": "departments",
            },
        ),
        migrations.CreateModel(
            name="Chamado",
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
                            ("ABERTO", "Open"),
                            ("EM_ANDAMENTO", "In progress"),
                            ("RESOLVIDO", "Resolved"),
                            ("FECHADO", "Closed"),
                        ],
                        default="ABERTO",
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
                    "data_resolucao",
                    models.DateTimeField(
                        blank=True, editable=False, null=True, verbose_name="resolved at"
                    ),
                ),
                (
                    "cliente",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="chamados",
                        to="clientes.cliente",
                        verbose_name="client",
                    ),
                ),
                (
                    "usuario_resolucao",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="chamados_resolvidos",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="resolved by",
                    ),
                ),
                (
                    "departamento",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="chamados",
                        to="chamados.departamento",
                        verbose_name="department",
                    ),
                ),
            ],
            options={
                "verbose_name": "ticket",
                "verbose_name_plural": "tickets",
            },
        ),
        migrations.CreateModel(
            name="Resposta",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "mensagem",
                    models.TextField(
                        max_length=10000,
                        validators=[
                            django.core.validators.MaxLengthValidator(10000),
                            crm_common.validators.validate_text_size,
                        ],
                        verbose_name="message",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        default=django.utils.timezone.now, editable=False, verbose_name="created at"
                    ),
                ),
                (
                    "chamado",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="respostas",
                        to="chamados.chamado",
                        verbose_name="ticket",
                    ),
                ),
                (
                    "usuario",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="respostas",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
            ],
            options={
                "verbose_name": "reply",
                "verbose_name_plural": "replies",
                "ordering": ("pk",),
            },
        ),
        migrations.AddIndex(
            model_name="chamado",
            index=models.Index(fields=["status", "created_at"], name="chamado_status_created"),
        ),
        migrations.AddConstraint(
            model_name="chamado",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("status", "FECHADO"),
                    models.Q(("data_resolucao__isnull", False), ("status", "RESOLVIDO")),
                    models.Q(
                        models.Q(("status__in", ("RESOLVIDO", "FECHADO")), _negated=True),
                        ("data_resolucao__isnull", True),
                    ),
                    _connector="OR",
                ),
                name="chamado_resolved_has_its_date",
                violation_error_message="A ticket has a date of resolution when it is resolved.",
            ),
        ),
    ]
