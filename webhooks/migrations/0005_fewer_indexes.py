"""Drop the indexes of foreign keys that lead another index: each costs every claim and record.

And keep what a worker's machine is short of.
"""

import django.db.models.deletion
from django.db import migrations, models

REPEATED = (("delivery", "event_id"), ("delivery", "webhook_id"), ("tally", "webhook_id"))


def drop(apps, schema_editor):
    """Just the indexes. `AlterField` makes the constraint anew, which reads and locks the table."""
    for name, column in REPEATED:
        table = apps.get_model("webhooks", name)._meta.db_table
        with schema_editor.connection.cursor() as cursor:
            found = schema_editor.connection.introspection.get_constraints(cursor, table)
        for index, about in found.items():
            if about["index"] and about["columns"] == [column] and not about["unique"]:
                schema_editor.execute(f"DROP INDEX {schema_editor.quote_name(index)}")


def create(apps, schema_editor):
    for name, column in REPEATED:
        model = apps.get_model("webhooks", name)
        [field] = [field for field in model._meta.local_fields if field.column == column]
        schema_editor.execute(schema_editor._create_index_sql(model, fields=[field]))


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0004_console")]

    operations = [
        # Nullable: workers of the version before go on writing their rows.
        migrations.AddField(
            model_name="worker",
            name="shortage",
            field=models.CharField(max_length=200, null=True, verbose_name="shortage"),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(drop, create)],
            state_operations=[
                migrations.AlterField(
                    model_name="delivery",
                    name="event",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="webhooks.event",
                        verbose_name="event",
                    ),
                ),
                migrations.AlterField(
                    model_name="delivery",
                    name="webhook",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="deliveries",
                        to="webhooks.webhook",
                        verbose_name="webhook",
                    ),
                ),
                migrations.AlterField(
                    model_name="tally",
                    name="webhook",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="tallies",
                        to="webhooks.webhook",
                        verbose_name="webhook",
                    ),
                ),
            ],
        ),
    ]
