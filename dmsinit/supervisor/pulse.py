"""A moment that many may wait for, again and again."""

import asyncio


class Pulse:
    """`fire` wakes everybody who waits at that moment; who waits later waits for the next one."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def fire(self) -> None:
        event, self._event = self._event, asyncio.Event()
        event.set()

    async def wait(self) -> None:
        await self._event.wait()
