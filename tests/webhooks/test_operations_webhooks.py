"""A webhook's life, from one door for admin, commands and API."""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connections, transaction
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from tests.services.base import PATIENCE
from tests.webhooks.makers import SECRET, a_delivery, a_webhook, lose_the_encryption_key
from webhooks import batches, operations
from webhooks.batches import update_in_batches
from webhooks.fields import MASK
from webhooks.models import Delivery, SigningKey, Webhook
from webhooks.queue import queue_on

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

GOOD = {"name": "ERP", "url": "http://127.0.0.1:8001/webhook", "events": ["cliente.*"]}


def create(**changes: object) -> tuple[Webhook, str]:
    return operations.create_webhook(**{**GOOD, **changes})  # type: ignore[arg-type]


def refusal(**changes: object) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as caught:
        create(**changes)
    assert not Webhook.objects.exists()
    return caught.value.message_dict


def test_creation_answers_a_new_secret_and_keeps_it_sealed() -> None:
    webhook, secret = create()

    assert secret.startswith("whsec_")
    key = webhook.signing_keys.get()
    assert key.secret.reveal() == secret
    assert secret not in str(key.secret) + repr(key.secret) + key.secret.token


def test_a_secret_of_ones_own_is_taken_as_it_is() -> None:
    webhook, secret = create(secret="dezesseis letras")
    assert secret == "dezesseis letras"
    assert webhook.signing_keys.get().secret.reveal() == secret


@pytest.mark.parametrize("secret", ["curta", "x" * 257, "com\nquebra de linha"])
def test_a_secret_that_cannot_be_used_is_refused_and_not_repeated(secret: str) -> None:
    messages = refusal(secret=secret)
    assert list(messages) == ["secret"]
    assert secret not in " ".join(messages["secret"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 101),
        ("name", "duas\nlinhas"),
        ("url", ""),
        ("url", "ftp://example.com/"),
        ("url", "http://user:pass@example.com/"),
        ("url", "http://169.254.169.254/latest/meta-data/"),
        ("url", "http://[::ffff:10.0.0.1]/"),
        ("events", []),
        ("events", "cliente.*"),
        ("events", ["cliente.*", 1]),
        ("events", ["cliente criado"]),
        ("events", ["cliente.inexistente"]),
        ("format", "nao-existe"),
        ("headers", {"Host": "example.com"}),
        ("headers", {"X-Nome": "a\r\nX-Outro: b"}),
        ("auth_type", "oauth"),
        ("timeout_seconds", 0),
        ("timeout_seconds", 31),
        ("timeout_seconds", math.nan),
        ("timeout_seconds", "cinco"),
        ("retry_schedule", []),
        ("retry_schedule", [0, -1]),
        ("retry_schedule", [0, "60"]),
        ("rate_limit", 0),
        ("rate_limit", math.inf),
        ("algorithm", "md5"),
        ("name", 7),
        ("url", 7),
        ("url", None),
        ("format", None),
        ("headers", "X-Conta: 7"),
        ("headers", {"X-Conta": 7}),
        ("headers", {"X-Conta": MASK}),
        ("auth_secret", MASK),
        ("auth_type", None),
        ("auth_username", 7),
        ("auth_header_name", "x" * 101),
        ("keep_responses", "talvez"),
        ("rate_limit", []),
        ("retry_schedule", [0, [60]]),
    ],
)
def test_a_wrong_value_is_refused_at_the_door_by_its_field(field: str, value: object) -> None:
    assert list(refusal(**{field: value})) == [field]


def test_everything_that_is_wrong_is_told_at_once() -> None:
    wrong = {"name": "", "url": "nada", "events": [], "timeout_seconds": -1}
    assert set(refusal(**wrong)) == set(wrong)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"auth_type": "basic", "auth_secret": "s"}, "auth_username"),
        ({"auth_type": "basic", "auth_username": "a:b", "auth_secret": "s"}, "auth_username"),
        ({"auth_type": "basic", "auth_username": "ana"}, "auth_secret"),
        ({"auth_type": "bearer"}, "auth_secret"),
        ({"auth_type": "bearer", "auth_secret": "a\nb"}, "auth_secret"),
        ({"auth_type": "header", "auth_secret": "s"}, "auth_header_name"),
        (
            {"auth_type": "header", "auth_secret": "s", "auth_header_name": "Content-Length"},
            "auth_header_name",
        ),
        (
            {"auth_type": "bearer", "auth_secret": "s", "headers": {"authorization": "x"}},
            "headers",
        ),
    ],
)
def test_an_authentication_needs_what_it_sends(values: dict[str, object], field: str) -> None:
    assert list(refusal(**values)) == [field]


