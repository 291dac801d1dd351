"""The project's settings for a worker whose SQLite file cannot grow while `DISK_IS_FULL` exists.

The limit is SQLite's own, and so is the error.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db.backends.signals import connection_created

from crm_project.settings import *  # noqa: F403

_MARK = Path(os.environ["DISK_IS_FULL"])
_NO_LIMIT = 1_073_741_823


def _limited(
    execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    # A limit below the present size means the present size.
    limit = 1 if _MARK.exists() else _NO_LIMIT
    context["connection"].connection.execute(f"PRAGMA max_page_count = {limit}")
    return execute(sql, params, many, context)


def _limit(connection: Any, **kwargs: Any) -> None:
    if _limited not in connection.execute_wrappers:
        connection.execute_wrappers.append(_limited)


connection_created.connect(_limit)
