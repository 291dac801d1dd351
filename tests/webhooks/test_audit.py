"""What is recorded of who did what, and that it stays."""

from __future__ import annotations

from io import StringIO

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.management import call_command
from django.db import transaction
from django.http import HttpResponse
from django.test import RequestFactory

from tests.webhooks.makers import SECRET, a_delivery, a_webhook, ago, an_event, receiver
from webhooks import audit, context, operations
from webhooks.middleware import OriginMiddleware
from webhooks.models import AuditEntry, Delivery

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

Action = AuditEntry.Action


def in_a_request(user: object, action: str = Action.REPLAYED) -> AuditEntry:
    request = RequestFactory().get("/")
    request.user = user  # type: ignore[assignment]

    def view(_request: object) -> HttpResponse:
        audit.record(action, subject="evt_1", count=3, detail="by hand")
        return HttpResponse()

    OriginMiddleware(view)(request)  # type: ignore[arg-type]
    return AuditEntry.objects.latest("id")


def test_an_entry_says_who_did_what_to_what() -> None:
    user = User.objects.create_user("ana")
    entry = in_a_request(user)
    assert (entry.user, entry.actor, entry.origin) == (user, f"usuario_{user.pk}", "user")
    assert (entry.action, entry.subject, entry.count) == ("replayed", "evt_1", 3)
    assert entry.detail == "by hand"
    assert "evt_1" in str(entry)


def test_without_a_user_the_surroundings_say_who() -> None:
    assert in_a_request(AnonymousUser()).user is None
    with context.acting("command", "webhooks_replay"):
        entry = audit.record(Action.REPLAYED)
    assert (entry.user, entry.actor, entry.origin) == (None, "webhooks_replay", "command")


def test_a_user_given_is_named_even_outside_of_requests() -> None:
    user = User.objects.create_user("ana")
    assert audit.record(Action.EXPORTED, user=user).actor == f"usuario_{user.pk}"


def test_an_unknown_action_is_refused() -> None:
    with pytest.raises(ValueError, match="peeked"):
        audit.record("peeked")


def test_it_is_rolled_back_with_what_it_tells_of() -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        audit.record(Action.PAUSED)
        raise RuntimeError
    assert not AuditEntry.objects.exists()


def test_what_is_stopped_half_way_is_recorded_with_what_was_done() -> None:
    with pytest.raises(KeyboardInterrupt), audit.counted(Action.REPLAYED) as tally:
        tally.count += 500
        raise KeyboardInterrupt
    assert AuditEntry.objects.get().count == 500
    with audit.counted(Action.REPLAYED):
        pass
    assert AuditEntry.objects.count() == 1


def test_entries_are_neither_changed_nor_deleted() -> None:
    entry = audit.record(Action.CREATED)
    entry.detail = "nothing happened"
    for forbidden in (
        entry.save,
        entry.delete,
        AuditEntry.objects.all().delete,
        lambda: AuditEntry.objects.update(detail=""),
        lambda: AuditEntry.objects.bulk_update([entry], ["detail"]),
    ):
        with pytest.raises(TypeError, match="Audit entries"), transaction.atomic():
            forbidden()
    assert AuditEntry.objects.get().detail == ""


def test_it_outlives_the_users_row() -> None:
    user = User.objects.create_user("ana")
    entry = in_a_request(user)
    user.delete()
    entry = AuditEntry.objects.get()
    assert entry.user is None
    assert entry.actor.startswith("usuario_")


def test_nobody_can_be_given_a_permission_to_change_it(django_user_model: type[User]) -> None:
    from django.contrib.auth.models import Permission

    granted = Permission.objects.filter(content_type__model="auditentry")
    assert [each.codename for each in granted] == ["view_auditentry"]


# --- what is recorded without being asked for ---------------------------------------------------
def actions() -> list[tuple[str, str, int | None]]:
    rows = AuditEntry.objects.order_by("id").values_list("action", "subject", "count")
    return [(action, subject, count) for action, subject, count in rows]


