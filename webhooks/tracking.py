"""From a saved row to an event: reads the row before and after, inside the same transaction.

The state before is read from the database and locked, not remembered from when the instance was
loaded: two requests that both conclude one task tell it once, and a stale copy that is saved again
tells only what it truly changed.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db import connections, models, router, transaction
from django.db.models import signals
from django.utils import timezone

from . import outbox, rows
from .context import is_silenced
from .modelevents import ModelEvents

DeclarationT = TypeVar("DeclarationT", bound=type[ModelEvents])

_registry: dict[type[models.Model], ModelEvents] = {}


class TrackedModel(models.Model):
    """A model whose `save()` and the events it tells are one transaction.

    Django sends `post_save` after the row is written and, outside a transaction, committed: a
    process that dies in between would lose the event.
    """

    class Meta:
        abstract = True

    def save_base(self, *args: Any, **kwargs: Any) -> None:
        save = super().save_base
        with _saving(self, kwargs.get("using"), save.__func__, atomic=True):  # type: ignore[attr-defined]
            save(*args, **kwargs)

    save_base.alters_data = save_base.is_atomic = True  # type: ignore[attr-defined]

    def _do_update(self, *args: Any) -> Any:
        return _update(self, super()._do_update, *args)

    _do_update.is_plain = True  # type: ignore[attr-defined]


def register(
    model: type[models.Model], *, wrap_save: bool = False
) -> Callable[[DeclarationT], DeclarationT]:
    """Class decorator: the rows of `model` tell the events that the `ModelEvents` declares.

    Also where they are saved as a proxy of it or as a model that inherits from it.

    :param wrap_save: for a model that cannot inherit from `TrackedModel` (a third party's): its
        `save_base` is wrapped in a transaction. Without either, `webhooks.W003` warns.
    :raises ValueError: the model is registered already, or has no rows of its own.
    """

    def decorate(declaration: DeclarationT) -> DeclarationT:
        if model._meta.abstract or model._meta.proxy:
            raise ValueError(f"{model.__name__} has no table of its own: register the one it uses.")
        if model in _registry:
            raise ValueError(f"{model.__name__} is registered for events already.")
        _registry[model] = declaration(model)
        if not is_atomic(model):
            _wrap(model, atomic=wrap_save)
        for sender in _family(model):
            _connect(sender)
        return declaration

    return decorate


def is_atomic(model: type[models.Model]) -> bool:
    """Whether saving such a row and telling of it are one transaction."""
    return getattr(model.save_base, "is_atomic", False)


def registered() -> dict[type[models.Model], ModelEvents]:
    return dict(_registry)


def declaration_of(model: type[models.Model]) -> ModelEvents | None:
    return _registry.get(model._meta.concrete_model or model)


def for_type(event_type: str) -> ModelEvents | None:
    """The declaration that tells events of that type."""
    for declaration in _registry.values():
        if any(told.name == event_type for told in declaration.declared()):
            return declaration
    return None


def _wrap(model: type[models.Model], *, atomic: bool) -> None:
    original = model.save_base

    def save_base(self: models.Model, *args: Any, **kwargs: Any) -> None:
        with _saving(self, kwargs.get("using"), original, atomic=atomic):
            original(self, *args, **kwargs)

    update = model._do_update

    def _do_update(self: models.Model, *args: Any) -> Any:
        return _update(self, functools.partial(update, self), *args)

    _do_update.is_plain = True  # type: ignore[attr-defined]
    model._do_update = _do_update  # type: ignore[assignment, method-assign]
    save_base.alters_data = True  # type: ignore[attr-defined]
    save_base.is_atomic = atomic  # type: ignore[attr-defined]
    model.save_base = save_base  # type: ignore[method-assign]


def _family(model: type[models.Model]) -> Iterator[type[models.Model]]:
    """The model and every model whose rows are also rows of it."""
    if not model._meta.abstract:
        yield model
    for child in model.__subclasses__():
        yield from _family(child)


def _connect(sender: type[models.Model]) -> None:
    """Listen to what happens to a model's rows. Not to all models': having listeners makes Django
    delete row by row."""
    for signal, handler in _HANDLERS:
        signal.connect(handler, sender=sender)


def unregister(model: type[models.Model]) -> None:
    """Undo `register()`, for tests; the types stay in the catalog."""
    del _registry[model]
    for sender in _family(model):
        if not any(issubclass(sender, other) for other in _registry):
            for signal, handler in _HANDLERS:
                signal.disconnect(handler, sender=sender)


def _connect_later(sender: type[models.Model], **kwargs: Any) -> None:
    """A proxy may be defined, in an `admin.py` say, after what it is a proxy of was registered."""
    if not sender._meta.abstract and any(issubclass(sender, model) for model in _registry):
        _connect(sender)


# --- single rows, by Django's signals -------------------------------------------------------

_SAVING, _DELETING = "_webhooks_saving", "_webhooks_deleting"


@dataclass(frozen=True)
class Watched:
    """Rows of which a `watch()` tells, at its end."""

    model: type[models.Model]
    using: str
    pks: frozenset[Any]


watched: ContextVar[tuple[Watched, ...]] = ContextVar("webhooks_watched", default=())


_UNREAD: Any = object()  # a row whose UPDATE will read it as it was before


@dataclass
class _Saving:
    """What is known of an instance's rows while it is being saved.

    A handler of these very signals may save the instance again, before or after ours is called.
    All those saves share this: each tells what changed since what was told last.
    """

    depth: int = 0
    known: dict[type[models.Model], models.Model | None] = field(default_factory=dict)


# Whether the save that is going on opened its transaction, and nothing but the commit follows it.
_commits: ContextVar[bool] = ContextVar("webhooks_commits", default=False)


@contextlib.contextmanager
def _saving(
    instance: models.Model, using: str | None, save: Callable[..., None], *, atomic: bool
) -> Iterator[None]:
    """Around `save`, a `save_base`: one transaction, and nothing left behind if it fails."""
    before: _Saving | None = instance.__dict__.get(_SAVING)
    depth, known = (0, {}) if before is None else (before.depth, dict(before.known))
    using = using or router.db_for_write(type(instance), instance=instance)
    outermost = atomic and not connections[using].in_atomic_block
    token = _commits.set(outermost and save is models.Model.save_base)
    try:
        with transaction.atomic(using=using, savepoint=False) if atomic else _NOTHING:
            yield
    except BaseException:
        if before is None:
            instance.__dict__.pop(_SAVING, None)
        else:
            instance.__dict__[_SAVING] = _Saving(depth, known)
        raise
    finally:
        _commits.reset(token)


_NOTHING = contextlib.nullcontext()


def _before_save(
    sender: type[models.Model], instance: models.Model, raw: bool, using: str, **kwargs: Any
) -> None:
    saving: _Saving = instance.__dict__.setdefault(_SAVING, _Saving())
    if not saving.depth:
        for model in _tellers(sender):
            pk = getattr(instance, model._meta.pk.attname)
            if raw or pk is None or is_mute(model, pk, using):
                saving.known[model] = None
            elif _is_read_by_update(type(instance), using):
                saving.known[model] = _UNREAD
            else:
                saving.known[model] = rows.load(model, pk, using, lock=True)
    saving.depth += 1


def _update(
    instance: models.Model,
    update: Callable[..., Any],
    base_qs: models.QuerySet[Any],
    using: str,
    pk: Any,
    values: Any,
    *args: Any,
) -> Any:
    """`Model._do_update`, which also finds out how the row was if nobody has yet."""
    saving: _Saving | None = instance.__dict__.get(_SAVING)
    model = instance._meta.concrete_model
    if saving is None or model is None or saving.known.get(model) is not _UNREAD:
        return update(base_qs, using, pk, values, *args)
    if not values or instance._meta.select_on_save:
        saving.known[model] = rows.load(model, pk, using, lock=True)
        return update(base_qs, using, pk, values, *args)
    saving.known[model] = before = rows.update(model, base_qs, pk, values)
    return before is not None


def _is_read_by_update(cls: type[models.Model], using: str) -> bool:
    """Whether the UPDATE of such an instance reads the row: no statement of its own need then."""
    return connections[using].vendor == "postgresql" and _updates_plainly(cls)


@functools.cache
def _updates_plainly(cls: type[models.Model]) -> bool:
    """Whether it is a single table's row, and nothing but `_update` has a say in its UPDATE."""
    found = [each.__dict__["_do_update"] for each in cls.__mro__ if "_do_update" in each.__dict__]
    return not cls._meta.parents and all(
        each is models.Model._do_update or getattr(each, "is_plain", False) for each in found
    )


def _after_save(
    sender: type[models.Model],
    instance: models.Model,
    raw: bool,
    using: str,
    update_fields: frozenset[str] | None,
    **kwargs: Any,
) -> None:
    saving: _Saving = instance.__dict__[_SAVING]
    saving.depth -= 1
    if not saving.depth:
        del instance.__dict__[_SAVING]
    if raw:  # fixtures restore what has been told before
        return
    moment, drafts = timezone.now(), []
    for model, found in saving.known.items():
        before = None if found is _UNREAD else found  # there was none to update
        mute = is_mute(model, getattr(instance, model._meta.pk.attname), using)
        if mute and not saving.depth:
            continue
        after = rows.written(model, instance, before, update_fields, using)
        saving.known[model] = after
        if mute:
            continue
        if before is None:
            drafts += _registry[model].on_create(after, moment)
        else:
            drafts += _registry[model].on_update(before, after, moment)
    if drafts:
        outbox.record(drafts, using=using, commit=_commits.get() and _is_alone(sender))


def _before_delete(
    sender: type[models.Model], instance: models.Model, using: str, **kwargs: Any
) -> None:
    model = sender._meta.concrete_model or sender
    if model in _registry:
        mute = is_mute(model, instance.pk, using)
        instance.__dict__[_DELETING] = (
            None if mute else rows.load(model, instance.pk, using, lock=True)
        )


def _after_delete(
    sender: type[models.Model], instance: models.Model, using: str, **kwargs: Any
) -> None:
    before = instance.__dict__.pop(_DELETING, None)
    # None: in silence, or another transaction deleted it first and told so.
    if before is not None:
        drafts = _registry[type(before)].on_delete(before, timezone.now())
        if drafts:
            outbox.record(drafts, using=using)


_HANDLERS = (
    (signals.pre_save, _before_save),
    (signals.post_save, _after_save),
    (signals.pre_delete, _before_delete),
    (signals.post_delete, _after_delete),
)
signals.class_prepared.connect(_connect_later)


def _is_alone(sender: type[models.Model]) -> bool:
    """Whether nothing but ours listens to a save, so that nothing comes after."""
    return sum(map(len, signals.post_save._live_receivers(sender))) == 1


def _tellers(sender: type[models.Model]) -> list[type[models.Model]]:
    """The registered models that a save of `sender` writes a row of: its own, its parents'."""
    model = sender._meta.concrete_model or sender
    return [each for each in (model, *model._meta.all_parents) if each in _registry]


def is_mute(model: type[models.Model], pk: Any, using: str) -> bool:
    """Whether what happens to the row now is not told, or by another."""
    return is_silenced() or any(
        each.model is model and each.using == using and pk in each.pks for each in watched.get()
    )
