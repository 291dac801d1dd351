"""Headers that users add to their webhooks: which may be sent, and which may be shown. Pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

MAX_HEADERS = 20
MAX_NAME_LENGTH = 100  # characters
MAX_VALUE_LENGTH = 2000
MAX_TOTAL_LENGTH = 8192  # of names and values; a usual server takes 8 KiB of headers in all
MASK = "••••••••"

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 5.6.2
# RFC 9110 5.5 without obs-text: beyond ASCII no two servers read the same.
VALUE = re.compile(r"[\x20-\x7e]*")

#: What frames a request (RFC 9112 6, RFC 9110 7.6.1): another length or host than was sent lets
#: a request be read as two. Set by the transport alone.
FRAMING = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "max-forwards",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
    }
)
#: What says how the body is to be read, which the format decides, and who is calling: receivers
#: allow, count and complain by `User-Agent`; its value is a setting of whoever runs the system.
_OURS = frozenset(
    {
        "content-encoding",
        "content-language",
        "content-location",
        "content-md5",
        "content-range",
        "content-type",
        "digest",
        "user-agent",
    }
)
#: The signatures and ids of our formats, and what only a trusted proxy may say of a caller.
_OUR_PREFIXES = (
    "x-webhook-",
    "webhook-",
    "x-twenty-webhook-",
    "x-wh-signature",
    "x-ghl-signature",
    "x-forwarded-",
    "forwarded",
    "x-real-ip",
    "sec-",
    "proxy-",
)

_DATE = r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT"
_TYPE = r"(?:application|image|multipart|text)/[a-z.+-]{1,40}"
_CODINGS = r"(?:chunked|gzip|deflate|br|zstd|identity)"
# Of an answer: what says how a server answered, where it is of the form that has nothing to tell of
# anybody. A receiver may write anything under any name.
_HARMLESS = {
    "connection": r"(?i:close|keep-alive)",
    "content-encoding": _CODINGS,
    "content-length": r"[0-9]{1,12}",
    "content-type": rf"{_TYPE}(?:; ?charset=[\w-]{{1,20}})?",
    "date": _DATE,
    "retry-after": rf"[0-9]{{1,7}}|{_DATE}",
    "server": r"[A-Za-z-]{1,30}(?:/[0-9.]{1,20})?",
    "transfer-encoding": _CODINGS,
}

_SECRET_NAME = re.compile(
    r"auth(?!or(?!i[sz]))|cookie|token|key|secret|passw|senha|segredo|chave|credential|session|jwt|bearer",
    re.IGNORECASE,
)


def is_harmless(name: str, value: str) -> bool:
    """Whether an answer's header may be shown to who may not see what receivers wrote."""
    form = _HARMLESS.get(name.lower())
    return form is not None and re.fullmatch(form, value) is not None


class HeadersRefused(ValueError):
    """A header that may not be added; the text says which, and why, in words.

    :ivar code: `number`, `size`, `name`, `reserved`, `repeated` or `value`.
    :ivar name: of the header, "" where it is about all of them.
    """

    def __init__(self, code: str, message: Promise | str, **params: Any) -> None:
        super().__init__(code)
        self.code = code
        self.name = str(params.get("name", ""))
        self._message = message
        self._params = params

    @property
    def message(self) -> str:
        return str(self._message) % self._params

    def __str__(self) -> str:
        return self.message


def check_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers as they will be sent: white space around values removed.

    :param headers: name → value, as a user entered them.
    :raises HeadersRefused: one of them may not be sent, or they are too many or too long.
    """
    if len(headers) > MAX_HEADERS:
        raise HeadersRefused(
            "number",
            _("There are %(number)d headers; at most %(max)d are allowed."),
            number=len(headers),
            max=MAX_HEADERS,
        )
    checked: dict[str, str] = {}
    seen: set[str] = set()
    for name, value in headers.items():
        _check_name(name)
        if name.lower() in seen:
            raise HeadersRefused(
                "repeated", _("The header %(name)s is there more than once."), name=name
            )
        seen.add(name.lower())
        checked[name] = _check_value(name, value)
    total = sum(len(name) + len(value) for name, value in checked.items())
    if total > MAX_TOTAL_LENGTH:
        raise HeadersRefused(
            "size",
            _("The headers have %(total)d characters in all; at most %(max)d are allowed."),
            total=total,
            max=MAX_TOTAL_LENGTH,
        )
    return checked


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not TOKEN.fullmatch(name) or len(name) > MAX_NAME_LENGTH:
        raise HeadersRefused(
            "name",
            _(
                "%(name)s is no name of a header: it may have up to %(max)d letters, digits and "
                "hyphens, without spaces."
            ),
            name=ascii(name)[:MAX_NAME_LENGTH],
            max=MAX_NAME_LENGTH,
        )
    # Servers that follow CGI read _ as -, so that X_Webhook_Id would be X-Webhook-Id to them.
    plain = name.lower().replace("_", "-")
    if plain in FRAMING or plain in _OURS or plain.startswith(_OUR_PREFIXES):
        raise HeadersRefused(
            "reserved",
            _("The header %(name)s is set by this system and cannot be added."),
            name=name,
        )


def _check_value(name: str, value: Any) -> str:
    stripped = value.strip(" \t") if isinstance(value, str) else None
    if stripped is None or not VALUE.fullmatch(stripped) or len(stripped) > MAX_VALUE_LENGTH:
        # The value may be a secret: it is not repeated here.
        raise HeadersRefused(
            "value",
            _(
                "The value of the header %(name)s cannot be sent: it must be one line of up to "
                "%(max)d characters without accents."
            ),
            name=name,
            max=MAX_VALUE_LENGTH,
        )
    return stripped


def mask_headers(headers: Mapping[str, str], secret_names: Collection[str] = ()) -> dict[str, str]:
    """The headers as they may be logged and shown: secret values replaced by dots.

    :param secret_names: further names whose values are secret, in any letter case; also masked
        are names that look like a credential's. Signatures are not: they are what people compare
        when a receiver refuses them, and no key can be told from one.
    """
    secret = {name.lower() for name in secret_names}
    return {
        name: MASK if name.lower() in secret or _sounds_secret(name) else value
        for name, value in headers.items()
    }


@functools.lru_cache(maxsize=1024)
def _sounds_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None
