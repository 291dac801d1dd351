"""Fixtures for the tests of the webhooks app."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import translation

from webhooks import catalog, events, shortage, tracking

Login = Callable[..., Client]


@pytest.fixture(autouse=True)
def _nothing_lacks() -> None:
    shortage.forget()


@pytest.fixture
def in_english() -> Iterator[None]:
    """What is read outside of a request; requests say their language themselves."""
    with translation.override("en"):
        yield


@pytest.fixture
def login(db: None) -> Login:
    """`login("view_webhook")`: a browser of a staff member who may do just that."""

    def make(*permissions: str) -> Client:
        name = f"user{User.objects.count()}"
        user = User.objects.create_user(name, password="x", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client = Client(HTTP_ACCEPT_LANGUAGE="en")
        client.force_login(user)
        return client

    return make


@pytest.fixture
def tell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., type[events.ModelEvents]]]:
    """`tell(Thing, name=events.text("name"), …)` registers a model for the rest of the test.

    It tells `thing.criado`, `.atualizado` and `.excluido`, each with its whole record; keywords
    that `ModelEvents` has (`transitions`, `untracked` …) are set on the declaration.
    """
    monkeypatch.setattr(catalog, "_types", dict(catalog._types))
    registered = []

    def register(model: Any, *, wrap_save: bool = False, **values: Any) -> type[events.ModelEvents]:
        prefix = values.pop("prefix", model._meta.model_name)
        options = {
            name: values.pop(name) for name in list(values) if hasattr(events.ModelEvents, name)
        }
        record = {"id": events.public_id(prefix), **values}
        keys = tuple(record)
        declaration = type(
            f"{model.__name__}Events",
            (events.ModelEvents,),
            {
                "prefix": prefix,
                "record": record,
                "created": events.Told(f"{prefix}.criado", keys),
                "updated": events.Told(f"{prefix}.atualizado", (*keys, "alteracoes")),
                "deleted": events.Told(f"{prefix}.excluido", keys),
                **options,
            },
        )
        tracking.register(model, wrap_save=wrap_save)(declaration)
        registered.append(model)
        return declaration

    yield register
    for model in registered:
        tracking.unregister(model)
