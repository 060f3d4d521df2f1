"""When a service is asked again."""

import math

from hypothesis import given
from hypothesis import strategies as st

from dmsinit.plan import Health, Probe
from dmsinit.supervisor.probing import until_asked_again, until_next

INTERVALS = st.floats(0.05, 3600)
MOMENTS = st.floats(0, 1e7)


@given(INTERVALS, MOMENTS)
def test_wait_is_the_interval_or_up_to_a_third_less(interval: float, now: float) -> None:
    wait = until_next(Health(probe=Probe(kind="tcp"), interval_seconds=interval), now)
    assert interval * 2 / 3 - 1e-6 <= wait <= interval


@given(st.lists(MOMENTS, min_size=2, max_size=20))
def test_services_of_one_interval_share_three_moments_an_interval(readies: list[float]) -> None:
    health = Health(probe=Probe(kind="smtp"), interval_seconds=15.0)
    asked = [now + until_next(health, now) for now in readies]
    assert all(math.isclose(moment, round(moment / 5) * 5, abs_tol=1e-6) for moment in asked)


@given(MOMENTS)
def test_watchdog_gets_all_the_time_it_was_told(now: float) -> None:
    assert until_next(Health(probe=Probe(kind="notify"), interval_seconds=2.0), now) == 2.0


@given(st.floats(0, 120), st.floats(0, 30))
def test_answer_is_noticed_a_twentieth_late_at_most(waited: float, asking: float) -> None:
    pause = until_asked_again(waited, asking)
    assert 0.002 <= pause <= 0.1
    if asking <= waited * 0.05:
        assert pause <= max(0.002, waited * 0.05)


def test_probe_that_takes_long_leaves_the_daemon_as_long_alone() -> None:
    assert until_asked_again(0.2, 0.06) == 0.06
