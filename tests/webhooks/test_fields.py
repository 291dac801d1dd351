from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.admin import ModelAdmin, site
from django.core import serializers
from django.core.exceptions import FieldError, ValidationError
from django.db import connection, models
from django.forms import Textarea, modelform_factory
from django.forms.renderers import DjangoTemplates
from django.test import RequestFactory

from webhooks.fields import (
    MASK,
    EncryptionKeyMissing,
    Sealed,
    SealedJSONField,
    SealedTextField,
    SecretUnreadable,
)
from webhooks.models import SigningKey, Webhook

SECRET = "segredo-de-teste-ção"
FIRST, SECOND = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def use_keys(settings: Any, *keys: str) -> None:
    settings.WEBHOOKS = {**settings.WEBHOOKS, "ENCRYPTION_KEYS": list(keys)}


@pytest.fixture(autouse=True)
def keys(settings: Any) -> None:
    use_keys(settings, FIRST)


@pytest.fixture
def webhook(db: None) -> Webhook:
    return Webhook.objects.create(
        name="Loja",
        url="https://example.com/",
        events=["*"],
        auth_secret=SECRET,
        headers={"X-Token": SECRET},
    )


def stored(webhook: Webhook, column: str = "auth_secret") -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM webhooks_webhook")  # noqa: S608
        return str(cursor.fetchone()[0])


# --- At rest ----------------------------------------------------------------------------------


def test_what_is_stored_is_encrypted_and_opens_again(webhook: Webhook) -> None:
    for column in ("auth_secret", "headers"):
        assert SECRET not in stored(webhook, column)
        assert Fernet(FIRST).decrypt(stored(webhook, column))
    read = Webhook.objects.get()
    assert read.auth_secret.reveal() == SECRET
    assert read.headers.reveal() == {"X-Token": SECRET}


def test_an_assigned_secret_is_sealed_at_once() -> None:
    webhook = Webhook(auth_secret=SECRET)
    assert isinstance(webhook.auth_secret, Sealed)
    assert SECRET not in repr(webhook.__dict__)
    webhook.auth_secret = "another"
    assert webhook.auth_secret.reveal() == "another"


def test_no_way_to_print_it_shows_it() -> None:
    for sealed in (Sealed.seal(SECRET), Sealed.seal({"a": SECRET}, as_json=True)):
        for text in (str(sealed), repr(sealed), f"{sealed}", f"{sealed!r:>40}"):
            assert SECRET not in text
        assert sealed.token not in repr(sealed)
    assert str(Sealed("")) == ""


def test_nothing_is_stored_for_an_empty_secret_and_no_key_is_needed(settings: Any) -> None:
    use_keys(settings)
    webhook = Webhook(auth_secret="", headers={})
    assert (webhook.auth_secret.token, webhook.headers.token) == ("", "")
    assert (webhook.auth_secret.reveal(), webhook.headers.reveal()) == ("", {})
    assert not webhook.auth_secret


@pytest.mark.parametrize("default", [Webhook().auth_secret, Webhook().headers])
def test_the_default_is_empty(default: Sealed) -> None:
    assert isinstance(default, Sealed)
    assert not default


@pytest.mark.parametrize("bad", [[], ["no Fernet key"], [FIRST, "short"], [None]])
def test_without_a_usable_key_sealing_and_revealing_say_so(settings: Any, bad: list[Any]) -> None:
    sealed = Sealed.seal(SECRET)
    use_keys(settings, *bad)
    with pytest.raises(EncryptionKeyMissing, match="ENCRYPTION_KEYS"):
        Sealed.seal(SECRET)
    with pytest.raises(EncryptionKeyMissing, match="ENCRYPTION_KEYS"):
        sealed.reveal()


def test_a_lost_key_raises_on_reveal_only_and_saving_keeps_the_ciphertext(
    settings: Any, webhook: Webhook
) -> None:
    before = stored(webhook)
    use_keys(settings, SECOND)
    read = Webhook.objects.get()
    read.name = "Renamed"
    read.full_clean()
    read.save()
    assert stored(webhook) == before
    with pytest.raises(SecretUnreadable, match="Put that key back"):
        read.auth_secret.reveal()
    use_keys(settings, SECOND, FIRST)
    assert read.auth_secret.reveal() == SECRET


