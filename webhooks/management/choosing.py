"""How the commands are told which deliveries."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser
from django.utils.translation import gettext as _

from .. import patterns
from . import arguments


def add_arguments(
    parser: CommandParser, *, statuses: Iterable[str], default: str, dated: str
) -> None:
    """The options by which deliveries are chosen.

    :param statuses: that can be asked for, besides “all”.
    :param dated: what a delivery was at the moments that are compared.
    """
    parser.add_argument(
        "--webhook", metavar="ID|NAME", help="only of this webhook (its id or its name)"
    )
    parser.add_argument(
        "--event-type",
        metavar="PATTERN",
        type=_pattern,
        action="append",
        default=[],
        help="only these events: cliente.criado, 'cliente.*', '*.criado'; may be repeated",
    )
    parser.add_argument(
        "--status",
        choices=[*statuses, "all"],
        default=str(default),
        help=f"only deliveries in this status (default: {default})",
    )
    parser.add_argument(
        "--since",
        type=arguments.since,
        metavar="WHEN",
        help=f"{dated} since: 2h, 7d, 2024-01-31 or 2024-01-31T10:00 (in the project's zone)",
    )
    parser.add_argument(
        "--until",
        type=arguments.until,
        metavar="WHEN",
        help=f"{dated} before, likewise; a date means its end",
    )
    parser.add_argument(
        "--id",
        type=_id,
        action="append",
        default=[],
        dest="ids",
        metavar="ID",
        help="only this delivery (123) or the deliveries of this event (evt_…), if --status "
        "fits; may be repeated",
    )


def chosen(options: dict[str, Any]) -> dict[str, Any]:
    """What was asked for, as fields of a `DeliveryFilter`; not the status nor the moments.

    :raises CommandError: there is no such webhook.
    """
    ids = options["ids"]
    return {
        "webhook": arguments.webhook(options["webhook"]) if options["webhook"] else None,
        "event_patterns": tuple(options["event_type"]),
        "ids": tuple(id for id in ids if isinstance(id, int)),
        "event_ids": tuple(id for id in ids if isinstance(id, UUID)),
    }


def _pattern(text: str) -> str:
    try:
        return patterns.check(text)
    except patterns.PatternRefused as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _id(text: str) -> int | UUID:
    """A delivery's number, or an event's `evt_…` or UUID."""
    if text.isascii() and text.isdecimal() and len(text) < 19:
        return int(text)
    try:
        return UUID(text.removeprefix("evt_"))
    except ValueError:
        raise argparse.ArgumentTypeError(
            _("“%(text)s” is no id of a delivery (123) nor of an event (evt_…).")
            % {"text": text[:100]}
        ) from None