def test_a_webhooks_life_is_recorded() -> None:
    webhook, _secret = operations.create_webhook(
        name="ERP", url="http://127.0.0.1:9/", events=["cliente.*"]
    )
    operations.update_webhook(webhook, name="Loja")
    operations.update_webhook(webhook, name="Loja")  # changes nothing
    operations.pause(webhook, "maintenance")
    operations.resume(webhook)
    operations.rotate_secret(webhook)
    operations.expire_old_keys(webhook)
    operations.disable(webhook, "it fails")
    operations.delete_webhook(webhook)
    name = f"webhook_{webhook.pk}"
    assert actions() == [
        ("created", name, None),
        ("changed", name, None),
        ("paused", name, None),
        ("resumed", name, None),
        ("rotated_secret", name, None),
        ("expired_secrets", name, 1),
        ("disabled", name, None),
        ("deleted", name, None),
    ]
    assert AuditEntry.objects.get(action="changed").detail == "name"


def test_sending_again_is_recorded_once_with_how_many() -> None:
    webhook = a_webhook()
    one, two = a_delivery(webhook), a_delivery(webhook, at=ago(days=2))
    operations.replay(operations.replayable(operations.ReplayFilter(ids=(one.pk,))))
    assert actions() == [("replayed", f"delivery_{one.pk}", 1)]
    three = a_delivery(webhook)
    operations.replay(operations.replayable(), batch_size=1)
    assert actions()[1:] == [("replayed", "", 2)]
    detail = AuditEntry.objects.latest("id").detail
    assert detail == f"delivery_{two.pk}, delivery_{three.pk}"
    operations.replay(operations.replayable())
    assert len(actions()) == 2


def test_of_many_the_first_are_named() -> None:
    webhook = a_webhook()
    for _ in range(25):
        a_delivery(webhook)
    operations.replay(operations.replayable(), batch_size=10)
    entry = AuditEntry.objects.get()
    assert entry.count == 25
    assert entry.detail.count("delivery_") == 20
    assert entry.detail.endswith("…")


def test_recovering_is_recorded_as_such_alone() -> None:
    webhook = a_webhook(events=["*"])
    a_delivery(webhook, at=ago(hours=1))
    an_event(occurred_at=ago(hours=1))
    operations.recover(webhook, ago(days=1), dry_run=True)
    assert actions() == []
    operations.recover(webhook, ago(days=1))
    assert actions() == [("recovered", f"webhook_{webhook.pk}", 2)]


@pytest.mark.django_db(transaction=True)
def test_a_test_is_recorded() -> None:
    with receiver() as (url, _got):
        webhook = a_webhook(url=url)
        operations.send_test(webhook)
    assert actions() == [("tested", f"webhook_{webhook.pk}", None)]


def test_the_command_names_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "maria")
    a_delivery(a_webhook())
    call_command("webhooks_replay", "--yes", stdout=StringIO())
    entry = AuditEntry.objects.get()
    assert (entry.origin, entry.actor) == ("command", "webhooks_replay (maria)")
    assert Delivery.objects.get().status == Delivery.Status.PENDING


def test_no_entry_holds_a_secret() -> None:
    webhook, secret = operations.create_webhook(
        name="ERP",
        url="http://127.0.0.1:9/",
        events=["*"],
        secret=SECRET,
        headers={"X-Chave": "valor-da-chave"},
        auth_type="bearer",
        auth_secret="token-do-bearer",
    )
    operations.update_webhook(webhook, auth_secret="outro-token", headers={"X-Chave": "outra"})
    new = operations.rotate_secret(webhook)
    kept = str(list(AuditEntry.objects.values_list()))
    for plain in (secret, new, "valor-da-chave", "token-do-bearer", "outro-token", "outra"):
        assert plain not in kept