@pytest.mark.parametrize("token", ["x", "não é base64", "gAAAAA" + "A" * 100])
def test_a_damaged_ciphertext_is_unreadable_and_nothing_worse(token: str) -> None:
    with pytest.raises(SecretUnreadable):
        Sealed(token).reveal()
    assert not Sealed(token).is_current()


def test_resealing_moves_a_secret_to_the_first_key(settings: Any) -> None:
    old = Sealed.seal({"a": "b"}, as_json=True)
    use_keys(settings, SECOND, FIRST)
    assert not old.is_current()
    new = old.resealed()
    assert new.is_current()
    use_keys(settings, SECOND)
    assert new.reveal() == {"a": "b"}


def test_sealed_is_a_value() -> None:
    sealed = Sealed.seal(SECRET)
    for same in (copy.copy(sealed), copy.deepcopy(sealed), pickle.loads(pickle.dumps(sealed))):  # noqa: S301
        assert same == sealed
        assert hash(same) == hash(sealed)
        assert same.reveal() == SECRET
    assert sealed != Sealed.seal(SECRET)
    assert sealed != SECRET
    with pytest.raises(AttributeError):
        sealed.token = "other"  # type: ignore[misc]


@pytest.mark.parametrize("value", ["text", ["list"], 3, [], 0, ""])
def test_sealed_json_is_a_dict(value: Any) -> None:
    with pytest.raises(TypeError, match="must be a dict"):
        Webhook(headers=value)


def test_the_mask_is_never_taken_for_a_secret() -> None:
    with pytest.raises(ValueError, match="only stands for"):
        Webhook(auth_secret=MASK)
    with pytest.raises(ValueError, match="only stands for"):
        Webhook(headers={"X-Token": MASK})


# --- As a field of a model --------------------------------------------------------------------


