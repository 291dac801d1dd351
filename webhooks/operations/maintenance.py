"""What is to be done now and then, a slice of time at once."""

from __future__ import annotations

import logging
import time

from django.db import OperationalError

from . import partitions
from .expiry import cancel_expired
from .forget import erase_late
from .prune import prune

logger = logging.getLogger("webhooks.operations")

SLICE_SECONDS = 30.0


def maintain(*, seconds: float = SLICE_SECONDS) -> bool:
    """Forget what is past WEBHOOKS["RETENTION_DAYS"], cancelling what waited for a stopped webhook
    until then, finish erasures that were cut short, and
    make the partitions of the coming months.

    Harmless when many do it at once: what one of them is at, the others pass over.

    :param seconds: after which the rest is left for the next time.
    :returns: whether something may be left.
    """
    until = time.monotonic() + seconds

    def out_of_time() -> bool:
        return time.monotonic() > until

    try:
        partitions.roll()
    except OperationalError:
        logger.warning("The coming months get their partitions another time: tables are in use.")
    erase_late()
    cancel_expired(stop=out_of_time)
    prune(stop=out_of_time)
    return out_of_time()
