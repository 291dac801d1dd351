"""How PostgreSQL records one event; outbox.py calls it in every save."""

from django.db import migrations

CREATE = """
CREATE FUNCTION webhooks_record_event(
    _id uuid, _type text, _subject text, _data_subject text, _occurred_at timestamptz, _body text,
    _snapshot text, _origin text, _actor text, _only_webhook uuid, _traceparent text
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    _sequence bigint := 0;
BEGIN
    IF _subject <> '' THEN
        -- The row stays locked until the commit: sequences rise in the order of commits.
        INSERT INTO webhooks_subject AS counter (id, last_sequence) VALUES (_subject, 1)
        ON CONFLICT (id) DO UPDATE SET last_sequence = counter.last_sequence + 1
        RETURNING last_sequence INTO _sequence;
    END IF;
    INSERT INTO webhooks_event (
        id, type, subject, data_subject, occurred_at, body, snapshot, origin, actor,
        only_webhook_id, traceparent, sequence, fanned_out
    ) VALUES (
        _id, _type, _subject, _data_subject, _occurred_at, _body, _snapshot, _origin, _actor,
        _only_webhook, _traceparent, _sequence, false
    );
END $$
"""
DROP = "DROP FUNCTION webhooks_record_event"


def create(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(CREATE, params=None)


def drop(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(DROP, params=None)


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0001_initial")]

    operations = [migrations.RunPython(create, drop)]
