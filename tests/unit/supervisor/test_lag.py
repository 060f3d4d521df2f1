"""The longest delay stays visible for one to two windows."""

from dmsinit.supervisor.lag import Lag


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_longest_delay_is_kept_however_often_it_is_read() -> None:
    lag = Lag(Clock())
    for seconds in (0.002, 0.3, 0.001):
        lag.note(seconds)
    assert (lag.longest(), lag.longest()) == (0.3, 0.3)


def test_a_delay_is_shown_for_at_least_a_minute_and_at_most_two() -> None:
    clock = Clock()
    lag = Lag(clock)
    clock.now += 59
    lag.note(0.3)
    clock.now += 60
    assert lag.longest() == 0.3
    lag.note(0.1)
    clock.now += 59
    assert lag.longest() == 0.3
    clock.now += 2
    assert lag.longest() == 0.1


def test_after_a_long_silence_nothing_old_is_shown() -> None:
    clock = Clock()
    lag = Lag(clock)
    lag.note(0.3)
    clock.now += 500
    assert lag.longest() == 0
