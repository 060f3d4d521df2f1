"""The processes of one service, from spawn to the last descendant: started, found, and ended as one thing."""

import os
import signal
from collections.abc import Iterable, Mapping
from typing import Final

import anyio

from dmsinit.base.dispositions import would_kill
from dmsinit.base.logfile import LogFile
from dmsinit.plan import Service, Stop
from dmsinit.supervisor import command, ending
from dmsinit.supervisor.children import Child
from dmsinit.supervisor.output import Output
from dmsinit.supervisor.proctree import Process, Snapshot, around, members
from dmsinit.supervisor.runtime import Runtime

_LEFTOVER_GRACE_SECONDS: Final = 1.0
"""Time for what the main process left behind when it was told to end."""
_CRASH_GRACE_SECONDS: Final = 0.03
"""The same when the main process ended by itself: nobody is served by orphans, and they keep its successor waiting."""
_LOOKS_SECONDS: Final = (0.1, 0.2, 0.4, 0.8, 1.6)
"""Pauses between looks at a process that was told to end, and may have lost the signal."""
_KILL_ROUNDS: Final = 5
"""A tree that forks while it is killed needs more than one look."""


class Tree:
    """The process tree of a service and what it writes; at most one main process at a time."""

    def __init__(self, service: Service, runtime: Runtime) -> None:
        self.name = service.name
        self.child: Child | None = None
        self.spawned_at = 0.0
        logged = runtime.log_directory is not None and service.stdout == "log"
        file = LogFile(f"{runtime.log_directory}/{service.name}.log", runtime.writer) if logged else None
        self.output = Output(file, service.name)
        self._runtime = runtime
        self.sessions: set[int] = set()

    @property
    def alive(self) -> bool:
        return self.child is not None and self.child.alive

    def spawn(self, service: Service, more: Mapping[str, str]) -> Child:
        """Start the main process, with `more` in its environment; CannotStart or OSError says why not."""
        command.check(service)
        self.output.begin_life()
        pipe = self.output.open_pipe()
        try:
            self.child = self._runtime.children.spawn(
                command.command_line(service),
                env={**command.environment(service, self._runtime.environment), **more},
                stdout=1 if service.stdout == "inherit" else pipe,
                stderr=pipe,
                umask=int(service.umask, 8),
            )
        finally:
            os.close(pipe)
        self.sessions = {self.child.pid}
        self.spawned_at = self._runtime.clock()
        return self.child

    def take_over(self, pid: int | None, spawned_at: float, sessions: Iterable[int]) -> None:
        """Own the processes that a predecessor has started."""
        self.child = self._runtime.children.adopt(pid) if pid is not None else None
        self.spawned_at = spawned_at
        self.sessions = set(sessions)

    def members(self, snapshot: Snapshot | None = None) -> list[Process]:
        """Return all processes of the service, and remember their sessions, which outlive a killed parent."""
        if self.child is None:
            return []
        if snapshot is None:
            self._runtime.children.reap_all()
        main = self.child.pid if self.child.alive else None
        seen = snapshot or around(main=main, others=self._runtime.children.owned(), reaper=os.getpid())
        found = members(seen, name=self.name, main=main, sessions=self.sessions, reaper=os.getpid())
        self.sessions |= {process.session for process in found} - {os.getsid(0), 0}
        return found

    def has(self, pid: int) -> bool:
        """Say whether a process belongs to the service."""
        is_main = self.child is not None and self.child.pid == pid
        return is_main or any(process.pid == pid for process in self.members())

    async def end(self, stop: Stop) -> None:
        """End the main process politely, then everything that is left of the service.

        What is left is told to terminate and killed after a grace; at once where the service is stopped by KILL.
        A process that is suspended would notice neither signal nor command: all go on (SIGCONT) first.
        """
        grace = _CRASH_GRACE_SECONDS
        if self.child is not None and self.child.alive:
            grace = _LEFTOVER_GRACE_SECONDS
            ending.send(self.members(), signal.SIGCONT)
            with self._runtime.grace(stop.grace_seconds):
                await self._ask_to_end(self.child, stop)
                await self.child.wait()
        number = signal.SIGKILL if signal_number(stop.signal) == signal.SIGKILL else signal.SIGTERM
        for _ in range(1 + _KILL_ROUNDS):
            left = self.members()
            if not left:
                return
            if self.alive:  # its grace is over
                number = signal.SIGKILL
            if number == signal.SIGKILL:
                ending.kill(left)
            else:
                ending.send(left, signal.SIGCONT)
                ending.send(left, number)
            with anyio.move_on_after(_LEFTOVER_GRACE_SECONDS if number == signal.SIGKILL else grace):
                await ending.gone(left)
            number = signal.SIGKILL
        self._runtime.log.error(f"{self.name}: processes {_pids(self.members())} do not end, not even when killed")

    async def _ask_to_end(self, child: Child, stop: Stop) -> None:
        """Run the stop command or send the stop signal; the signal, too, when the command does not work."""
        if stop.command:
            try:
                code = await self._runtime.run(stop.command, self.output)
            except OSError as error:
                self._runtime.log.warn(f"cannot run {stop.command[0]} to stop {self.name}: {error}")
                code = 127
            if code == 0:
                return
        number = signal_number(stop.signal)
        child.send_signal(number)
        for pause in _LOOKS_SECONDS:
            with anyio.move_on_after(pause):
                await child.wait()
                return
            if would_kill(child.pid, number):  # it lives: the signal was lost when it executed itself anew
                child.send_signal(number)


def _pids(processes: Iterable[Process]) -> str:
    return ", ".join(str(process.pid) for process in processes)


def signal_number(name: str) -> int:
    """Return the number of a signal given as `TERM`, `SIGTERM` or `15`; ValueError when there is none."""
    if name.isdigit():
        return int(signal.Signals(int(name)))
    try:
        return int(signal.Signals[f"SIG{name.upper().removeprefix('SIG')}"])
    except KeyError:
        raise ValueError(f"{name} is not a signal; write a name such as HUP or a number") from None
