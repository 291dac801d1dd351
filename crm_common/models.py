"""The abstract bases of the CRM's records."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import models, router, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from . import public_ids


class Record(models.Model):
    """A record with a public id that knows when it was made and last changed."""

    PUBLIC_PREFIX: ClassVar[str]

    created_at = models.DateTimeField(
        _("created at"), default=timezone.now, editable=False, db_index=True
    )
    updated_at = models.DateTimeField(_("updated at"), auto_now=True, db_index=True)

    class Meta:
        abstract = True

    def save(
        self,
        *,
        force_insert: Any = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """As Django's, but `updated_at` is written whenever anything is."""
        if update_fields is None:
            # Were it deferred (`.only("nome")`), Django would leave it out of the UPDATE.
            self.updated_at = timezone.now()
        elif update_fields := set(update_fields):
            update_fields.add("updated_at")
        super().save(
            force_insert=force_insert,
            force_update=force_update,
            using=using,
            update_fields=update_fields,
        )

    @property
    def public_id(self) -> str:
        return public_ids.public_id(self.PUBLIC_PREFIX, self.pk)


class InvalidTransition(ValidationError):
    """A record may not go from the status it has to the one asked for."""

    def __init__(self, record: StatusRecord, before: str, after: str) -> None:
        self.before, self.after = before, after
        following = record.TRANSITIONS.get(before, ())
        named = ", ".join(_status_name(record, status) for status in following)
        if named:
            message = _("%(before)s cannot become %(after)s. It can become: %(following)s.")
        else:
            message = _("%(before)s cannot become %(after)s: it is final.")
        params = {
            "before": _status_name(record, before),
            "after": _status_name(record, after),
            "following": named,
        }
        super().__init__(
            {"status": ValidationError(message, code="invalid_transition", params=params)}
        )


def _status_name(record: StatusRecord, status: str) -> str:
    """`Concluída (CONCLUIDA)`: the word for people, the value for those who call the API."""
    labels = dict(record._meta.get_field("status").flatchoices)
    return f"{labels.get(status, status)} ({status})"


class StatusRecord(Record):
    """A record whose `status` changes only along `TRANSITIONS`.

    The status a record comes *from* is what the database holds, read and locked when a change
    of status is saved: the copy in memory may be minutes old, and two people acting on the same
    record must not both be right. That read is the only cost, and is paid only when an existing
    row's status is written.

    A new record may begin in any status, so that history can be imported. `QuerySet.update()` and
    `bulk_update()` pass by the table; constraints still hold STATUS_COLUMNS to the status.
    """

    status: str  # the subclass's field
    # For every status, those it may become, in the order people are told of them.
    TRANSITIONS: ClassVar[Mapping[str, Collection[str]]]
    # Columns that follow from the status; subclasses keep them right in `apply_status`.
    STATUS_COLUMNS: ClassVar[tuple[str, ...]] = ()

    class Meta:
        abstract = True

    def save(
        self,
        *,
        force_insert: Any = False,
        force_update: bool = False,
        using: str | None = None,
        update_fields: Iterable[str] | None = None,
    ) -> None:
        """As Django's; raises InvalidTransition where the status may not change so."""
        using = self._database(using)
        if update_fields is not None:
            update_fields = set(update_fields)
        with _atomic(using):
            # A deferred status is in neither `__dict__` nor the UPDATE that Django will make.
            if "status" in self.__dict__ and (update_fields is None or "status" in update_fields):
                is_new = force_insert or (self._state.adding and self.pk is None)
                stored = None if is_new else self._stored_status(using)
                self._check_transition(stored["status"] if stored else None)
                self.apply_status(stored)
                if update_fields is not None:
                    update_fields.update(self.STATUS_COLUMNS)
            super().save(
                force_insert=force_insert,
                force_update=force_update,
                using=using,
                update_fields=update_fields,
            )

    def clean(self) -> None:
        """Refuses, for a form, what `save()` would refuse."""
        super().clean()
        if self.status not in self.TRANSITIONS:
            return  # the field's choices say so already
        stored = None if self._state.adding else self._stored_status(self._database(None))
        self._check_transition(stored["status"] if stored else None)
        # Before the constraints that hold status and dates together are validated.
        self.apply_status(stored)

    def apply_status(self, stored: Mapping[str, Any] | None) -> None:
        """Sets STATUS_COLUMNS for the status about to be saved.

        `stored` is the row as it is in the database ("status" and STATUS_COLUMNS), or None for
        a new record.
        """

    def change_status(self, status: str, **values: Any) -> bool:
        """Saves `status`, and `values` with it, leaving the row's other columns alone.

        False, and nothing is written, when the row has that status already: asking twice is
        harmless. Raises InvalidTransition where it may not become so.
        """
        using = self._database(None)
        with transaction.atomic(using=using):
            stored = self._stored_status(using)
            if stored is not None and stored["status"] == status:
                self.refresh_from_db(fields=["status", *self.STATUS_COLUMNS])
                return False
            names = {"status", *values, *self.STATUS_COLUMNS}
            before = {name: getattr(self, name) for name in names}
            for name, value in {"status": status, **values}.items():
                setattr(self, name, value)
            try:
                self.save(using=using, update_fields=["status", *values])
            except Exception:
                # What could not be saved must not linger in memory, for a later save() to meet.
                for name, value in before.items():
                    setattr(self, name, value)
                raise
        return True

    def _check_transition(self, before: str | None) -> None:
        if self.status not in self.TRANSITIONS:
            raise ValidationError(
                {
                    "status": ValidationError(
                        _("There is no status “%(status)s”. There are: %(statuses)s."),
                        code="invalid_choice",
                        params={
                            "status": str(self.status)[:40],
                            "statuses": ", ".join(self.TRANSITIONS),
                        },
                    )
                }
            )
        if before is None or before == self.status:
            return
        # A status that the table no longer knows (a row from an older release) may go anywhere.
        if self.status not in self.TRANSITIONS.get(before, self.TRANSITIONS):
            raise InvalidTransition(self, before, self.status)

    def _stored_status(self, using: str) -> dict[str, Any] | None:
        """What the database says, its row locked until the end of the transaction, if in one."""
        rows = type(self)._base_manager.using(using).filter(pk=self.pk)
        if transaction.get_connection(using).in_atomic_block:
            # NO KEY: rows that point at this one may still be inserted meanwhile.
            rows = rows.select_for_update(no_key=True)
        # Not `first()`, whose ORDER BY would cost as much as the rest: it is one row.
        return next(iter(rows.values("status", *self.STATUS_COLUMNS)), None)

    def _database(self, using: str | None) -> str:
        return using or router.db_for_write(type(self), instance=self)


def _atomic(using: str) -> AbstractContextManager[object]:
    """A transaction, without a savepoint where one is open already."""
    if transaction.get_connection(using).in_atomic_block:
        return nullcontext()
    return transaction.atomic(using=using)
