"""All services together: order at start and stop, operations by people, and converging to a new Plan."""

import os
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final, Literal

import anyio
import anyio.abc
import msgspec

from dmsinit.plan import Action, Change, Plan, actions, dependencies
from dmsinit.supervisor.converging import Converging, together
from dmsinit.supervisor.errors import NoSuchService, OperationFailed
from dmsinit.supervisor.handover import UnitState
from dmsinit.supervisor.life import Life
from dmsinit.supervisor.operating import Operating
from dmsinit.supervisor.proctree import Process, Snapshot
from dmsinit.supervisor.relations import Relations
from dmsinit.supervisor.reloading import reload
from dmsinit.supervisor.reserve import RESERVE
from dmsinit.supervisor.retries import retries
from dmsinit.supervisor.runtime import Runtime
from dmsinit.supervisor.states import ANSWERING, Reason, State
from dmsinit.supervisor.status import ServiceStatus
from dmsinit.supervisor.suspension import Suspension
from dmsinit.supervisor.transfer import hand_over, take_over
from dmsinit.supervisor.tree import signal_number
from dmsinit.supervisor.unit import Unit
from dmsinit.supervisor.whole import Whole

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_PAUSE_AFTER_DEFECT_SECONDS: Final = 1.0
"""A defect that strikes again at once must not spin PID 1."""


