"""What a failed attempt's kind and detail mean, in a sentence for a person: what happened, and
what to do about it. Pure."""

from __future__ import annotations

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

# By kind and by the code that `detail` begins with; "" for the kind's other codes.
_SENTENCES: dict[str, dict[str, Promise | str]] = {
    "dns": {
        "": _("The receiver's name could not be found. Check the address for typing errors."),
        "timeout": _(
            "Nobody answered in time where the receiver's name leads. Its name servers may be "
            "out of order; ask whoever runs them."
        ),
    },
    "blocked": {
        "": _("The address may not be called. Correct it in the webhook's settings."),
        "network": _(
            "The receiver's name leads to an address that is not on the public internet, so "
            "nothing was sent. Whoever runs this system may allow its network."
        ),
        "port": _(
            "The address has a port that may not be called, so nothing was sent. Use the usual "
            "port, or ask whoever runs this system to allow this one."
        ),
        "https_required": _(
            "The address begins with http://, which is not encrypted, so nothing was sent. Use "
            "https://."
        ),
        "credentials": _(
            "The address contains a name or password, so nothing was sent. Put them in a header."
        ),
    },
    "connect": {
        "": _("The connection to the receiver failed. Check that it is running and reachable."),
        "refused": _(
            "The receiver's computer refused the connection: nothing is listening there. Check "
            "that the receiver is running, and the port in the address."
        ),
        "unreachable": _(
            "The receiver's network could not be reached. Check the address, and that no firewall "
            "stands between."
        ),
        "reset": _(
            "The receiver closed the connection without an answer. Look into its log: it may have "
            "crashed, or a firewall may have stepped in."
        ),
    },
    "tls": {
        "": _(
            "No encrypted connection could be made. Check that the receiver speaks HTTPS on this "
            "port, with TLS 1.2 or newer."
        ),
        "expired": _("The receiver's certificate has expired. It must be renewed."),
        "not_yet_valid": _(
            "The receiver's certificate is not valid yet. Check the date it was issued for, and "
            "the clocks."
        ),
        "self_signed": _(
            "The receiver's certificate is signed by itself, so nobody vouches for it. It needs "
            "one from a recognised authority."
        ),
        "untrusted": _(
            "The receiver's certificate comes from an authority that is not recognised here. "
            "Often the receiver does not send the intermediate certificate: check its chain."
        ),
        "revoked": _("The receiver's certificate has been revoked. It needs a new one."),
        "wrong_host": _(
            "The receiver's certificate is for another name. Use the name it was issued for, or "
            "have one issued for this name."
        ),
    },
    "timeout": {
        "": _(
            "The receiver did not answer within %(timeout)s. It should answer at once and do its "
            "work afterwards."
        ),
        "connect": _(
            "The connection was not made within %(timeout)s. The receiver may be off, or a "
            "firewall may swallow what is sent to it."
        ),
        "tls": _("The encrypted connection was not made within %(timeout)s."),
        "send": _("The receiver did not take what was sent within %(timeout)s."),
        "body": _(
            "The receiver began to answer but did not finish within %(timeout)s. It should answer "
            "at once and do its work afterwards."
        ),
    },
    "protocol": {
        "": _(
            "What came back is not a valid HTTP answer. Check that the address leads to a web "
            "server."
        ),
        "truncated": _("The connection ended before the answer did. Look into the receiver's log."),
        "reset": _("The connection broke within the answer. Look into the receiver's log."),
        "too_much": _("The headers of the answer are larger than any should be."),
        "upgrade": _("The receiver wanted to change to another protocol, which nobody asked for."),
    },
    "redirect": {
        "": _(
            "The receiver answered with a redirect (%(status)s), which is never followed. Enter "
            "the address that it points to."
        ),
    },
    "status": {
        "": _("The receiver answered with status %(status)s. Look into its log."),
        "401": _(
            "The receiver wants to know who is calling (401). Check the secret, or the "
            "authentication in the webhook's settings."
        ),
        "403": _(
            "The receiver refused the request (403). Check the secret, and that it lets these "
            "requests through."
        ),
        "404": _(
            "The receiver knows no such address (404). Check the path in the webhook's address."
        ),
        "405": _(
            "The receiver takes no POST requests at this address (405). Check the path in the "
            "webhook's address."
        ),
        "410": _("The receiver says that this address is gone for good (410)."),
        "413": _("The event is larger than the receiver accepts (413). Raise its limit."),
        "429": _("The receiver gets more requests than it wants (429). It will be given time."),
        "2xx": _(
            "The receiver answered with status %(status)s, but the webhook's format takes another "
            "one for success. Freshmarketer's, for one, takes 200 alone."
        ),
        "4xx": _(
            "The receiver refused the request with status %(status)s. Its answer may say why; "
            "otherwise look into its log."
        ),
        "5xx": _(
            "The receiver failed with status %(status)s while it handled the event. Look into its "
            "log."
        ),
    },
    "format": {
        "": _(
            "The request could not be built, so nothing was sent. Check the webhook's format and "
            "headers."
        ),
        "header": _(
            "A header of this webhook cannot be sent, so nothing was. Correct it in the webhook's "
            "settings."
        ),
        "placeholder": _(
            "The webhook's address has a {{placeholder}} that this event cannot fill, so nothing "
            "was sent. Correct the address, or subscribe to events that have that value."
        ),
        "property": _(
            "A property of your own became too long when it was filled in, so nothing was sent. "
            "Correct it in the webhook's settings."
        ),
    },
    "internal": {
        "": _("Something went wrong on our side, not the receiver's. It will be tried again."),
        "sockets": _(
            "This system has no free connections left. Whoever runs it should raise its limit of "
            "open files."
        ),
        "ports": _(
            "This system has no port left for another connection, so nothing was sent. The "
            "receiver is not to blame. Try again in a minute; whoever runs this system should "
            "widen its range of ports."
        ),
        "memory": _(
            "This system ran out of memory, so nothing was sent. The receiver is not to blame. "
            "Whoever runs this system should give it more."
        ),
        "threads": _(
            "This system can start no more threads, so nothing was sent. The receiver is not to "
            "blame. Whoever runs this system should raise its limit of processes."
        ),
        "lookups": _(
            "This system was looking up too many other names, so nothing was sent. The receiver is "
            "not to blame. Try again in a minute; whoever runs this system should check its name "
            "servers."
        ),
        "disk": _(
            "This system's disk is full, so nothing was sent. The receiver is not to blame. "
            "Whoever runs this system should make room."
        ),
        "certificates": _(
            "This system cannot read the certificates by which it knows whom to trust, so nothing "
            "was sent. The receiver is not to blame. Whoever runs this system should check those "
            "files."
        ),
    },
}