def test_what_an_authentication_does_not_use_is_not_kept() -> None:
    webhook, _secret = create(auth_username="ana", auth_secret="segredo", auth_header_name="X-A")
    webhook.refresh_from_db()
    assert (webhook.auth_username, webhook.auth_header_name, bool(webhook.auth_secret)) == (
        "",
        "",
        False,
    )


def test_patterns_are_kept_once_each_in_the_order_given() -> None:
    webhook, _secret = create(events=["*.criado", "cliente.*", "*.criado"])
    assert webhook.events == ["*.criado", "cliente.*"]


def test_a_name_that_does_not_resolve_is_a_warning_and_no_error() -> None:
    webhook = Webhook(**{**GOOD, "url": "http://nao-existe.invalid/webhook"})
    warnings = operations.clean_webhook(webhook)
    assert len(warnings) == 1
    assert "nao-existe.invalid" in warnings[0]


@override_settings(WEBHOOKS={"REQUIRE_HTTPS": True, "ALLOWED_NETWORKS": ["127.0.0.0/8"]})
def test_plain_http_is_refused_where_the_settings_say_so() -> None:
    warnings: list[str] = []
    with pytest.raises(ValidationError):
        operations.clean_url("http://127.0.0.1/", warnings)


@given(url=st.text(max_size=60))
def test_no_text_breaks_the_check_of_an_address(url: str) -> None:
    try:
        operations.clean_url(url, [], resolve=False)
    except ValidationError as error:
        assert all(error.messages)


def test_an_update_changes_what_it_names_and_tells_the_workers() -> None:
    webhook, _secret = create(headers={"X-Conta": "7"})
    changed = operations.update_webhook(webhook, name="Outro", headers={"X-Conta": "8"})

    changed.refresh_from_db()
    assert changed.name == "Outro"
    assert changed.headers.reveal() == {"X-Conta": "8"}
    assert changed.url == GOOD["url"]
    assert changed.version > webhook.version


def test_an_update_that_changes_nothing_leaves_the_version() -> None:
    webhook, _secret = create()
    assert operations.update_webhook(webhook, name="ERP").version == webhook.version


def test_a_wrong_update_changes_nothing() -> None:
    webhook, _secret = create()
    with pytest.raises(ValidationError) as caught:
        operations.update_webhook(webhook, name="Outro", url="http://10.0.0.1/")
    assert list(caught.value.message_dict) == ["url"]
    webhook.refresh_from_db()
    assert webhook.name == "ERP"


def test_an_update_does_not_undo_a_pause_that_came_between() -> None:
    webhook, _secret = create()
    operations.pause(Webhook.objects.get(), "manutenção")
    operations.update_webhook(webhook, name="Outro")
    webhook.refresh_from_db()
    assert (webhook.name, webhook.status) == ("Outro", Webhook.Status.PAUSED)


def test_status_is_not_a_field_to_update() -> None:
    webhook, _secret = create()
    with pytest.raises(TypeError, match="status"):
        operations.update_webhook(webhook, status="paused")


def test_a_pattern_once_accepted_survives_the_removal_of_its_events() -> None:
    webhook = a_webhook(events=["pedido.pago"], url=GOOD["url"])
    assert operations.update_webhook(webhook, name="Outro").events == ["pedido.pago"]


