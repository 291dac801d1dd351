"""Replays become one kind of job among several, each with a fence for its lease."""

from collections.abc import Callable
from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps


def _rename_permission(before: str, after: str) -> migrations.RunPython:
    """What people may see stays what they may see: renaming a model leaves its permissions."""

    def rename(one: str, other: str, name: str) -> Callable[[StateApps, Any], None]:
        def run(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
            database = schema_editor.connection.alias
            permissions = apps.get_model("auth", "Permission").objects.using(database)
            permissions.filter(content_type__app_label="webhooks", codename=f"view_{one}").update(
                codename=f"view_{other}", name=name
            )

        return run

    return migrations.RunPython(
        rename(before, after, "Can view job"), rename(after, before, "Can view replay")
    )


class Migration(migrations.Migration):
    dependencies = [
        ("webhooks", "0006_event_indexes"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RenameModel("ReplayJob", "BulkJob"),
        _rename_permission("replayjob", "bulkjob"),
        migrations.AlterModelOptions(
            name="bulkjob",
            options={
                "default_permissions": ("view",),
                "ordering": ("-id",),
                "verbose_name": "job",
                "verbose_name_plural": "jobs",
            },
        ),
        migrations.RenameIndex(
            model_name="bulkjob",
            new_name="webhooks_bulkjob_running",
            old_name="webhooks_replayjob_running",
        ),
        migrations.RenameField("bulkjob", "sent", "changed"),
        migrations.AlterField(
            model_name="bulkjob",
            name="changed",
            field=models.PositiveBigIntegerField(default=0, verbose_name="changed"),
        ),
        migrations.AddField(
            model_name="bulkjob",
            name="fence",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="bulkjob",
            name="kind",
            field=models.CharField(
                choices=[
                    ("replay", "send again"),
                    ("recover", "recover what was missed"),
                    ("park", "park what waits"),
                    ("release", "release what waited"),
                    ("cancel", "cancel what waits"),
                ],
                default="replay",
                max_length=10,
                verbose_name="kind",
            ),
        ),
        migrations.AddField(
            model_name="bulkjob",
            name="passed_over",
            field=models.PositiveBigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="bulkjob",
            name="webhook",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="jobs",
                to="webhooks.webhook",
                verbose_name="webhook",
            ),
        ),
        migrations.AlterField(
            model_name="bulkjob",
            name="chosen",
            field=models.JSONField(default=dict, verbose_name="chosen"),
        ),
        migrations.AlterField(
            model_name="bulkjob",
            name="rate",
            field=models.PositiveIntegerField(null=True, verbose_name="deliveries per second"),
        ),
        migrations.AlterField(
            model_name="bulkjob",
            name="state",
            field=models.CharField(
                choices=[
                    ("running", "running"),
                    ("stopped", "stopped"),
                    ("superseded", "superseded"),
                    ("done", "done"),
                ],
                default="running",
                max_length=10,
                verbose_name="state",
            ),
        ),
        migrations.AlterField(
            model_name="bulkjob",
            name="total",
            field=models.PositiveBigIntegerField(default=0, verbose_name="total"),
        ),
        migrations.AddConstraint(
            model_name="bulkjob",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "running")),
                fields=("webhook",),
                name="webhooks_bulkjob_one",
            ),
        ),
    ]