def test_deferred_and_refreshed_loading(webhook: Webhook, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        deferred = Webhook.objects.defer("auth_secret").get()
    assert "auth_secret" in deferred.get_deferred_fields()
    with django_assert_num_queries(1):
        assert deferred.auth_secret.reveal() == SECRET
        assert deferred.auth_secret.reveal() == SECRET

    Webhook.objects.update(auth_secret="changed")
    assert webhook.auth_secret.reveal() == SECRET
    webhook.refresh_from_db()
    assert webhook.auth_secret.reveal() == "changed"


def test_every_way_of_writing_seals(webhook: Webhook) -> None:
    Webhook.objects.update(auth_secret="by update", headers={"a": "by update"})
    assert "by update" not in stored(webhook) + stored(webhook, "headers")
    assert Webhook.objects.get().auth_secret.reveal() == "by update"
    assert Webhook.objects.get().headers.reveal() == {"a": "by update"}

    webhook.auth_secret = "by bulk_update"
    Webhook.objects.bulk_update([webhook], ["auth_secret"])
    assert Webhook.objects.get().auth_secret.reveal() == "by bulk_update"

    Webhook.objects.all().delete()
    Webhook.objects.bulk_create([Webhook(name="n", auth_secret="by bulk_create")])
    assert "by bulk_create" not in stored(webhook)
    assert Webhook.objects.get().auth_secret.reveal() == "by bulk_create"

    other, _created = Webhook.objects.update_or_create(
        name="n", defaults={"auth_secret": "by update_or_create"}
    )
    assert Webhook.objects.get(pk=other.pk).auth_secret.reveal() == "by update_or_create"


def test_an_unchanged_secret_keeps_its_ciphertext_when_saved(webhook: Webhook) -> None:
    before = stored(webhook)
    Webhook.objects.get().save()
    assert stored(webhook) == before


def test_values_are_sealed_too(webhook: Webhook) -> None:
    [row] = Webhook.objects.values("auth_secret", "headers")
    assert row["auth_secret"].reveal() == SECRET
    assert row["headers"].reveal() == {"X-Token": SECRET}
    [sealed] = Webhook.objects.values_list("auth_secret", flat=True)
    assert sealed.reveal() == SECRET


@pytest.mark.parametrize("lookup", ["", "__in", "__icontains", "__startswith", "__regex", "__gt"])
def test_a_search_that_could_never_be_right_is_refused(db: None, lookup: str) -> None:
    value = [SECRET] if lookup == "__in" else SECRET
    with pytest.raises(FieldError, match="SealedTextField"):
        Webhook.objects.filter(**{f"auth_secret{lookup}": value})


def test_only_absence_can_be_searched(webhook: Webhook) -> None:
    assert Webhook.objects.filter(auth_secret__isnull=False).count() == 1


def test_instances_can_be_copied_and_pickled(webhook: Webhook) -> None:
    read = pickle.loads(pickle.dumps(Webhook.objects.get()))  # noqa: S301
    assert read.auth_secret.reveal() == SECRET
    assert copy.deepcopy(webhook).headers.reveal() == {"X-Token": SECRET}
    assert SECRET.encode() not in pickle.dumps(webhook)


@pytest.mark.parametrize("format", ["json", "xml", "python"])
def test_a_fixture_carries_the_ciphertext_and_loads_it(webhook: Webhook, format: str) -> None:
    dump = serializers.serialize(format, [webhook])
    assert SECRET not in str(dump)
    Webhook.objects.all().delete()
    for loaded in serializers.deserialize(format, dump):
        loaded.save()
    assert Webhook.objects.get().auth_secret.reveal() == SECRET
    assert Webhook.objects.get().headers.reveal() == {"X-Token": SECRET}


def test_an_empty_secret_survives_a_fixture(db: None) -> None:
    dump = serializers.serialize("json", [Webhook(name="n")])
    [loaded] = serializers.deserialize("json", dump)
    assert loaded.object.headers.reveal() == {}
    assert loaded.object.auth_secret.reveal() == ""


def test_whoever_assigns_a_ciphertext_does_not_get_it_opened(webhook: Webhook) -> None:
    leaked = f"sealed:{webhook.auth_secret.token}"
    Webhook.objects.update(auth_secret=leaked)
    assert Webhook.objects.get().auth_secret.reveal() == leaked
    webhook.auth_secret = leaked
    webhook.full_clean()
    assert webhook.auth_secret.reveal() == leaked


def test_a_required_secret_may_not_be_empty(webhook: Webhook) -> None:
    key = SigningKey(webhook=webhook, secret="")
    with pytest.raises(ValidationError) as caught:
        key.full_clean()
    assert caught.value.error_dict["secret"][0].code == "blank"
    key.secret = SECRET
    key.full_clean()


def test_validators_see_the_plain_secret_where_it_can_be_read(settings: Any) -> None:
    seen: list[str] = []
    field = SealedTextField(validators=[seen.append])
    sealed = field.clean(SECRET, None)
    assert (seen, sealed.reveal()) == ([SECRET], SECRET)
    use_keys(settings, SECOND)
    assert field.clean(sealed, None) is sealed
    assert seen == [SECRET]


def test_migrations_know_the_fields_by_what_they_are() -> None:
    for kind in (SealedTextField, SealedJSONField):
        _name, path, _args, kwargs = kind(blank=True).deconstruct()
        assert path == f"webhooks.fields.{kind.__name__}"
        assert kwargs == {"blank": True}
        assert isinstance(kind(), models.TextField)


# --- In forms ---------------------------------------------------------------------------------

Form = modelform_factory(Webhook, fields=["auth_secret", "headers"])


def submitted(webhook: Webhook, **data: str) -> Any:
    return Form(
        {"auth_secret": MASK, "headers": f'{{"X-Token": "{MASK}"}}'} | data, None, instance=webhook
    )


def test_a_form_shows_masks_and_names(webhook: Webhook) -> None:
    html = Form(instance=webhook).as_p()
    assert SECRET not in html
    assert webhook.auth_secret.token not in html
    assert MASK in html
    assert "X-Token" in html
    assert 'type="password"' in html
    assert 'type="hidden"' not in html


def test_a_form_sent_back_unchanged_changes_nothing(webhook: Webhook) -> None:
    before = (stored(webhook), stored(webhook, "headers"))
    form = submitted(webhook)
    assert form.is_valid()
    assert not form.has_changed()
    form.save()
    assert (stored(webhook), stored(webhook, "headers")) == before


def test_a_form_replaces_clears_and_adds(webhook: Webhook) -> None:
    form = submitted(webhook, auth_secret="new", headers=f'{{"X-Token": "{MASK}", "X-Env": "dev"}}')
    assert form.is_valid()
    assert form.changed_data == ["auth_secret", "headers"]
    form.save()
    read = Webhook.objects.get()
    assert read.auth_secret.reveal() == "new"
    assert read.headers.reveal() == {"X-Token": SECRET, "X-Env": "dev"}

    form = submitted(webhook, auth_secret="", headers="")
    assert form.is_valid()
    form.save()
    read = Webhook.objects.get()
    assert (read.auth_secret.reveal(), read.headers.reveal()) == ("", {})


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"auth_secret": MASK + "x"}, "auth_secret"),
        ({"headers": "not JSON"}, "headers"),
        ({"headers": '["a"]'}, "headers"),
        ({"headers": '"a"'}, "headers"),
        ({"headers": f'{{"X-New": "{MASK}"}}'}, "headers"),
    ],
)
def test_a_form_refuses_what_it_cannot_keep(
    webhook: Webhook, data: dict[str, str], field: str
) -> None:
    form = submitted(webhook, **data)
    assert not form.is_valid()
    assert list(form.errors) == [field]
    assert "as_p" not in form.as_p()  # renders what was typed without failing