def test_pausing_parks_what_is_pending_and_resuming_brings_it_back() -> None:
    webhook, other = a_webhook(), a_webhook(name="Outro")
    mine = [a_delivery(webhook, status=Delivery.Status.PENDING) for _ in range(3)]
    done = a_delivery(webhook, status=Delivery.Status.DELIVERED)
    theirs = a_delivery(other, status=Delivery.Status.PENDING)

    def lanes() -> list[int]:
        rows = Delivery.objects.filter(pk__in=[row.pk for row in mine]).values_list("lane")
        return [lane for (lane,) in rows]

    paused = operations.pause(webhook, "manutenção")
    assert (paused.status, paused.status_reason) == (Webhook.Status.PAUSED, "manutenção")
    assert lanes() == [Webhook.Lane.PARKED] * 3
    for untouched in (done, theirs):
        untouched.refresh_from_db()
        assert untouched.lane == Webhook.Lane.NORMAL

    resumed = operations.resume(webhook)
    assert (resumed.status, resumed.status_reason) == (Webhook.Status.ACTIVE, "")
    assert resumed.lane == Webhook.Lane.NORMAL
    assert lanes() == [Webhook.Lane.NORMAL] * 3


def test_what_was_parked_after_a_resume_does_not_stay_so() -> None:
    """A worker that had not heard of the resume, or a resume that was killed half-way."""
    resumed, limited, paused = a_webhook(), a_webhook(rate_limit=2), a_webhook(name="Parado")
    for webhook in (resumed, limited, paused):
        a_delivery(webhook, status=Delivery.Status.PENDING)
        operations.pause(webhook)
    for webhook in (resumed, limited):
        operations.resume(webhook)
    Delivery.objects.update(lane=Webhook.Lane.PARKED)

    assert queue_on().mend_parked() == 2
    assert resumed.deliveries.get().lane == Webhook.Lane.NORMAL
    assert limited.deliveries.get().lane == Webhook.Lane.TROUBLED
    assert paused.deliveries.get().lane == Webhook.Lane.PARKED


def test_more_than_a_batch_is_parked() -> None:
    webhook = a_webhook()
    for _ in range(7):
        a_delivery(webhook, status=Delivery.Status.PENDING)
    changed = update_in_batches(webhook.deliveries.filter(lane=0), {"lane": 2}, batch_size=3)
    assert changed == 7
    assert not webhook.deliveries.filter(lane=0).exists()


