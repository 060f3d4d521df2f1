"""Restart delays: at once, then doubling with jitter up to a bound; forgetting after health; giving up."""

from hypothesis import given
from hypothesis import strategies as st

from dmsinit.plan import Restart
from dmsinit.supervisor.backoff import Backoff


def delays(policy: Restart, count: int, healthy: float = 0.0) -> list[float | None]:
    backoff = Backoff(policy, dice=lambda: 1.0)
    return [backoff.next_delay(lived_healthy_seconds=healthy, now=float(i)) for i in range(count)]


def test_the_first_restart_is_at_once_and_the_next_double() -> None:
    assert delays(Restart(), 8) == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_a_given_delay_is_the_first_and_the_base() -> None:
    assert delays(Restart(delay_seconds=0.5, max_delay_seconds=3), 5) == [0.5, 0.5, 1.0, 2.0, 3.0]


def test_health_forgets_the_past() -> None:
    assert delays(Restart(reset_after_seconds=60), 4, healthy=60.0) == [0.0] * 4


def test_gives_up_after_so_many_restarts_within_the_time() -> None:
    assert delays(Restart(give_up_after=2, give_up_within_seconds=60), 3)[2] is None
    assert None not in delays(Restart(give_up_after=2, give_up_within_seconds=1), 10)


@given(st.floats(0, 100), st.floats(0, 1000), st.lists(st.tuples(st.floats(0, 1), st.floats(0, 120)), max_size=50))
def test_every_delay_is_within_its_bounds(delay: float, most: float, lives: list[tuple[float, float]]) -> None:
    dice = iter([dice for dice, _ in lives])
    backoff = Backoff(Restart(delay_seconds=delay, max_delay_seconds=most), dice=lambda: next(dice))
    for _, healthy in lives:
        got = backoff.next_delay(lived_healthy_seconds=healthy, now=0.0)
        assert got is not None
        assert 0 <= got <= max(most, delay)
