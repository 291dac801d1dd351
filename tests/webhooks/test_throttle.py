"""How much is sent at a time while the machine is short of something."""

from __future__ import annotations

from itertools import pairwise

from webhooks.throttle import Throttle


def test_nothing_is_slowed_down_while_nothing_lacks():
    throttle = Throttle(128)
    throttle.go_well()
    throttle.look(1000.0)
    assert (throttle.allowed, throttle.lacking, throttle.is_pausing(0.0)) == (128, "", False)


def test_a_shortage_halves_what_may_be_under_way_once_a_moment_and_pauses():
    throttle = Throttle(128)
    for _ in range(50):
        throttle.run_short("sockets", 10.0, under_way=40)
    assert (throttle.allowed, throttle.lacking, throttle.slowed) == (20, "sockets", 1)
    assert throttle.is_pausing(10.1)
    assert not throttle.is_pausing(10.5)


def test_pauses_grow_while_nothing_goes_well_and_are_bounded():
    throttle, now, pauses = Throttle(128), 0.0, []
    for _ in range(12):
        throttle.run_short("sockets", now, under_way=1)
        begun = now
        while throttle.is_pausing(now):
            now += 0.05
        pauses.append(round(now - begun, 1))
    assert pauses == sorted(pauses)
    assert pauses[0] < 0.5
    assert 5 < pauses[-1] < 11
    assert throttle.allowed == 1
    throttle.go_well()
    throttle.run_short("sockets", now, under_way=1)
    assert not throttle.is_pausing(now + 0.5)


def test_once_it_is_over_it_sends_more_little_by_little_until_all_is_as_before():
    throttle = Throttle(128)
    throttle.run_short("sockets", 0.0, under_way=2)
    allowed = []
    for second in range(60):
        throttle.look(float(second))
        allowed.append(throttle.allowed)
    assert allowed[4] == 1
    assert allowed == sorted(allowed)
    assert max(later - before for before, later in pairwise(allowed)) <= 8
    assert (allowed[-1], throttle.lacking) == (128, "")


def test_few_slots_grow_by_one_at_least():
    throttle = Throttle(2)
    throttle.run_short("threads", 0.0, under_way=2)
    assert throttle.allowed == 1
    throttle.look(60.0)
    assert (throttle.allowed, throttle.lacking) == (2, "")
