"""A running supervisor with the words that tests need."""

import asyncio
from collections.abc import Callable

from dmsinit.plan import Plan, Service
from dmsinit.supervisor import Reason, State, Supervisor


class Bench:
    """A running supervisor with the words that tests need."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor

    async def run(self, *services: Service) -> None:
        await self.supervisor.converge(Plan(fqdn="mail.example.test", services=services), [], Reason.BOOT)

    async def until(self, name: str, *states: State, and_: Callable[[], bool] = lambda: True) -> None:
        unit = self.supervisor.unit(name)
        async with asyncio.timeout(20):
            while unit.state not in states or not and_():
                await unit.changed.wait()

    def pid(self, name: str) -> int:
        child = self.supervisor.unit(name).tree.child
        assert child is not None
        return child.pid

    def history(self, name: str) -> list[tuple[str, str]]:
        return [(e.to_state, e.reason) for e in self.supervisor.world.events.recent if e.service == name]
