"""Did the kernel's out-of-memory killer strike in this container? Counters of the memory controller, v2 and v1."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

COUNTERS: Final = (
    ("/sys/fs/cgroup/memory.events", "oom_kill"),  # v2, cgroup namespace of the container
    ("/sys/fs/cgroup/memory/memory.oom_control", "oom_kill"),  # v1 and hybrid
)
"""See Documentation/admin-guide/cgroup-v2.rst (memory.events) and cgroup-v1/memory.rst (memory.oom_control)."""


class OomKills:
    """The kills of this container, each told to one death only.

    The kernel counts and does not name: a death by SIGKILL counts as one of the out-of-memory killer's when there was a
    kill since that process began that no other death has claimed. Limit: after a kill that hit a helper process of a
    service, a `kill -9` of its main process by hand is told as out of memory, too.
    """

    def __init__(self, counters: Sequence[tuple[str, str]] = COUNTERS) -> None:
        self._counters = counters
        self._claimed = 0

    def count(self) -> int | None:
        """Return how many processes of this container were killed so far, or None where no counter is to be had."""
        for path, key in self._counters:
            try:
                lines = Path(path).read_bytes().splitlines()  # no text: its codec would have to be loaded
            except OSError:
                continue
            for line in lines:
                name, _, value = line.partition(b" ")
                if name == key.encode() and value.strip().isdigit():
                    return int(value)
        return None

    def claim(self, count_before: int | None) -> bool:
        """Say whether there was a kill since the count was `count_before`, and claim it for one death."""
        if count_before is None:
            return False
        claimed = max(self._claimed, count_before)
        if (self.count() or 0) <= claimed:
            return False
        self._claimed = claimed + 1
        return True