def sentence(
    error: str, *, detail: str = "", status: int | None = None, timeout: float | None = None
) -> str:
    """A sentence or two in the language now active; "" where nothing failed.

    :param error: a value of `models.Attempt.Error`.
    :param detail: of the `TransportError`, whose code chooses among the kind's sentences.
    :param status: the HTTP status, where one arrived.
    :param timeout: the seconds that the attempt had.
    """
    if not error:
        return ""
    sentences = _SENTENCES.get(error, _SENTENCES["internal"])
    codes = [detail.partition(":")[0]]
    if error == "status" and status is not None:
        codes = [str(status), f"{status // 100}xx"]
    chosen = next((sentences[code] for code in codes if code in sentences), sentences[""])
    return str(chosen) % {"status": status or "?", "timeout": _seconds(timeout)}


_LEAST_SECONDS = 0.5  # that any webhook gives


def had(timeout: float, duration_ms: int) -> float:
    """The seconds that an attempt had which ran out of them: a test for which a web request waits
    has fewer than its webhook's deliveries.

    :param timeout: those of its deliveries.
    """
    took = round(duration_ms / 1000, 1)
    return min(timeout, took) if took >= _LEAST_SECONDS else timeout


def _seconds(timeout: float | None) -> Any:
    if timeout is None:
        return _("the time allowed")
    return _("%(seconds)s s") % {"seconds": f"{timeout:g}"}
