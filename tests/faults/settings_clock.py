"""The project's settings for a worker whose wall clock differs by what the file `CLOCK` says."""

import datetime as dt
import os
import time
from pathlib import Path

from django.utils import timezone

from crm_project.settings import *  # noqa: F403

_FILE = Path(os.environ["CLOCK"])
_real_time, _real_now = time.time, timezone.now


def _seconds() -> int:
    return int(_FILE.read_text())


def _time() -> float:
    return _real_time() + _seconds()


def _now() -> dt.datetime:
    return _real_now() + dt.timedelta(seconds=_seconds())


time.time, timezone.now = _time, _now
