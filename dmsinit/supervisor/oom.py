"""Did the kernel's out-of-memory killer strike in this container?"""

from dmsinit.base.cgroup import Hierarchy, find, oom_kills


class OomKills:
    """The kills in this container's cgroup, each attributed to one death only.

    The kernel counts and does not name: a death by SIGKILL counts as one of the out-of-memory killer's when there was a
    kill since that process began that no other death has claimed. Limit: after a kill that hit a helper process of a
    service, a `kill -9` of its main process by hand is reported as out of memory, too.

    `hierarchy` is where memory is counted, found once: the container's cgroup does not change while it lives.
    """

    def __init__(self, hierarchy: Hierarchy | None = None) -> None:
        self._hierarchy = hierarchy or find()
        self._claimed = 0

    def count(self) -> int | None:
        """Return how many processes of this container were killed so far, or None where nothing counts them."""
        return oom_kills(self._hierarchy) if self._hierarchy is not None else None

    def claim(self, count_before: int | None) -> bool:
        """Return whether there was a kill since the count was `count_before`, and claim it for one death."""
        if count_before is None:
            return False
        claimed = max(self._claimed, count_before)
        if (self.count() or 0) <= claimed:
            return False
        self._claimed = claimed + 1
        return True
