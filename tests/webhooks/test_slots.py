"""Fair shares of a worker's slots: what never happens, whatever comes in which order."""

from __future__ import annotations

from collections import Counter, deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from webhooks.slots import Slots

AFTER = 1.0  # seconds until a receiver is a suspect


def slots(total: int = 8, per_receiver: int = 2, share: float = 0.25) -> Slots[str, int]:
    return Slots(total, per_receiver=per_receiver, suspect_share=share, suspect_after=AFTER)


def start_all(shared: Slots[str, int], now: float = 0.0) -> list[tuple[int, int]]:
    shared.look(now)
    started = []
    while (found := shared.next(now)) is not None:
        started.append(found)
    return started


def tried(shared: Slots[str, int], *keys: str) -> Slots[str, int]:
    """Each has answered once."""
    for key in keys:
        shared.put(key, -1)
        shared.look(0.0)
        found = shared.next(0.0)
        assert found is not None
        shared.done(key, found[0], slow=False)
    return shared


def fill(shared: Slots[str, int], **jobs: int) -> None:
    """So many jobs for each receiver, numbered within it."""
    for key, count in jobs.items():
        for number in range(count):
            shared.put(key, number)


# --- examples ---------------------------------------------------------------------------------


def test_receivers_take_turns_whatever_waits_for_each():
    shared = tried(slots(total=100, per_receiver=100, share=1.0), "busy", "calm", "other")
    fill(shared, busy=6)
    shared.put("calm", 10)
    shared.put("other", 20)
    assert [job for _ticket, job in start_all(shared)] == [0, 10, 20, 1, 2, 3, 4, 5]


def test_none_has_more_in_flight_than_its_cap_and_a_free_place_is_taken_again():
    shared = tried(slots(total=100, per_receiver=3), "a")
    fill(shared, a=10)
    started = start_all(shared)
    assert [job for _ticket, job in started] == [0, 1, 2]
    shared.done("a", started[1][0], slow=False)
    assert [job for _ticket, job in start_all(shared)] == [3]


def test_all_slots_can_be_used_and_no_more():
    shared = tried(slots(total=8, per_receiver=2), *"abcde")
    fill(shared, a=5, b=5, c=5, d=5, e=5)
    assert len(start_all(shared)) == 8
    assert shared.in_flight == 8


def test_hanging_receivers_share_a_part_of_the_slots_and_the_rest_stays_free():
    shared = slots(total=8, per_receiver=2, share=0.25)  # 2 slots for suspects
    tried(shared, "hang1", "hang2", "well")
    fill(shared, hang1=9, hang2=9)
    assert len(start_all(shared, 0.0)) == 4
    shared.look(AFTER + 0.1)
    assert shared.suspects == {"hang1", "hang2"}
    assert shared.next(AFTER + 0.1) is None
    fill(shared, well=9)
    assert len(start_all(shared, AFTER + 0.2)) == 2  # its cap


def test_a_slow_answer_makes_a_suspect_at_once_and_a_quick_one_clears_it():
    shared = tried(slots(total=8, per_receiver=4, share=0.25), "a")
    fill(shared, a=20)
    first, *_others = start_all(shared)
    shared.done("a", first[0], slow=True)
    assert shared.suspects == {"a"}
    assert shared.is_slow("a")
    assert shared.next(0.1) is None  # three are in flight, and suspects have two slots
    for ticket, _job in _others:
        shared.done("a", ticket, slow=False)
    assert not shared.is_slow("a")
    shared.look(0.2)
    assert shared.suspects == set()
    assert len(start_all(shared, 0.2)) == 4


def test_those_that_were_not_tried_share_evenly_until_their_first_request_is_over():
    shared = slots(total=12, per_receiver=3, share=0.25)  # nine slots for them and suspects
    fill(shared, a=9, b=9, c=9, d=9)
    started = start_all(shared)
    assert len(started) == 2 * 4
    shared.done("a", started[0][0], slow=None)  # it was not sent after all
    assert len(start_all(shared)) == 1
    shared.done("b", started[1][0], slow=False)
    assert len(start_all(shared)) == 12 - 7  # b has its cap, the three others have three each


