"""What Django's error reports leave out, beyond what they leave out by themselves.

::

    DEFAULT_EXCEPTION_REPORTER_FILTER = "webhooks.reports.ReporterFilter"
"""

from __future__ import annotations

import re
from typing import Any

from django.views.debug import SafeExceptionReporterFilter

# What comes before the @ of an address: a password, or a token.
_CREDENTIALS = re.compile(r"(?<=//)[^/@\s]*(?=@)")


class ReporterFilter(SafeExceptionReporterFilter):
    """Hides credentials within addresses too: of brokers, databases, proxies, mail servers.

    Django goes by the names of settings, and CELERY_BROKER_URL has no telling one.
    """

    def cleanse_setting(self, key: Any, value: Any) -> Any:
        cleansed = super().cleanse_setting(key, value)
        if isinstance(cleansed, str):
            return _CREDENTIALS.sub(self.cleansed_substitute, cleansed)
        return cleansed