class ReadsElsewhere:
    """A router of a project with a replica, which the tests do not have."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "replica"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"


def test_what_changes_rows_asks_no_replica_for_them(settings: Any) -> None:
    webhook = a_webhook()
    a_delivery(webhook, status=Delivery.Status.PENDING)
    failed = a_delivery(webhook)
    settings.DATABASE_ROUTERS = [ReadsElsewhere()]
    pending = Delivery.objects.filter(status=Delivery.Status.PENDING)
    assert update_in_batches(pending, Delivery.settled(Delivery.Status.FAILED)) == 1
    assert operations.replay(Delivery.objects.filter(pk=failed.pk)) == 1


@pytest.mark.postgres_only
@pytest.mark.django_db(transaction=True)
def test_what_a_worker_had_locked_is_cancelled_in_a_later_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    webhook = a_webhook()
    delivery = a_delivery(webhook, status=Delivery.Status.PENDING)
    locked, passed_over = threading.Event(), threading.Event()

    def record() -> None:
        try:
            with transaction.atomic():
                Delivery.objects.select_for_update().get(pk=delivery.pk)
                locked.set()
                passed_over.wait(PATIENCE)
        finally:
            connections.close_all()

    worker = threading.Thread(target=record)

    def pause(seconds: float) -> None:
        passed_over.set()
        worker.join(PATIENCE)

    monkeypatch.setattr(batches.time, "sleep", pause)
    worker.start()
    assert locked.wait(PATIENCE)
    assert operations.delete_webhook(webhook) == 1
    delivery.refresh_from_db()
    assert delivery.status == Delivery.Status.CANCELLED


def test_disabling_needs_a_reason() -> None:
    webhook = a_webhook()
    with pytest.raises(ValueError, match="reason"):
        operations.disable(webhook, "")
    assert operations.disable(webhook, "falhou por 5 dias").status == Webhook.Status.DISABLED


def test_deleting_keeps_the_history_and_nothing_secret() -> None:
    webhook = a_webhook(headers={"X-Conta": "7"}, auth_type="bearer", auth_secret="segredo")
    pending = a_delivery(webhook, status=Delivery.Status.PENDING)
    done = a_delivery(webhook, status=Delivery.Status.DELIVERED)

    assert operations.delete_webhook(webhook) == 1

    assert not Webhook.objects.exists()
    gone = Webhook.all_objects.get()
    assert gone.deleted_at is not None
    assert not gone.auth_secret
    assert gone.headers.reveal() == {}
    assert not SigningKey.objects.exists()
    pending.refresh_from_db()
    done.refresh_from_db()
    assert (pending.status, pending.next_attempt_at) == (Delivery.Status.CANCELLED, None)
    assert pending.finished_at is not None
    assert done.status == Delivery.Status.DELIVERED
    assert done.webhook == gone


def test_what_is_deleted_cannot_be_resumed() -> None:
    webhook = a_webhook()
    operations.delete_webhook(webhook)
    with pytest.raises(Webhook.DoesNotExist):
        operations.resume(webhook)


def test_a_webhook_is_found_by_id_and_by_name() -> None:
    webhook = a_webhook(name="Loja Á")
    assert operations.find_webhook(str(webhook.pk)) == webhook
    assert operations.find_webhook("Loja Á") == webhook
    a_webhook(name="Loja Á")
    for text, told in (("Loja Á", str(webhook.pk)), ("nenhuma", "nenhuma")):
        with pytest.raises(ValidationError, match=told):
            operations.find_webhook(text)


def test_rotation_lets_the_old_secret_sign_along_until_its_overlap_ends() -> None:
    webhook = a_webhook()
    secret = operations.rotate_secret(webhook, overlap_seconds=60)

    newest, oldest = operations.active_keys(webhook)
    assert newest.secret.reveal() == secret != SECRET
    assert newest.expires_at is None
    assert oldest.secret.reveal() == SECRET
    assert oldest.expires_at is not None

    assert operations.expire_old_keys(webhook) == 1
    assert [key.secret.reveal() for key in operations.active_keys(webhook)] == [secret]
    assert operations.expire_old_keys(webhook) == 0


def test_rotation_without_overlap_ends_the_old_secret_at_once() -> None:
    webhook = a_webhook()
    secret = operations.rotate_secret(webhook, overlap_seconds=0)
    assert [key.secret.reveal() for key in webhook.signing_keys.all()] == [secret]


def test_a_secret_whose_encryption_key_was_lost_can_be_replaced(settings: Any) -> None:
    webhook, _secret = create()
    lose_the_encryption_key(settings)
    new = operations.rotate_secret(webhook)
    assert operations.active_keys(webhook)[0].secret.reveal() == new
    operations.expire_old_keys(webhook)
    assert [key.secret.reveal() for key in webhook.signing_keys.all()] == [new]


def test_a_second_rotation_does_not_prolong_the_first_ones_overlap() -> None:
    webhook = a_webhook()
    operations.rotate_secret(webhook, overlap_seconds=60)
    before = webhook.signing_keys.exclude(expires_at=None).get()
    operations.rotate_secret(webhook, overlap_seconds=3600)
    after = webhook.signing_keys.get(pk=before.pk)
    assert after.expires_at == before.expires_at


def test_every_change_of_secrets_raises_the_version() -> None:
    webhook = a_webhook()
    versions = [Webhook.objects.get().version]
    operations.rotate_secret(webhook)
    versions.append(Webhook.objects.get().version)
    operations.expire_old_keys(webhook)
    versions.append(Webhook.objects.get().version)
    assert versions == sorted(set(versions))


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"secret": SECRET}, "secret"),
        ({"secret": "curta"}, "secret"),
        ({"algorithm": "rsa-sha256"}, "algorithm"),
        ({"overlap_seconds": -1}, "overlap_seconds"),
    ],
)
def test_a_rotation_that_makes_no_sense_changes_nothing(
    arguments: dict[str, object], field: str
) -> None:
    webhook = a_webhook()
    with pytest.raises(ValidationError) as caught:
        operations.rotate_secret(webhook, **arguments)  # type: ignore[arg-type]
    assert list(caught.value.message_dict) == [field]
    assert webhook.signing_keys.get().secret.reveal() == SECRET


def test_secrets_do_not_pile_up() -> None:
    webhook = a_webhook()
    with pytest.raises(ValidationError):
        for _ in range(10):
            operations.rotate_secret(webhook)
    assert operations.active_keys(webhook).count() == 5
