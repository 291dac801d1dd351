"""Who acts, and whether it is to be told: what an event takes from its surroundings."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

# (origin, actor, the user's row); callables are asked only if something is recorded.
Acting = tuple[str, str | Callable[[], str], Callable[[], Any] | None]

_acting: ContextVar[Acting] = ContextVar("webhooks_acting", default=("system", "", None))
_silenced: ContextVar[bool] = ContextVar("webhooks_silenced", default=False)


@contextlib.contextmanager
def acting(
    origin: str, actor: str | Callable[[], str] = "", user: Callable[[], Any] | None = None
) -> Iterator[None]:
    """Events recorded inside say that they came from `origin` through `actor`.

    :param origin: a value of `Event.Origin`: "user", "api", "command", "import", "system".
    :param actor: who, such as "usuario_12" or "importar_planilha"; at most 150 characters.
    :param user: returns the user's row, or None, for audit entries.
    """
    if origin not in {"user", "api", "command", "import", "system"}:
        raise ValueError(
            f"{origin!r} is no origin of an event: use user, api, command, import or system."
        )
    token = _acting.set((origin, actor, user))
    try:
        yield
    finally:
        _acting.reset(token)


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Nothing that is saved or deleted inside is told. For imports and repairs."""
    token = _silenced.set(True)
    try:
        yield
    finally:
        _silenced.reset(token)


def is_silenced() -> bool:
    return _silenced.get()


def who() -> tuple[str, str]:
    """(origin, actor) in force."""
    origin, actor, _user = _acting.get()
    return origin, (actor() if callable(actor) else actor)[:150]


def user() -> Any:
    """The row of the user who acts; None where nobody is logged in."""
    found = _acting.get()[2]
    return None if found is None else found()
