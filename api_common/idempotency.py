"""`Idempotency-Key`: a request that is repeated is answered again, not done again.

A change that is one transaction keeps its answer in that very transaction: both, or neither. What
cannot be one (a test event that is sent and waited for) is announced first, and its answer kept
afterwards. Where two requests with the same key meet, the second is told so at once (409).

Failures are not kept: a request that was refused may be corrected, and tried with the same key.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from cryptography.fernet import Fernet
from django.db import DEFAULT_DB_ALIAS, connections, router, transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from .models import KeptAnswer
from .problems import Problem, invalid

KEPT_FOR = timedelta(hours=24)
# Longer than any request lives: a webhook's test waits for 30 s at most.
BUSY_FOR = timedelta(minutes=2)
HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
KEPT_HEADERS = ("Location", "ETag", "Cache-Control")
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_SALT = "api_common.idempotency"
_CLEAN_EVERY = 50  # requests with a key
_CLEAN_AT_MOST = 1_000  # rows

Perform = Callable[[], Response]


def nothing() -> None:
    """For what needs no preparation."""


@sensitive_variables()
def answer(
    request: Request,
    perform: Perform,
    *,
    atomic: bool = True,
    prepare: Callable[[], None] = nothing,
) -> Response:
    """The answer to a request that changes something.

    :param perform: does it; raises what went wrong.
    :param atomic: whether to do it in one transaction.
    :param prepare: called before that begins, unless the request was answered before.
    :raises Problem: 409, the same request is under way; 422, the key came with another request.
    """
    # Keys are each user's own; what is open to everybody changes nothing.
    named = request.method == "POST" and request.user.is_authenticated
    key = request.headers.get(HEADER) if named else None
    if key is None:
        prepare()
        if not atomic:
            return perform()
        with transaction.atomic():
            return perform()
    if not _KEY.fullmatch(key):
        raise invalid(
            HEADER, _("Give 1 to 255 printable characters, such as a UUID."), place="header"
        )
    once: _Once = _Once(request, key)
    if prepare is not nothing and (kept := once.kept()) is not None:
        return kept
    prepare()
    return once.in_one_transaction(perform) if atomic else once.step_by_step(perform)


class _Once:
    @sensitive_variables()
    def __init__(self, request: Request, key: str) -> None:
        self.user: Any = request.user
        named = f"{self.user.pk}:{key}"
        self.key_digest = salted_hmac(_SALT + ".name", named, algorithm="sha256").hexdigest()
        secret = salted_hmac(_SALT + ".seal", named, algorithm="sha256").digest()
        self.fernet = Fernet(base64.urlsafe_b64encode(secret))
        what = f"{request.method} {request.get_full_path()}\n".encode() + request._request.body
        self.request_digest = hashlib.sha256(what).hexdigest()

    def in_one_transaction(self, perform: Perform) -> Response:
        with transaction.atomic():
            if (kept := self._kept_locked()) is not None:
                return kept
            response = perform()
            self._row(answer=self._seal(response)).save(force_insert=True)
        return response

    def step_by_step(self, perform: Perform) -> Response:
        with transaction.atomic():
            if (kept := self._kept_locked()) is not None:
                return kept
            row = self._row(busy_until=timezone.now() + BUSY_FOR)
            row.save(force_insert=True)
        try:
            response = perform()
        except BaseException:
            row.delete()
            raise
        row.answer, row.busy_until = self._seal(response), None
        row.save(update_fields=["answer", "busy_until"])
        return response

    def _kept_locked(self) -> Response | None:
        """The same; until the transaction ends, no other request with this key gets past here."""
        if not self._alone():
            raise Problem("request-in-progress", headers={"Retry-After": "1"})
        return self.kept()

    def kept(self) -> Response | None:
        """The answer of before, if there is one."""
        # From where it is written: a replica that has not heard of it would have all done twice.
        rows = KeptAnswer.objects.using(router.db_for_write(KeptAnswer))
        row = rows.filter(user=self.user, key_digest=self.key_digest).first()
        if row is None:
            return None
        now = timezone.now()
        if row.created_at <= now - KEPT_FOR or (row.busy_until and row.busy_until <= now):
            row.delete()
            return None
        if row.request_digest != self.request_digest:
            raise Problem("idempotency-key-reused")
        if row.busy_until:
            raise Problem("request-in-progress", headers={"Retry-After": "1"})
        return self._open(row.answer)

    def _alone(self) -> bool:
        connection = connections[DEFAULT_DB_ALIAS]
        if connection.vendor != "postgresql":
            # SQLite lets one transaction write at a time; elsewhere the constraint decides.
            return True
        # A lock rather than the row: waiting for another's uncommitted row would hold a worker.
        lock = int.from_bytes(bytes.fromhex(self.key_digest[:16]), signed=True)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [lock])
            return bool(cursor.fetchone()[0])

    def _row(self, **values: object) -> KeptAnswer:
        if int(self.key_digest[-4:], 16) % _CLEAN_EVERY == 0:
            transaction.on_commit(forget_old, robust=True)
        return KeptAnswer(
            user=self.user,
            key_digest=self.key_digest,
            request_digest=self.request_digest,
            **values,
        )

    @sensitive_variables()
    def _seal(self, response: Response) -> str:
        kept = {
            "status": response.status_code,
            "headers": {name: response[name] for name in KEPT_HEADERS if name in response},
            "data": None
            if response.data is None
            else JSONRenderer().render(response.data).decode(),
        }
        return self.fernet.encrypt(json.dumps(kept).encode()).decode()

    @sensitive_variables()
    def _open(self, sealed: str) -> Response:
        kept = json.loads(self.fernet.decrypt(sealed))
        data = None if kept["data"] is None else json.loads(kept["data"])
        return Response(data, status=kept["status"], headers={**kept["headers"], REPLAYED: "true"})


def forget_old() -> int:
    """Delete answers nobody can ask for any more, some at a time."""
    old = KeptAnswer.objects.filter(created_at__lte=timezone.now() - KEPT_FOR)
    ids = list(old.order_by("created_at").values_list("pk", flat=True)[:_CLEAN_AT_MOST])
    return KeptAnswer.objects.filter(pk__in=ids).delete()[0]
