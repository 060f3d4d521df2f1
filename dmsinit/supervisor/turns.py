"""Who waits for which reload of a service."""

import asyncio

from dmsinit.supervisor.errors import OperationFailed


class Turns:
    """The reloads of one service: one at a time; all who wait when one begins are served by it."""

    def __init__(self) -> None:
        self.running = asyncio.Lock()
        self.wished = 0
        self.served = 0
        self.failure: OperationFailed | None = None
