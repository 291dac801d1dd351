"""Makes a bearer token for a user, and prints it this once."""

from __future__ import annotations

import argparse
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from api_common import tokens
from api_common.models import Token


class Command(BaseCommand):
    help = (
        "Make a bearer token for the API, with the rights of its user, and print it. It is kept "
        "nowhere: whoever loses it makes another. --revoke ends the user's tokens instead."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", help="the user in whose name the token acts")
        parser.add_argument(
            "--name", default="api_token", help="what uses it (default: %(default)s)"
        )
        parser.add_argument(
            "--days",
            type=_days,
            default=tokens.DEFAULT_DAYS,
            help="days until it expires (default: %(default)s)",
        )
        instead = parser.add_mutually_exclusive_group()
        instead.add_argument("--list", action="store_true", help="list the user's tokens instead")
        instead.add_argument(
            "--revoke",
            metavar="PREFIX",
            help="revoke the user's tokens that begin so (“all” for every one)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        users = get_user_model()
        try:
            user = users._default_manager.get_by_natural_key(options["username"])
        except users.DoesNotExist:
            raise CommandError(f"There is no user “{options['username']}”.") from None
        if options["list"]:
            self._list(user)
        elif options["revoke"] is not None:
            self._revoke(user, options["revoke"])
        else:
            self._create(user, options["name"], options["days"])

    def _create(self, user: Any, name: str, days: int) -> None:
        if not user.is_active:
            raise CommandError(f"“{user}” is not active, so a token of theirs would open nothing.")
        try:
            token, text = tokens.create(
                user, name, expires_at=timezone.now() + timedelta(days=days)
            )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        self.stderr.write(
            f"Token “{token.name}” of {user}, until {token.expires_at:%Y-%m-%d}. "
            "It is shown this once:"
        )
        self.stdout.write(text)

    def _list(self, user: Any) -> None:
        for token in Token.objects.filter(user=user):
            state = "revoked" if token.revoked_at else "usable" if token.usable else "expired"
            used = f"{token.last_used_at:%Y-%m-%d %H:%M}" if token.last_used_at else "never"
            self.stdout.write(
                f"{token.prefix}…  {token.name}  {state}, until {token.expires_at:%Y-%m-%d}, "
                f"last used: {used}"
            )

    def _revoke(self, user: Any, prefix: str) -> None:
        if not prefix:
            raise CommandError("--revoke needs the beginning of a token, or “all”.")
        found = Token.objects.filter(user=user, revoked_at=None)
        if prefix != "all":
            found = found.filter(prefix__startswith=prefix.rstrip("…")[:16])
        revoked = sum(token.revoke() for token in found)
        if not revoked:
            raise CommandError(f"No token of “{user}” in force begins so.")
        self.stdout.write(f"Revoked: {revoked}.")


def _days(text: str) -> int:
    try:
        days = int(text)
    except ValueError:
        days = 0
    if not 1 <= days <= tokens.MAX_DAYS:
        raise argparse.ArgumentTypeError(f"give a number of days from 1 to {tokens.MAX_DAYS}")
    return days
