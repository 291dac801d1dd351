"""Code to paste into a receiver, so that it verifies what it gets."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from ..signing import ED25519, RSA_SHA256

_SHARED = (
    ("python", "Python", "verify.py.txt"),
    ("node", "Node.js", "verify.js.txt"),
    ("php", "PHP", "verify.php.txt"),
    ("curl", "curl", "send.sh.txt"),
)
_TWENTY = (
    ("python", "Python", "verify-twenty.py.txt"),
    ("node", "Node.js", "verify-twenty.js.txt"),
    ("php", "PHP", "verify-twenty.php.txt"),
    ("curl", "curl", "send-twenty.sh.txt"),
)
_PUBLIC = (
    ("python", "Python", "verify-ed25519.py.txt"),
    ("node", "Node.js", "verify-ed25519.js.txt"),
    ("php", "PHP", "verify-ed25519.php.txt"),
    # Nobody but this system can sign, so there is nothing to send with curl.
    ("openssl", "OpenSSL", "verify-ed25519.sh.txt"),
)
_OF_BODY = (
    ("python", "Python", "verify-body.py.txt"),
    ("node", "Node.js", "verify-body.js.txt"),
    ("php", "PHP", "verify-body.php.txt"),
    ("openssl", "OpenSSL", "verify-body.sh.txt"),
)


@dataclass(frozen=True)
class Snippet:
    id: str
    title: str
    code: str


@sensitive_variables("secret")
def snippets(secret: str, format: str = "sistema-crm") -> list[Snippet]:
    """The secret for the environment, then the code, which reads it from there: of HMAC.

    :param format: the webhook's.
    """
    files = _TWENTY if format == "twenty" else _SHARED
    return _with_environment({"WEBHOOK_SECRET": secret}, files)


def public_snippets(public_keys: Mapping[str, str]) -> list[Snippet]:
    """The same with public keys, by algorithm: of Ed25519 alone as Standard Webhooks signs, of both
    kinds as LeadConnector does."""
    if RSA_SHA256 not in public_keys:
        return _with_environment({"WEBHOOK_PUBLIC_KEY": public_keys[ED25519]}, _PUBLIC)
    names = {
        "WEBHOOK_RSA_PUBLIC_KEY": public_keys[RSA_SHA256],
        "WEBHOOK_ED25519_PUBLIC_KEY": public_keys[ED25519],
    }
    return _with_environment(names, _OF_BODY)


@sensitive_variables("values", "environment")
def _with_environment(
    values: Mapping[str, str], files: Sequence[tuple[str, str, str]]
) -> list[Snippet]:
    folder = resources.files("webhooks") / "templates" / "webhooks" / "snippets"
    environment = ""
    for name, value in values.items():
        environment += f"export {name}={shlex.quote(value.strip())}\n"
    return [
        Snippet("environment", _("Environment"), environment),
        *(
            Snippet(id, title, (folder / file).read_text(encoding="utf-8"))
            for id, title, file in files
        ),
    ]