def test_however_many_hang_that_were_not_tried_slots_stay_free_for_those_that_answer():
    shared = tried(slots(total=8, per_receiver=4, share=0.25), "well")
    for number in range(20):
        fill(shared, **{f"hang{number}": 4})
    assert len(start_all(shared, 0.0)) == 6
    assert len(start_all(shared, AFTER + 0.1)) == 0  # suspects now, and no room for more
    fill(shared, well=4)
    assert len(start_all(shared, AFTER + 0.2)) == 2


def test_only_what_waits_for_those_that_are_well_counts_as_ready():
    shared = slots(total=8, per_receiver=1)
    fill(shared, hang=3, own=4, well=5)
    assert shared.ready == 12
    [*_] = start_all(shared, 0.0)  # one of each
    shared.look(AFTER + 0.1, aside={"own"})
    # "well" hangs as long as "hang" does: what is outstanding is outstanding.
    assert shared.ready == 0
    shared = slots(total=8, per_receiver=1)
    fill(shared, own=4, well=5)
    shared.look(0.0, aside={"own"})
    assert (shared.waiting, shared.ready) == (9, 5)
    shared.put("own", 9)
    shared.put("well", 9)
    assert (shared.waiting, shared.ready) == (11, 6)
    shared.take_back("well", keep=1)
    assert (shared.waiting, shared.ready) == (6, 1)


def test_a_rate_limit_holds_a_receiver_back_and_no_other():
    shared = tried(slots(total=8, per_receiver=4), "slow", "free")
    fill(shared, slow=3, free=1)
    shared.not_before("slow", 5.0)
    assert [job for _t, job in start_all(shared, 4.9)] == [0]  # free's
    assert len(start_all(shared, 5.0)) == 3


def test_the_last_come_are_taken_back_first():
    shared = tried(slots(), "a")
    fill(shared, a=6)
    assert shared.take_back("a", keep=4) == [5, 4]
    assert shared.take_back("a", keep=9) == []
    assert shared.waiting == 4
    assert [job for _t, job in start_all(shared)] == [0, 1]


def test_nothing_is_remembered_of_receivers_that_are_done():
    shared = slots(total=1_000, per_receiver=1)
    for number in range(500):
        fill(shared, **{f"r{number}": 1})
        shared.not_before(f"r{number}", 1.0)
    for ticket, _job in start_all(shared, 2.0):
        shared.done(f"r{ticket - 1}", ticket, slow=False)
    shared.look(3.0)
    assert len(shared._receivers) == 0
    assert len(shared._turns) == 0
    shared.forget(set())
    assert len(shared._tried) == 0


def test_a_slow_one_is_remembered_until_it_is_no_more():
    shared = slots()
    fill(shared, a=1)
    [(ticket, _job)] = start_all(shared)
    shared.done("a", ticket, slow=True)
    assert shared.is_slow("a")
    shared.forget({"a"})
    assert shared.is_slow("a")
    shared.forget(set())
    assert len(shared._receivers) == 0


# --- in any order -----------------------------------------------------------------------------

KEYS = ("a", "b", "c", "d", "e")


