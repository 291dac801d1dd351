"""Move every stored secret to the first of WEBHOOKS["ENCRYPTION_KEYS"].

A rotation is: put the new key first and keep the old one behind it, restart every process, run
this command, and remove the old key once `--check` says that nothing needs it any more.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, models, router, transaction
from django.db.models import ExpressionWrapper, F
from django.db.models.lookups import Exact
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from tqdm import tqdm

from webhooks.fields import (
    EncryptionKeyMissing,
    Sealed,
    SealedTextField,
    SecretUnreadable,
    fernet,
)
from webhooks.management import arguments

UNREADABLE_SHOWN = 50
TRIES = 3  # for a secret that changes while it is moved; whoever changes it will not do so for ever


@dataclass
class Tally:
    """What was found, in secrets."""

    current: int = 0  # under the first key already
    moved: int = 0  # under another key: re-encrypted, or would be
    unreadable: list[str] = field(default_factory=list)


class Command(BaseCommand):
    help = _(
        "Re-encrypts every stored secret under the first of the encryption keys "
        "(WEBHOOKS_ENCRYPTION_KEYS). Can be stopped and run again at any time. "
        "Exit codes: 0 done, 1 some secrets cannot be read by any key, "
        "2 there is no usable key."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        only_look = parser.add_mutually_exclusive_group()
        only_look.add_argument(
            "--check",
            action="store_true",
            help=_("change nothing; tell what cannot be read and what still needs an older key"),
        )
        only_look.add_argument(
            "--dry-run", action="store_true", help=_("change nothing; count what would be changed")
        )
        parser.add_argument(
            "--batch-size",
            type=arguments.positive,
            default=200,
            help=_("rows at a time (default: 200)"),
        )
        parser.add_argument(
            "--database", default=DEFAULT_DB_ALIAS, help=_("which database (default: “default”)")
        )

    def handle(
        self, *, check: bool, dry_run: bool, batch_size: int, database: str, **options: Any
    ) -> None:
        try:
            fernet()
        except EncryptionKeyMissing as error:
            raise CommandError(str(error), returncode=2) from error

        tally = Tally()
        quiet = options["verbosity"] == 0
        tables = list(sealed_tables(database))
        total = sum(_rows(model, database).count() for model, _fields in tables)
        with tqdm(
            total=total, unit=_("row"), file=sys.stderr, disable=True if quiet else None
        ) as progress:
            for model, fields in tables:
                for batch in _batches(model, fields, database, batch_size):
                    _move(batch, model, fields, database, tally, write=not (check or dry_run))
                    progress.update(len(batch))
        self._report(tally, check=check, dry_run=dry_run, quiet=quiet)

    def _report(self, tally: Tally, *, check: bool, dry_run: bool, quiet: bool) -> None:
        if check:
            text = _("%(current)d secrets are under the first key, %(moved)d still need another.")
        elif dry_run:
            text = _("%(moved)d secrets would be re-encrypted; %(current)d need no change.")
        else:
            text = _("%(moved)d secrets were re-encrypted; %(current)d needed no change.")
        if not quiet:
            self.stdout.write(text % {"moved": tally.moved, "current": tally.current})
        if check and not quiet and not tally.unreadable:
            self.stdout.write(
                _("Before the older keys can be removed, run this command without --check.")
                if tally.moved
                else _("The other keys can be removed.")
            )
        if tally.unreadable:
            shown = tally.unreadable[:UNREADABLE_SHOWN]
            if len(tally.unreadable) > len(shown):
                rest = len(tally.unreadable) - len(shown)
                shown.append(_("… and %(count)d more") % {"count": rest})
            raise CommandError(
                ngettext(
                    "%(count)d secret cannot be read, because the key that encrypted it is not in "
                    "WEBHOOKS_ENCRYPTION_KEYS. Put it back at the end of the list, or store a new "
                    "secret:\n  %(list)s",
                    "%(count)d secrets cannot be read, because the key that encrypted them is not "
                    "in WEBHOOKS_ENCRYPTION_KEYS. Put it back at the end of the list, or store new "
                    "secrets:\n  %(list)s",
                    len(tally.unreadable),
                )
                % {"count": len(tally.unreadable), "list": "\n  ".join(shown)},
                returncode=1,
            )


def sealed_tables(
    database: str,
) -> Iterator[tuple[type[models.Model], list[SealedTextField]]]:
    """Every model with sealed columns of its own that lives in this database, and those columns."""
    for model in apps.get_models(include_auto_created=True):
        options = model._meta
        if options.proxy or not router.allow_migrate_model(database, model):
            continue
        fields = [each for each in options.local_fields if isinstance(each, SealedTextField)]
        if fields:
            yield model, fields


def _rows(model: type[models.Model], database: str) -> models.QuerySet[Any]:
    # Not through a manager: those leave rows out, deleted webhooks for one.
    return models.QuerySet(model, using=database)


def _batches(
    model: type[models.Model], fields: list[SealedTextField], database: str, size: int
) -> Iterator[list[tuple[Any, ...]]]:
    names = [each.attname for each in fields]
    rows = _rows(model, database).order_by("pk").values_list("pk", *names)
    batch = list(rows[:size])
    while batch:
        yield batch
        batch = list(rows.filter(pk__gt=batch[-1][0])[:size])


def _move(
    batch: list[tuple[Any, ...]],
    model: type[models.Model],
    fields: list[SealedTextField],
    database: str,
    tally: Tally,
    *,
    write: bool,
) -> None:
    """Re-encrypt a batch. Encrypts first and writes then, so that no lock waits for it."""
    changes = []
    for pk, *secrets in batch:
        for column, sealed in zip(fields, secrets, strict=True):
            if (new := _resealed(sealed, model, pk, column, tally)) is not None:
                changes.append((pk, column, sealed, new))
    if not (write and changes):
        return
    with transaction.atomic(using=database):
        overtaken = [change for change in changes if not _replace(model, database, *change)]
    for pk, column, _old, _new in overtaken:
        _follow(model, database, pk, column, tally)


def _resealed(
    sealed: Sealed | None, model: type[models.Model], pk: Any, column: SealedTextField, tally: Tally
) -> Sealed | None:
    """The secret under the first key; None where there is nothing to do. Counts it."""
    if not sealed:
        return None
    if sealed.is_current():
        tally.current += 1
        return None
    try:
        new = sealed.resealed()
    except SecretUnreadable:
        tally.unreadable.append(f"{model._meta.label} {pk} {column.name}")
        return None
    tally.moved += 1
    return new


def _replace(
    model: type[models.Model],
    database: str,
    pk: Any,
    column: SealedTextField,
    old: Sealed,
    new: Sealed,
) -> bool:
    """Write `new` if the column still holds `old`: a secret changed meanwhile must stay."""
    token_now = ExpressionWrapper(F(column.attname), output_field=models.TextField())
    unchanged = _rows(model, database).filter(Exact(token_now, old.token), pk=pk)
    return unchanged.update(**{column.attname: new}) == 1


def _follow(
    model: type[models.Model], database: str, pk: Any, column: SealedTextField, tally: Tally
) -> None:
    """A secret that someone changed meanwhile: perhaps by a process that has the old keys only."""
    tally.moved -= 1
    for _try in range(TRIES):
        found = _rows(model, database).filter(pk=pk).values_list(column.attname, flat=True)
        sealed: Any = found.first()  # None also where the row is gone
        attempt = Tally()
        new = _resealed(sealed, model, pk, column, attempt)
        if new is None or _replace(model, database, pk, column, sealed, new):
            tally.current += attempt.current
            tally.moved += attempt.moved
            tally.unreadable += attempt.unreadable
            return
    raise CommandError(
        _("%(model)s %(pk)s changes all the time; run this command again later.")
        % {"model": model._meta.label, "pk": pk},
        returncode=1,
    )
