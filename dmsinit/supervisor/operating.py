"""Operating on one service, and seeing it through: each returns when the service is where it has to be.

Contract: OperationFailed says why it is not to be, with the last lines of the service.
"""

from dmsinit.log import Log
from dmsinit.supervisor.errors import OperationFailed
from dmsinit.supervisor.relations import Relations
from dmsinit.supervisor.reloading import reload
from dmsinit.supervisor.rereading import reread
from dmsinit.supervisor.states import ANSWERING, Reason, State
from dmsinit.supervisor.unit import Unit


class Operating:
    """Operates on units that have these relations."""

    def __init__(self, relations: Relations, log: Log) -> None:
        self._relations = relations
        self._log = log

    async def start(self, unit: Unit, reason: Reason) -> None:
        """Make it run, and return when it is ready."""
        before = unit.starts - (1 if unit.state is State.STARTING or unit.state in ANSWERING else 0)
        unit.want_up(reason)
        await self.until_up(unit, before, "start")

    async def restart(self, unit: Unit, reason: Reason) -> None:
        """Begin a new life, and return when it is ready."""
        before = unit.starts
        unit.want_restart(reason)
        await self.until_up(unit, before, "restart")

    async def stop(self, unit: Unit, reason: Reason) -> None:
        """Stop it and what requires it, and return when nothing of it is left."""
        self._relations.bring_down(unit, reason)
        while not unit.at_rest:
            await unit.changed.wait()

    async def until_up(self, unit: Unit, starts_before: int, verb: str) -> None:
        """Return when a life that began after `starts_before` is ready; raise OperationFailed when it is not to be."""
        while True:
            began = unit.starts > starts_before
            if began and unit.fulfilled:
                return
            if began and unit.state in (State.FAILED, State.BACKOFF, State.EXITED):
                raise unit.failed(f"cannot {verb} {unit.name}: {unit.detail}", unit.hint())
            if not unit.wanted and unit.state in (State.STOPPED, State.DISABLED):
                raise unit.failed(f"cannot {verb} {unit.name}: somebody stopped it meanwhile")
            if unit.state is State.WAITING and (obstacle := self._relations.obstacle(unit)):
                raise unit.failed(f"cannot {verb} {unit.name}: it requires {obstacle}")
            await unit.changed.wait()

    async def take_up(self, unit: Unit, reason: Reason) -> None:
        """Make a service run with its changed files: where it does not reload, by starting it anew."""
        before = unit.starts
        try:
            await reload(unit, reason)
        except OperationFailed as failure:
            if not unit.wanted:  # somebody stopped it meanwhile
                return
            self._log.warn(f"{failure}; {unit.name} is started anew with the changed configuration")
            if unit.starts == before:
                await self.restart(unit, reason)
            else:  # it has ended of the reload, and its next life has read what is new
                await self.until_up(unit, before, "restart")

    async def take_in(self, unit: Unit) -> None:
        """Wait until it works with what it reads by itself; one that does not run yet begins with what is new."""
        if unit.state in ANSWERING:
            await reread(unit)
        elif unit.wanted:
            begun = unit.state in (State.STARTING, State.BACKOFF, State.FAILED)
            await self.until_up(unit, unit.starts - (1 if begun else 0), "use the new files of")