class AnyOrder(RuleBasedStateMachine):
    """Puts, starts, ends, looks and takings back in any order, against a plain model."""

    @initialize(
        total=st.integers(1, 12), per_receiver=st.integers(1, 4), share=st.floats(0.01, 1.0)
    )
    def begin(self, total: int, per_receiver: int, share: float) -> None:
        self.shared = slots(total, per_receiver, share)
        self.now = 0.0
        self.made = 0
        self.waiting: dict[str, deque[int]] = {key: deque() for key in KEYS}
        self.started: dict[int, tuple[str, int, float]] = {}
        self.slow: dict[str, bool] = dict.fromkeys(KEYS, False)
        self.blocked: dict[str, float] = dict.fromkeys(KEYS, 0.0)
        self.over: list[int] = []
        self.tried: set[str] = set()
        self.aside: set[str] = set()
        # Turns that others had while a receiver could have started a job.
        self.passed_over: Counter[str] = Counter()

    def of(self, key: str) -> list[float]:
        return [since for owner, _job, since in self.started.values() if owner == key]

    def suspects_in_flight(self) -> int:
        return sum(len(self.of(key)) for key in self.shared.suspects)

    def untried(self) -> set[str]:
        return {key for key in KEYS if self.waiting[key] or self.of(key)} - self.tried

    def most_of(self, key: str) -> int:
        shared, untried = self.shared, self.untried()
        share = max(1, shared.doubtful_slots // max(1, len(untried)))
        return min(shared.per_receiver, share) if key in untried else shared.per_receiver

    def is_within_share(self, key: str) -> bool:
        doubtful = self.untried() | self.shared.suspects
        if key in self.tried | self.shared.suspects:
            return True
        return sum(len(self.of(each)) for each in doubtful) < self.shared.doubtful_slots

    def may_start(self, key: str) -> bool:
        return (
            bool(self.waiting[key])
            and len(self.started) < self.shared.total
            and len(self.of(key)) < self.most_of(key)
            and self.is_within_share(key)
            and self.blocked[key] <= self.now
            and not (
                key in self.shared.suspects
                and self.suspects_in_flight() >= self.shared.suspect_slots
            )
        )

    @rule(key=st.sampled_from(KEYS), count=st.integers(1, 5))
    def put(self, key: str, count: int) -> None:
        for _ in range(count):
            self.made += 1
            self.shared.put(key, self.made)
            self.waiting[key].append(self.made)

    @rule(seconds=st.floats(0.0, 3.0), aside=st.sets(st.sampled_from(KEYS)))
    def time_passes(self, seconds: float, aside: set[str]) -> None:
        self.now += seconds
        self.aside = aside
        self.shared.look(self.now, aside)
        hanging = {key for key in KEYS if any(self.now - since > AFTER for since in self.of(key))}
        known_slow = {key for key in KEYS if self.slow[key]}
        assert self.shared.suspects == hanging | known_slow

    @rule()
    def start(self) -> None:
        able = {key for key in KEYS if self.may_start(key)}
        found = self.shared.next(self.now)
        if found is None:
            assert not able, f"{able} could have started"
            return
        ticket, job = found
        key = next(key for key in able if self.waiting[key] and self.waiting[key][0] == job)
        assert self.waiting[key].popleft() == job  # the first come
        assert ticket not in self.started
        self.started[ticket] = (key, job, self.now)
        del self.passed_over[key]
        for other in able - {key}:
            self.passed_over[other] += 1
            assert self.passed_over[other] < 2 * len(KEYS), f"{other} starves"

    @precondition(lambda self: self.started)
    @rule(data=st.data(), slow=st.none() | st.booleans())
    def end(self, data: st.DataObject, slow: bool | None) -> None:
        ticket = data.draw(st.sampled_from(sorted(self.started)))
        key, job, _since = self.started.pop(ticket)
        self.shared.done(key, ticket, slow=slow)
        if slow is not None:
            self.slow[key] = slow
            self.tried.add(key)
        self.over.append(job)

    @rule(key=st.sampled_from(KEYS), seconds=st.floats(0.0, 5.0))
    def limit(self, key: str, seconds: float) -> None:
        self.shared.not_before(key, self.now + seconds)
        self.blocked[key] = self.now + seconds

    @rule(key=st.sampled_from(KEYS), keep=st.integers(0, 3))
    def take_back(self, key: str, keep: int) -> None:
        if not self.waiting[key]:
            return
        back = self.shared.take_back(key, keep=keep)
        expected = [self.waiting[key].pop() for _ in range(len(self.waiting[key]) - keep)]
        assert back == expected
        self.over += back

    @invariant()
    def nothing_is_lost_and_all_is_counted(self) -> None:
        if not hasattr(self, "shared"):
            return
        shared = self.shared
        waiting = {key: len(jobs) for key, jobs in self.waiting.items() if jobs}
        assert shared.waiting_for() == waiting
        assert shared.waiting == sum(waiting.values())
        assert shared.in_flight == len(self.started)
        assert self.made == shared.waiting + shared.in_flight + len(self.over)
        well = {key: n for key, n in waiting.items() if key not in shared.suspects | self.aside}
        assert shared.ready == sum(well.values())
        suspects_wait = sum(n for key, n in waiting.items() if key in shared.suspects)
        room = shared.suspect_slots - self.suspects_in_flight() - suspects_wait
        assert shared.room_for_suspects == max(0, room)

    @invariant()
    def no_bound_is_broken(self) -> None:
        if not hasattr(self, "shared"):
            return
        assert self.shared.in_flight <= self.shared.total
        assert all(len(self.of(key)) <= self.shared.per_receiver for key in KEYS)


AnyOrder.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestAnyOrder = pytest.mark.timeout(110)(AnyOrder.TestCase)
