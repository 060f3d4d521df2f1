"""Descriptors kept for the moment when there are none left: finding and ending processes must work then, too.

Contract: `hold` takes them, early; inside `lent`, which must neither await nor be nested, as many may be opened as are
held, also when the process has no other descriptor left.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

_HELD: Final = 3
"""One look at a process beside a pidfd, and one more."""


class Reserve:
    """A few descriptors of /dev/null; lent again and again."""

    def __init__(self) -> None:
        self._held: list[int] = []

    def hold(self) -> None:
        """Take what is missing of them, as far as there are any."""
        with suppress(OSError):
            while len(self._held) < _HELD:
                self._held.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Give them up within; nothing inside may wait, or others would take them."""
        while self._held:
            os.close(self._held.pop())
        try:
            yield
        finally:
            self.hold()


RESERVE: Final = Reserve()
"""The one of this process: descriptors are the process's, not a supervisor's."""
