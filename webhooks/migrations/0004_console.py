"""What the console looks for, each found along an index."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("webhooks", "0003_next_turn_at"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterField(
            model_name="auditentry",
            name="action",
            field=models.CharField(
                choices=[
                    ("viewed_payload", "saw a payload"),
                    ("replayed", "sent again"),
                    ("hastened", "had tried at once"),
                    ("recovered", "recovered what was missed"),
                    ("exported", "exported"),
                    ("forgot", "erased a data subject's data"),
                    ("pruned", "pruned"),
                    ("created", "created a webhook"),
                    ("changed", "changed a webhook"),
                    ("paused", "paused a webhook"),
                    ("disabled", "disabled a webhook"),
                    ("resumed", "resumed a webhook"),
                    ("deleted", "deleted a webhook"),
                    ("rotated_secret", "changed a secret"),
                    ("expired_secrets", "ended old secrets"),
                    ("tested", "sent a test"),
                ],
                max_length=20,
                verbose_name="action",
            ),
        ),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(
                condition=models.Q(("error", ""), _negated=True),
                fields=["id"],
                name="webhooks_attempt_failed",
            ),
        ),
        migrations.AddIndex(
            model_name="auditentry",
            index=models.Index(fields=["actor", "id"], name="webhooks_audit_actor"),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("last_error", ""), _negated=True),
                fields=["webhook", "id"],
                name="webhooks_delivery_failing",
            ),
        ),
    ]
