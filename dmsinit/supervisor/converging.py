"""A new Plan on its way into force: what was done at once, and the reloads that are under way."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from dmsinit.plan import Action
from dmsinit.supervisor.errors import OperationFailed


class Converging:
    """`actions` is all that is done; `reloaded` waits for those services that go on answering while they reload.

    `again` are the services that were ill before, and are only tried once more.
    """

    def __init__(self, actions: list[Action], again: Sequence[str] = ()) -> None:
        self.actions = actions
        self.again = again
        self._reloads: list[asyncio.Task[None]] = []

    def add(self, reloading: Coroutine[Any, Any, None]) -> None:
        """Carry out a reload that nobody waits for before `reloaded`."""
        self._reloads.append(asyncio.get_running_loop().create_task(reloading))

    async def failures(self) -> list[OperationFailed]:
        """Return what went wrong, when all reloads have ended."""
        failures = []
        for task in self._reloads:
            try:
                await asyncio.shield(task)
            except OperationFailed as failure:
                failures.append(failure)
        return failures

    async def reloaded(self) -> None:
        """Return when all services run with what is new; OperationFailed when one does not."""
        if failures := await self.failures():
            raise together(failures)


def together(failures: Sequence[OperationFailed]) -> OperationFailed:
    """Return one failure that says what all of them say."""
    lines = [line for failure in failures for line in failure.log_lines]
    return OperationFailed("\n".join(str(failure) for failure in failures), log_lines=lines)
