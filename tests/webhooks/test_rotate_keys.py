from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.utils import timezone

from webhooks.fields import Sealed, SecretUnreadable
from webhooks.management.commands import webhooks_rotate_keys as command
from webhooks.models import SigningKey, Webhook

OLD, NEW, LOST = (Fernet.generate_key().decode() for _ in range(3))
SECRET = "segredo-de-teste"

pytestmark = pytest.mark.django_db


@pytest.fixture
def use_keys(settings: Any) -> Callable[..., None]:
    def use(*keys: str) -> None:
        settings.WEBHOOKS = {**settings.WEBHOOKS, "ENCRYPTION_KEYS": list(keys)}

    return use


@pytest.fixture(autouse=True)
def secrets(use_keys: Callable[..., None]) -> None:
    """Three webhooks (one deleted, one without secrets) and two signing keys, under OLD."""
    use_keys(OLD)
    first = Webhook.objects.create(name="a", auth_secret=SECRET, headers={"X": SECRET})
    gone = Webhook.objects.create(name="b", auth_secret=SECRET, deleted_at=timezone.now())
    Webhook.objects.create(name="c")
    for webhook in (first, gone):
        SigningKey.objects.create(webhook=webhook, secret=SECRET)
    use_keys(NEW, OLD)


def rotate(*options: str, **more: Any) -> str:
    out = StringIO()
    call_command("webhooks_rotate_keys", *options, stdout=out, **more)
    return out.getvalue()


def all_secrets() -> list[Sealed]:
    columns = [
        *Webhook.all_objects.order_by("pk").values_list("auth_secret", flat=True),
        *Webhook.all_objects.order_by("pk").values_list("headers", flat=True),
        *SigningKey.objects.order_by("pk").values_list("secret", flat=True),
    ]
    return [each for each in columns if each]


@pytest.mark.both_databases
@pytest.mark.parametrize("batch_size", ["1", "2", "200"])
def test_moves_every_secret_to_the_first_key(
    use_keys: Callable[..., None], batch_size: str
) -> None:
    versions = list(Webhook.all_objects.values_list("version", flat=True))
    output = rotate("--batch-size", batch_size)
    assert "5" in output
    use_keys(NEW)
    assert [each.reveal() for each in all_secrets()] == [
        SECRET,
        SECRET,
        {"X": SECRET},
        SECRET,
        SECRET,
    ]
    assert list(Webhook.all_objects.values_list("version", flat=True)) == versions


def test_run_again_it_changes_nothing() -> None:
    rotate()
    before = all_secrets()
    assert "0" in rotate()
    assert all_secrets() == before


@pytest.mark.parametrize("option", ["--check", "--dry-run"])
def test_only_looking_changes_nothing_and_counts(option: str) -> None:
    before = all_secrets()
    assert "5" in rotate(option)
    assert all_secrets() == before


def test_check_tells_when_the_older_keys_can_go() -> None:
    assert "--check" in rotate("--check")
    rotate()
    assert "--check" not in rotate("--check")


@pytest.mark.parametrize("option", [None, "--check", "--dry-run"])
def test_what_cannot_be_read_is_named_kept_and_an_exit_code(
    use_keys: Callable[..., None], option: str | None
) -> None:
    use_keys(LOST)
    key = SigningKey.objects.earliest("pk")
    key.secret = "lost-lost-lost-lost"
    key.save()
    use_keys(NEW, OLD)
    with pytest.raises(CommandError, match=f"webhooks.SigningKey {key.pk} secret") as caught:
        rotate(*filter(None, [option]))
    assert caught.value.returncode == 1
    assert "lost-lost" not in str(caught.value)

    use_keys(NEW)
    readable = [each for each in all_secrets() if each.is_current()]
    assert len(readable) == (4 if option is None else 0)
    use_keys(LOST)
    key.refresh_from_db()
    assert key.secret.reveal() == "lost-lost-lost-lost"


def test_many_unreadable_secrets_do_not_flood_the_terminal(
    use_keys: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "UNREADABLE_SHOWN", 2)
    use_keys(NEW)
    with pytest.raises(CommandError) as caught:
        rotate()
    assert str(caught.value).count("webhooks.") == 2


def test_without_keys_it_says_so_with_another_exit_code(use_keys: Callable[..., None]) -> None:
    use_keys()
    with pytest.raises(CommandError, match="ENCRYPTION_KEYS") as caught:
        rotate()
    assert caught.value.returncode == 2


def change_once(monkeypatch: pytest.MonkeyPatch, change: Callable[[], None]) -> None:
    """Another process changes the signing keys after they were read, before they are written."""
    replace = command._replace
    pending = [change]

    def replace_after_the_change(model: type, *arguments: Any) -> bool:
        if model is SigningKey and pending:
            pending.pop()()
        return replace(model, *arguments)

    monkeypatch.setattr(command, "_replace", replace_after_the_change)


def test_a_secret_changed_meanwhile_is_not_overwritten(
    use_keys: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    change_once(monkeypatch, lambda: SigningKey.objects.update(secret="newer") and None)
    rotate()
    use_keys(NEW)
    assert {each.secret.reveal() for each in SigningKey.objects.all()} == {"newer"}


def test_a_change_by_a_process_that_has_the_old_key_only_is_moved_too(
    use_keys: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def change() -> None:
        use_keys(OLD)
        SigningKey.objects.update(secret="newer")
        use_keys(NEW, OLD)

    change_once(monkeypatch, change)
    assert "5" in rotate()
    use_keys(NEW)
    assert {each.secret.reveal() for each in SigningKey.objects.all()} == {"newer"}


def test_a_row_deleted_meanwhile_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    change_once(monkeypatch, lambda: SigningKey.objects.all().delete() and None)
    rotate()
    assert not SigningKey.objects.exists()


def test_quiet_is_quiet() -> None:
    assert rotate(verbosity=0) == ""


def test_without_rotation_removing_a_key_loses_secrets(use_keys: Callable[..., None]) -> None:
    use_keys(NEW)
    with pytest.raises(SecretUnreadable):
        SigningKey.objects.earliest("pk").secret.reveal()


@pytest.mark.parametrize("size", ["0", "-1", "x"])
def test_a_batch_has_at_least_one_row(size: str, in_english: None) -> None:
    with pytest.raises(CommandError, match=f"batch-size: “{size}” is no whole number"):
        rotate("--batch-size", size)


def test_help_names_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        call_command("webhooks_rotate_keys", "--help")
    assert caught.value.code == 0
    output = capsys.readouterr().out
    for word in ("--check", "--dry-run", "--batch-size", "WEBHOOKS_ENCRYPTION_KEYS"):
        assert word in output
