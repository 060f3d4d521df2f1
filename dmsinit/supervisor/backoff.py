"""How long to wait before a service is started again: exponential, with full jitter, forgiving after health.

Full jitter (a random time between nothing and the exponential bound) keeps services that failed together from coming
back together. See M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

import random
from collections import deque
from collections.abc import Callable

from dmsinit.plan import Restart

_SECOND_RESTART_SECONDS = 1.0
"""Bound of the second restart where `delay` is nothing: the first is at once, a crash loop is not."""


class Backoff:
    """The memory of one service's restarts; pure but for the dice, which a test may load."""

    def __init__(self, policy: Restart, *, dice: Callable[[], float] = random.random) -> None:
        self.policy = policy
        self._dice = dice
        self._failures = 0
        self._restarts: deque[float] = deque()

    def next_delay(self, *, lived_healthy_seconds: float, now: float) -> float | None:
        """Return the seconds to wait before the next start, or None when it is time to give up.

        `lived_healthy_seconds` is how long the last process was ready; `now` is any monotonic clock.
        """
        policy = self.policy
        if lived_healthy_seconds >= policy.reset_after_seconds:
            self._failures = 0
            self._restarts.clear()
        if policy.give_up_after:
            self._restarts.append(now)
            while self._restarts and self._restarts[0] < now - policy.give_up_within_seconds:
                self._restarts.popleft()
            if len(self._restarts) > policy.give_up_after:
                return None
        self._failures += 1
        if self._failures == 1:
            return policy.delay_seconds
        first = policy.delay_seconds or _SECOND_RESTART_SECONDS
        exponent = min(self._failures - 2, 30)  # beyond it any sensible bound is reached, and floats overflow later
        bound = min(policy.max_delay_seconds, first * 2.0**exponent)
        return bound * self._dice()
