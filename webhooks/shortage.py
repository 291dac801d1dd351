"""What this machine may run short of, and which errors say so. No receiver is to blame for them.

A shortage is written `code: words`; `failures` has a sentence for each code.
"""

from __future__ import annotations

import errno
import os
import socket
import time

_BY_ERRNO = {
    errno.EMFILE: "sockets",
    errno.ENFILE: "sockets",
    errno.ENOMEM: "memory",
    errno.ENOBUFS: "memory",
    errno.ENOSPC: "disk",
    errno.EDQUOT: "disk",
}
_PROBED = 4  # files: a lookup of a name, or of a certificate, needs as many at once
_LATELY_SECONDS = 2.0

_last: tuple[float, str] = (-1e9, "")


def of(error: BaseException | None) -> str:
    """The shortage that an error, or one that led to it, tells of; "" where it is another kind."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        code = _code(error)
        if code:
            words = getattr(error, "strerror", None) or str(error) or type(error).__name__
            return note(f"{code}: {words}")
        error = error.__cause__ or error.__context__
    return ""


def _code(error: BaseException) -> str:
    if isinstance(error, MemoryError) or getattr(error, "reason", None) == "MALLOC_FAILURE":
        return "memory"
    if isinstance(error, socket.gaierror):
        return "memory" if error.errno == socket.EAI_MEMORY else ""
    if isinstance(error, OSError):
        return _BY_ERRNO.get(error.errno or 0, "")
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return "threads"
    return ""


def note(shortage: str) -> str:
    """Remember it: what fails in the same moment may fail for the same reason and say another."""
    global _last  # noqa: PLW0603
    _last = (time.monotonic(), shortage)
    return shortage


def forget() -> None:
    """For tests: what was short in one is not in the next."""
    global _last  # noqa: PLW0603
    _last = (-1e9, "")


def behind(error: BaseException) -> str:
    """As `of`; also for errors that may hide a shortage.

    A resolver that can open no socket says that there is no such name, and OpenSSL that can open no
    file says that a certificate is not trusted.
    """
    return of(error) or now() or _lately()


def now() -> str:
    """Whether this process can open a few files at this moment."""
    opened = []
    try:
        for _ in range(_PROBED):
            opened.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return of(error)
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return ""


def _lately() -> str:
    at, shortage = _last
    return shortage if time.monotonic() - at < _LATELY_SECONDS else ""