class Supervisor:
    """Runs what the Plan says. Knows no daemon by name."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.units: dict[str, Unit] = {}
        self.plan: Plan | None = None
        self.whole = Whole(self.units)
        self._relations = Relations(self.units)
        self._suspension = Suspension(self.units)
        self._operating = Operating(self._relations, runtime.log)
        self._group: anyio.abc.TaskGroup | None = None
        self._lives: dict[str, anyio.CancelScope] = {}
        RESERVE.hold()

    async def run(self, started: Callable[[], None]) -> None:
        """Host the lives of all services until cancelled; call `started` when services may be added."""
        async with anyio.create_task_group() as group:
            self._group = group
            started()
            await anyio.sleep_forever()

    # Converging

    async def converge(self, plan: Plan, changes: Iterable[Change], reason: Reason) -> list[Action]:
        """Make what runs be what `plan` says, by the smallest action for each service; return what was done.

        Raises OperationFailed when a service does not take its new configuration, after all actions were tried.
        """
        converging = await self.begin(plan, changes, reason)
        await converging.reloaded()
        return converging.actions

    def to_do(self, plan: Plan, changes: Sequence[Change], *, asked: bool) -> tuple[list[Action], list[str]]:
        """Return what `begin` would do, and the services among that which are only tried once more."""
        todo = actions(self.plan, plan, changes)
        again = retries(self.units, plan, todo, changes, asked=asked)
        return [*todo, *(Action(service=name, action="start") for name in again)], again

    async def begin(self, plan: Plan, changes: Iterable[Change], reason: Reason, *, asked: bool = False) -> Converging:
        """Do all that `converge` does, but do not wait for the services that reload: they go on answering meanwhile.

        `asked` means that a person wants it: services that were given up are tried again, too.
        """
        todo, again = self.to_do(plan, list(changes), asked=asked)
        gone = [unit for name, unit in self.units.items() if name not in {s.name for s in plan.services}]
        self.plan = plan
        for one in gone:
            one.service = msgspec.structs.replace(one.service, enabled=False)  # nobody may start it meanwhile
        for service in plan.services:
            unit = self.units.get(service.name)
            if unit is None:
                self._add(Unit(service, self.runtime, self._moved))
            else:
                unit.define(service)
                if service.enabled:
                    unit.set_enabled(True)
        failures: list[OperationFailed] = []
        converging = Converging(todo, again)
        async with anyio.create_task_group() as group:
            for action in todo:
                unit = self.units[action.service]
                if action.service in again:
                    unit.want_restart(reason)
                elif action.action == "start":
                    unit.want_up(reason)
                elif action.action == "reload" and unit.state in ANSWERING:
                    converging.add(self._operating.take_up(unit, reason))
                elif action.action == "reread":
                    converging.add(self._operating.take_in(unit))
                else:
                    group.start_soon(self._act, action, reason, failures)
        for unit in [*gone, *(self.units[s.name] for s in plan.services if not s.enabled)]:
            unit.set_enabled(False)
        for one in gone:
            self._remove(one)
        for one in self.units.values():
            self._relations.follow(one)
            one.changed.fire()  # who waits for it may wait for it no longer
        if failures:
            raise together([*failures, *await converging.failures()])
        return converging

    async def _act(self, action: Action, reason: Reason, failures: list[OperationFailed]) -> None:
        unit = self.units[action.service]
        try:
            if action.action == "stop":
                await self._operating.stop(unit, reason)
            elif unit.state is not State.WAITING and (unit.wanted or unit.state in (State.FAILED, State.EXITED)):
                await self._operating.restart(
                    unit, reason
                )  # one that waits begins with what is new; one that is stopped stays so
        except OperationFailed as failure:
            failures.append(failure)

    def _add(self, unit: Unit) -> None:
        self.units[unit.name] = unit
        if self._group is None:
            raise RuntimeError("the supervisor does not run yet")
        self._lives[unit.name] = anyio.CancelScope()
        self._group.start_soon(self._guarded_life, unit, self._lives[unit.name])

    def _moved(self, unit: Unit) -> None:
        self._relations.moved(unit)
        self._suspension.moved(unit)

    def _remove(self, unit: Unit) -> None:
        """Forget a service that is down, with all that was open for it."""
        self._lives.pop(unit.name).cancel()
        del self.units[unit.name]
        self.runtime.looks.pop(unit.name, None)
        unit.tree.output.close()
        unit.notices.close()
        unit.changed.fire()

    async def _guarded_life(self, unit: Unit, scope: anyio.CancelScope) -> None:
        """Live; a defect of ours in one life is told, and that service begins anew while all others run on."""
        life = Life(unit, self._relations)
        next_step = life.live
        with scope:
            while True:
                try:
                    await next_step()
                    next_step = life.live
                except Exception:  # noqa: BLE001 - the guard of DESIGN section 1: PID 1 outlives its own defects
                    self.runtime.log.error(f"defect in the supervision of {unit.name}:\n{traceback.format_exc()}")
                    await anyio.sleep(_PAUSE_AFTER_DEFECT_SECONDS)
                    next_step = life.recover

    # Across a re-execution of PID 1

    async def until_transferable(self) -> None:
        """Return when no service is in a state that cannot be handed over."""
        while busy := next((unit for unit in self.units.values() if not unit.transferable), None):
            await busy.changed.wait()

    def hand_over(self) -> list[UnitState]:
        """Stop caring, without touching a process but those that are suspended; return what a successor has to know."""
        self._suspension.end()
        if self._group is not None:
            self._group.cancel_scope.cancel()
        return [hand_over(unit) for unit in self.units.values()]

    def take_over(self, plan: Plan, given: Iterable[UnitState]) -> None:
        """Go on where a predecessor stood."""
        self.plan = plan
        states = {state.name: state for state in given}
        for service in plan.services:
            unit = Unit(service, self.runtime, self._moved)
            if service.name in states:
                take_over(unit, states[service.name])
            self._add(unit)

    # Operations by people

    def unit(self, name: str) -> Unit:
        """Return a service by name, or raise NoSuchService."""
        if name not in self.units:
            raise NoSuchService(name, self.units)
        return self.units[name]

    async def operate(
        self, name: str, verb: Literal["start", "stop", "restart", "reload"], *, wait: bool
    ) -> ServiceStatus:
        """Start, stop, restart or reload; with `wait`, return when it is ready (or stopped)."""
        unit = self.unit(name)
        if not unit.service.enabled and verb != "stop":
            raise OperationFailed(f"cannot {verb} {name}: it is disabled by the configuration; enable it there")
        if verb == "reload":
            await reload(unit, Reason.OPERATOR)
        elif wait:
            does = {"start": self._operating.start, "stop": self._operating.stop, "restart": self._operating.restart}
            await does[verb](unit, Reason.OPERATOR)
        elif verb == "stop":
            self._relations.bring_down(unit, Reason.OPERATOR)
        elif verb == "start":
            unit.want_up(Reason.OPERATOR)
        else:
            unit.want_restart(Reason.OPERATOR)
        return self.status(name)

    def signal(self, name: str, signal: str) -> ServiceStatus:
        """Send a signal to the main process of a service."""
        unit = self.unit(name)
        try:
            number = signal_number(signal)
        except ValueError as error:
            raise OperationFailed(f"cannot signal {name}: {error}") from None
        unit.send_signal(number)
        return self.status(name)

    # The whole

    def come_up(self) -> None:
        """Let the `late` services start."""
        self.runtime.up = True
        self.runtime.up_changed.fire()

    async def stop_all(self, reason: Reason) -> None:
        """Stop every service, each after those that come after it."""
        async with anyio.create_task_group() as group:
            for unit in self.units.values():
                group.start_soon(self._stop_in_order, unit, reason)

    async def _stop_in_order(self, unit: Unit, reason: Reason) -> None:
        for dependent in list(self.units.values()):
            if unit.name in dependencies(dependent.service) or (dependent.service.late and not unit.service.late):
                while not dependent.at_rest:
                    await dependent.changed.wait()
        unit.want_down(reason)
        while not unit.at_rest:
            await unit.changed.wait()

    def members(self, name: str, snapshot: Snapshot | None = None) -> Sequence[Process]:
        """Return the processes of a service."""
        return self.unit(name).tree.members(snapshot)

    def status(self, name: str) -> ServiceStatus:
        """Return one service as the control API shows it."""
        return self._status(self.unit(name))

    def statuses(self) -> list[ServiceStatus]:
        """Return all services, in the order of their names."""
        snapshot = Snapshot()
        return [self._status(self.units[name], snapshot) for name in sorted(self.units)]

    def _status(self, unit: Unit, snapshot: Snapshot | None = None) -> ServiceStatus:
        members = unit.tree.members(snapshot)
        memory = sum(resident_bytes(process.pid) for process in members)
        return unit.status(memory if members else None, len(members))


def resident_bytes(pid: int) -> int:
    """Return the resident set size of a process (proc_pid_statm(5)), 0 when it has ended."""
    with suppress(OSError, ValueError, IndexError):
        fd = os.open(f"/proc/{pid}/statm", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return int(os.read(fd, 256).split()[1]) * _PAGE_BYTES
        finally:
            os.close(fd)
    return 0
