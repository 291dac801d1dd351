"""Events by who did them and by where they came from, each along an index."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("webhooks", "0005_fewer_indexes"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="event",
            index=models.Index(
                condition=models.Q(("actor__gt", "")),
                fields=["actor", "id"],
                name="webhooks_event_actor",
            ),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(fields=["origin", "id"], name="webhooks_event_origin"),
        ),
    ]
