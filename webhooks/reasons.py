"""Why a webhook is paused or disabled: kept as what it was, told in the language of who reads it.

What a person wrote is kept, and told, as it was written.
"""

from __future__ import annotations

import json
from typing import Any

from django.utils.translation import gettext_lazy

_TEXTS = {
    "by": gettext_lazy("by %(user)s"),
    "gone": gettext_lazy("It answered 410 Gone."),
    "failing": gettext_lazy(
        "%(failures)d of the %(attempts)d attempts of the last %(days)g days failed."
    ),
}


def known(name: str, **values: Any) -> str:
    """One of the reasons above, as it is kept."""
    return json.dumps({"reason": name, **values}, ensure_ascii=False)


def told(kept: str) -> str:
    """A reason as it is read, translated."""
    try:
        values = json.loads(kept) if kept.startswith("{") else {}
        text = _TEXTS.get(str(values.get("reason")))
        return kept if text is None else str(text) % values
    except (ValueError, TypeError, KeyError):  # what a person wrote may look like one
        return kept
