"""Optimistic concurrency: `ETag` names a state, `If-Match` allows a change to that state only."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from rest_framework.request import Request

from .problems import Problem

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')  # RFC 9110, 8.8.3


def etag(state: Any) -> str:
    """A strong tag of what is answered: equal states, equal tags.

    :param state: the answer, with what else there is that it does not say.
    """
    text = json.dumps(state, sort_keys=True, ensure_ascii=False, default=str)
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16)
    return f'"{digest.hexdigest()}"'


def check_if_match(request: Request, state: Any) -> None:
    """:raises Problem: 412, the request is about another state than this."""
    header = request.headers.get("If-Match")
    if header is None or header.strip() == "*":
        return
    # Compared strongly (RFC 9110, 13.1.1): a weak tag never fits.
    if etag(state) not in _TAG.findall(header):
        raise Problem("changed-meanwhile")


def not_modified(request: Request, tag: str) -> bool:
    """Whether the caller's copy is the current one (`If-None-Match`)."""
    header = request.headers.get("If-None-Match", "")
    return header.strip() == "*" or tag in (
        found.removeprefix("W/") for found in _TAG.findall(header)
    )