@pytest.mark.parametrize(
    "typed",
    ['{"X-A":   "1"}', '""', "", "null", "{", "[" * 100_000, '{"n": ' + "9" * 5_000 + "}"],
)
def test_secrets_as_json_are_shown_as_typed_by_djangos_own_forms(
    webhook: Webhook, typed: str
) -> None:
    form = Form(
        {"auth_secret": MASK, "headers": typed}, instance=webhook, renderer=DjangoTemplates()
    )
    assert form["headers"].value() == typed
    assert form.is_valid() == (typed in ('{"X-A":   "1"}', "", "null"))
    form.as_p()


def test_a_form_keeps_what_it_cannot_read(settings: Any, webhook: Webhook) -> None:
    before = (stored(webhook), stored(webhook, "headers"))
    use_keys(settings, SECOND)
    form = submitted(webhook, headers=MASK)
    assert MASK in Form(instance=webhook)["headers"].as_widget()
    assert form.is_valid()
    assert not form.has_changed()
    form.save()
    assert (stored(webhook), stored(webhook, "headers")) == before

    partly = submitted(webhook)
    assert not partly.is_valid()
    assert partly.errors.as_data()["headers"][0].code == "unreadable"


def test_the_mask_alone_does_not_satisfy_a_required_secret(webhook: Webhook) -> None:
    form = modelform_factory(SigningKey, fields=["webhook", "secret"])(
        {"webhook": webhook.pk, "secret": MASK}
    )
    assert not form.is_valid()
    assert list(form.errors) == ["secret"]


def test_the_admin_uses_the_same_fields_and_a_form_may_ask_for_lines(webhook: Webhook) -> None:
    request = RequestFactory().get("/")
    admin = ModelAdmin(Webhook, site)
    for name, widget in (("auth_secret", "PasswordInput"), ("headers", "Textarea")):
        field = admin.formfield_for_dbfield(Webhook._meta.get_field(name), request)
        assert type(field.widget).__name__ == widget
    several = modelform_factory(Webhook, fields=["auth_secret"], widgets={"auth_secret": Textarea})
    assert isinstance(several().fields["auth_secret"].widget, Textarea)


@pytest.mark.parametrize("value", ["text", [1], MASK])
def test_a_fixture_with_what_is_no_json_secret_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        SealedJSONField().to_python(value)


def test_a_disabled_field_never_changes(webhook: Webhook) -> None:
    form = submitted(webhook, auth_secret="new", headers='{"a": "b"}')
    for field in form.fields.values():
        field.disabled = True
    assert form.is_valid()
    assert not form.has_changed()
    form.save()
    read = Webhook.objects.get()
    assert (read.auth_secret.reveal(), read.headers.reveal()) == (SECRET, {"X-Token": SECRET})
