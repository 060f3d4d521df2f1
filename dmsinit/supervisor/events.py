"""The stream of transitions: kept for a while, followed by whoever wants, told to the log."""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator
from typing import Final

from dmsinit.supervisor.status import Event

KEPT: Final = 1000
_FOLLOWER_EVENTS: Final = 1000


class Events:
    """The last KEPT events, counters by (service, to, reason), and live followers."""

    def __init__(self) -> None:
        self.recent: deque[Event] = deque(maxlen=KEPT)
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self._followers: set[asyncio.Queue[Event]] = set()

    def publish(self, event: Event) -> None:
        self.recent.append(event)
        self.counts[event.service, event.to_state, event.reason] += 1
        for follower in self._followers:
            if follower.full():
                follower.get_nowait()
            follower.put_nowait(event)

    async def follow(self, limit: int) -> AsyncIterator[Event]:
        """Yield the last `limit` events, then new ones for ever; a follower that is too slow loses the oldest."""
        queue: asyncio.Queue[Event] = asyncio.Queue(_FOLLOWER_EVENTS)
        self._followers.add(queue)
        try:
            for event in list(self.recent)[-limit:] if limit > 0 else ():
                yield event
            while True:
                yield await queue.get()
        finally:
            self._followers.discard(queue)
