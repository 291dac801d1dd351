"""So many requests per user and period; fewer where one request makes much work.

Counted in Django's cache, in fixed periods and with its atomic `incr`: requests at the same moment
are all counted. Processes share a count where they share a cache (`CACHE_URL`).

Rates are `REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"]`, such as `{"user": "600/min"}`; a scope without
one is not limited.
"""

from __future__ import annotations

import time
from typing import Any

from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle, SimpleRateThrottle


class UserThrottle(BaseThrottle):
    """Counts in the scope “user”, and in `view.throttle_scope()` if that names another."""

    def __init__(self) -> None:
        self._wait: float | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        for scope in ("user", view.throttle_scope()):
            if scope is not None and not self._allow(scope, request.user.pk):
                return False
        return True

    def wait(self) -> float | None:
        return self._wait

    def _allow(self, scope: str, who: Any) -> bool:
        rate = _rate(scope)
        if rate is None:
            return True
        most, seconds = rate
        now = time.time()
        period, passed = divmod(now, seconds)
        key = f"api-throttle:{scope}:{who}:{period:.0f}"
        if cache.add(key, 1, timeout=seconds + 1):
            count = 1
        else:
            try:
                count = cache.incr(key)
            except ValueError:  # evicted since
                count = 1
        self._wait = seconds - passed
        return count <= most


def _rate(scope: str) -> tuple[int, int] | None:
    text = api_settings.DEFAULT_THROTTLE_RATES.get(scope)
    if not text:
        return None
    parse: Any = SimpleRateThrottle.parse_rate
    return parse(None, text)  # type: ignore[no-any-return]
