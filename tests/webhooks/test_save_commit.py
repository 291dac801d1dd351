"""A save that is a transaction of its own sends its COMMIT along with its event; no other does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import DataError, IntegrityError, connection, connections, models, transaction
from django.db.models.signals import post_save, pre_save

from tests.crm import told
from tests.things.models import Foreign, Guarded, Thing
from webhooks import context, events
from webhooks.models import Event, Subject

pytestmark = [pytest.mark.postgres_only, pytest.mark.django_db(transaction=True)]


@contextmanager
def statements() -> Iterator[list[str]]:
    """What Django lets anybody see of what is sent."""
    seen: list[str] = []

    def note(execute: Callable[..., Any], sql: str, *args: Any) -> Any:
        seen.append(sql)
        return execute(sql, *args)

    with connection.execute_wrapper(note):
        yield seen


@contextmanager
def listening(signal: Any, handler: Callable[..., None]) -> Iterator[None]:
    signal.connect(handler, sender=Thing)
    try:
        yield
    finally:
        signal.disconnect(handler, sender=Thing)


@pytest.fixture(autouse=True)
def thing(tell: Callable[..., Any]) -> None:
    tell(Thing, name=events.text("name"))


def crash(**kwargs: Any) -> None:
    raise ZeroDivisionError


def test_a_save_of_its_own_needs_no_commit_besides():
    committed: list[str] = []

    def register(instance: Thing, **kwargs: Any) -> None:
        transaction.on_commit(lambda: committed.append(instance.name))

    with listening(pre_save, register), statements() as seen:
        thing = Thing.objects.create(name="a")
        created = list(seen)
        thing.name = "b"
        thing.save()
    updated = seen[len(created) :]
    for sent in (created, updated):
        assert sent[-1].startswith("SELECT webhooks_record_event(")
        assert ["COMMIT" in each for each in sent] == [False] * (len(sent) - 1) + [True]
    assert committed == ["a", "b"]
    connection.close()  # whatever it had not committed is lost
    assert [name for name, _ in told()] == ["thing.criado", "thing.atualizado"]
    assert Thing.objects.get().name == "b"


def test_within_a_transaction_it_is_the_callers_to_commit():
    with statements() as seen, pytest.raises(ZeroDivisionError), transaction.atomic():
        Thing.objects.create(name="a")
        raise ZeroDivisionError
    assert not any("COMMIT" in each for each in seen)
    assert not Thing.objects.exists()
    assert not Event.objects.exists()


def test_without_autocommit_it_is_the_callers_too():
    transaction.set_autocommit(False)
    try:
        Thing.objects.create(name="a")
        transaction.rollback()
    finally:
        transaction.set_autocommit(True)
    assert not Thing.objects.exists()
    assert not Event.objects.exists()


def test_whoever_listens_after_us_can_still_take_it_back():
    with listening(post_save, crash), pytest.raises(ZeroDivisionError):
        Thing.objects.create(name="a")
    assert not Thing.objects.exists()
    assert not Event.objects.exists()


def test_whatever_follows_in_the_models_own_saving_can_too(
    tell: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
):
    def save_base(self: Foreign, *args: Any, **kwargs: Any) -> None:
        models.Model.save_base(self, *args, **kwargs)
        raise ZeroDivisionError

    monkeypatch.setattr(Foreign, "save_base", save_base)
    tell(Foreign, wrap_save=True, name=events.text("name"))
    with pytest.raises(ZeroDivisionError):
        Foreign.objects.create(name="a")
    assert not Foreign.objects.exists()
    assert not Event.objects.exists()


def test_a_row_that_is_saved_within_a_save_commits_nothing():
    def again(instance: Thing, **kwargs: Any) -> None:
        if instance.name == "a":
            Thing.objects.create(name="inner")
            raise ZeroDivisionError

    with listening(pre_save, again), pytest.raises(ZeroDivisionError):
        Thing.objects.create(name="a")
    assert not Thing.objects.exists()
    assert not Event.objects.exists()


def test_what_fails_at_the_commit_fails_as_ever(tell: Callable[..., Any]):
    tell(Guarded, name=events.text("name"))
    guarded = Guarded(name="a", thing_id=404)  # the foreign key is checked at the commit
    with pytest.raises(IntegrityError):
        guarded.save()
    assert not Guarded.objects.exists()
    assert not Event.objects.exists()
    assert not Subject.objects.exists()
    guarded.thing_id = None
    guarded.save(force_insert=True)
    assert [name for name, _ in told()] == ["guarded.criado"]
    assert not connection.in_atomic_block


def test_an_event_that_the_database_refuses_takes_the_row_back(monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch, pytest.raises(DataError, match="too long"):
        patch.setattr(context, "who", lambda: ("no origin is so long", ""))
        Thing.objects.create(name="a")
    assert not Thing.objects.exists()
    Thing.objects.create(name="b")
    assert [data["name"] for _, data in told()] == ["b"]


def test_parameters_may_be_bound_by_the_server(monkeypatch: pytest.MonkeyPatch):
    """Then one statement is sent at a time."""
    monkeypatch.setitem(connections.settings["default"], "OPTIONS", {"server_side_binding": True})
    connection.close()
    thing = Thing.objects.create(name="a")
    thing.name = "b"
    thing.save()
    connection.close()
    assert [name for name, _ in told()] == ["thing.criado", "thing.atualizado"]
