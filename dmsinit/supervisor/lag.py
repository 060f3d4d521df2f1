"""How late the event loop is. Nothing ticks for this: it is seen where something is due anyway."""

import time
from collections.abc import Callable
from typing import Final

_WINDOW_SECONDS: Final = 60.0
"""As long as Prometheus' usual scrape interval."""


class Lag:
    """The longest delay of the last one to two minutes, however many people ask for it.

    It is noted when a health probe's pause is over (how much later than asked for) and by each scrape (how long a turn
    of the event loop takes). A delay while nothing was due is not seen.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._longest = 0.0
        self._longest_before = 0.0

    def note(self, seconds: float) -> None:
        """Take a delay into account."""
        self._turn()
        self._longest = max(self._longest, seconds)

    def longest(self) -> float:
        """Return the longest delay in seconds."""
        self._turn()
        return max(self._longest, self._longest_before)

    def _turn(self) -> None:
        """Begin a new window when this one is over."""
        now = self._clock()
        age = now - self._began
        if age >= _WINDOW_SECONDS:
            self._longest_before = self._longest if age < 2 * _WINDOW_SECONDS else 0.0
            self._longest, self._began = 0.0, now
