"""Receivers, and the name servers that lead to them, that do what they should not."""

from __future__ import annotations

from tests.faults.catalogue import POSTGRESQL, fault
from tests.faults.scene import CREATED, Scene, assert_invariant
from tests.receivers import hostile
from tests.webhooks.makers import a_webhook
from webhooks.models import Attempt, Webhook

PROMISE = "Its deliveries fail and say why; the others do not notice"


def _bad(name: str, url: str, *, hangs: bool) -> Webhook:
    """The webhook of a receiver that fails; of one that hangs, soon."""
    return a_webhook(
        name=name,
        url=url,
        events=[CREATED],
        retry_schedule=[0, 0.5],
        timeout_seconds=1.0 if hangs else None,
    )


def _beside_a_healthy_one(scene: Scene, bad: list[Webhook], **changes: str) -> None:
    scene.worker(WEBHOOKS_SUSPECT_AFTER_SECONDS="1", **changes)
    scene.roll_back(2)
    scene.save(5, every=0.05)
    assert_invariant(scene, failed=bad)
    assert scene.outcome.duplicates == 0


def _errors(webhooks: list[Webhook]) -> set[str]:
    return set(
        Attempt.objects.filter(delivery__webhook__in=webhooks).values_list("error", flat=True)
    )


@fault(
    "A receiver {case}",
    promise=PROMISE,
    databases=(POSTGRESQL,),
    cases={
        "takes requests and never answers": (hostile.hang, {"timeout"}),
        "accepts connections and reads nothing": (hostile.hang_unread, {"timeout"}),
        "answers a byte now and then": (hostile.trickle_body, {"timeout"}),
        "resets the connection": (hostile.reset, {"connect", "protocol"}),
        "closes the connection at once": (hostile.drop, {"connect", "protocol"}),
        "ends in the middle of its answer": (
            hostile.saying(hostile.HEAD + b"Content-Length: 100\r\n\r\n", b"half of"),
            {"protocol"},
        ),
        "answers garbage": (hostile.saying(b"\x00\xff\x16 not HTTP at all\r\n\r\n"), {"protocol"}),
        "answers without end": (hostile.endless_headers, {"protocol"}),
    },
)
def test_hostile_receiver(scene: Scene, case: tuple[hostile.Behaviour, set[str]]) -> None:
    behaviour, errors = case
    scene.receiver()
    with hostile.Receiver(behaviour) as receiver:
        bad = [_bad("bad", receiver.url, hangs="timeout" in errors)]
        _beside_a_healthy_one(scene, bad)
        assert _errors(bad) <= errors
        assert not any(b"Never" in request.body for request in receiver.requests)


@fault(
    "Eight receivers hang at the same time",
    promise="Each delivery fails and says why; the healthy ones keep their pace",
    databases=(POSTGRESQL,),
)
def test_many_hanging_receivers(scene: Scene) -> None:
    scene.receiver("one")
    scene.receiver("two")
    with hostile.Receiver(hostile.hang) as receiver:
        bad = [_bad(f"bad {number}", receiver.url, hangs=True) for number in range(8)]
        _beside_a_healthy_one(scene, bad)


@fault(
    "Names {case}",
    promise=PROMISE,
    databases=(POSTGRESQL,),
    cases={
        "are not found": ["fails.test"],
        "cannot be asked for now": ["breaks.test"],
        "hang at the name server": [f"{number}.hangs.test" for number in range(5)],
    },
)
def test_names(scene: Scene, case: list[str]) -> None:
    healthy, watched = scene.receiver()
    healthy.url = watched.url.replace("127.0.0.1", "works.test")
    healthy.save()
    bad = [
        _bad(name, watched.url.replace("127.0.0.1", name), hangs="hangs" in name) for name in case
    ]
    _beside_a_healthy_one(scene, bad, DJANGO_SETTINGS_MODULE="tests.faults.settings_dns")
    assert _errors(bad) <= {"dns", "timeout"}
