"""What no single save tells: many rows changed by one statement, rows given by hand."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.db import connections, models, router, transaction
from django.utils import timezone

from . import outbox, rows
from .context import is_silenced
from .modelevents import Changes, Draft
from .tracking import Watched, declaration_of, for_type, is_mute, watched

_READ_AT_ONCE = 500  # rows; a statement of SQLite takes no more than some thousand parameters


@contextlib.contextmanager
def watch(queryset: models.QuerySet[Any]) -> Iterator[None]:
    """Tells what happens inside to the rows that the queryset selects now.

    For what sends no signals::

        with events.watch(Tarefa.objects.filter(cliente=cliente)):
            Tarefa.objects.filter(cliente=cliente).update(prioridade="ALTA")

    It is one transaction: the rows are locked, read before and after, and each tells, at the end,
    what truly became of it (updated, its transitions, deleted), whatever did it. All other rows
    tell for themselves; what `bulk_create()` makes inside is not seen: give it to `emit()`.

    :raises LookupError: the queryset's model is not registered.
    """
    model = queryset.model._meta.concrete_model
    # Not `queryset.db`: that may be a replica, where it is read only.
    using = queryset._db or router.db_for_write(model)  # type: ignore[attr-defined]
    declaration = declaration_of(model)
    if declaration is None:
        raise LookupError(f"{queryset.model.__name__} is not registered for events.")
    with transaction.atomic(using=using):
        pks = set(queryset.using(using).values_list("pk", flat=True))
        # Rows that a watch around this one holds are told by that.
        pks = {pk for pk in pks if not is_mute(model, pk, using)}
        before = _read(model, pks, using, lock=True)
        token = watched.set((*watched.get(), Watched(model, using, frozenset(before))))
        try:
            yield
        finally:
            watched.reset(token)
        after = _read(model, before, using)
        moment = timezone.now()
        drafts: list[Draft] = []
        for pk, was in before.items():
            now = after.get(pk)
            drafts += (
                declaration.on_delete(was, moment)
                if now is None
                else declaration.on_update(was, now, moment)
            )
        if drafts and not is_silenced():
            outbox.record(drafts, using=using)


def _read(
    model: type[models.Model], pks: Iterable[Any], using: str, *, lock: bool = False
) -> dict[Any, models.Model]:
    """Rows by primary key, in its order: two that lock the same rows do not block each other."""
    found: dict[Any, models.Model] = {}
    pks = sorted(pks)
    for first in range(0, len(pks), _READ_AT_ONCE):
        some = model._base_manager.using(using).filter(pk__in=pks[first : first + _READ_AT_ONCE])
        if lock and connections[using].features.has_select_for_no_key_update:
            some = some.select_for_update(no_key=True, of=("self",))
        found |= {row.pk: row for row in some.order_by("pk")}
    return found


def drafts_of(
    event_type: str, objects: Iterable[models.Model], changes: Mapping[Any, Changes], using: str
) -> list[Draft]:
    """Events of that type about each of the objects, as they are now.

    :param changes: by primary key, what `alteracoes` is to say.
    :raises LookupError: no registered model tells that type.
    :raises TypeError: an object is of another model than the one that tells it.
    :raises ValueError: an object has no primary key, or `alteracoes` would be empty.
    """
    declaration = for_type(event_type)
    if declaration is None:
        raise LookupError(f"No registered model tells {event_type!r}; give its `data` instead.")
    model, moment, drafts = declaration.model, timezone.now(), []
    for each in objects:
        if not isinstance(each, model):
            raise TypeError(f"{event_type!r} tells of a {model.__name__}, not of {each!r}.")
        if each.pk is None:
            raise ValueError(f"{each!r} has no primary key, so nothing can be told of it.")
        row = rows.written(model, each, None, None, using)
        drafts.append(declaration.on_demand(event_type, row, moment, changes.get(each.pk, {})))
    return drafts
