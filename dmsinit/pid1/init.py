"""The composition root: boot, watch, converge, stop. Reads like the table of contents of the design."""

import asyncio
import os
import signal
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
import anyio.abc

from dmsinit import __version__
from dmsinit.base.logfile import LogFile
from dmsinit.base.spawn import RenderProcess
from dmsinit.control.api import Api
from dmsinit.control.listeners import ListenError, tcp_listener, unix_listener
from dmsinit.control.messages import Request
from dmsinit.control.operations import Changes
from dmsinit.control.peer import group_id
from dmsinit.control.server import serve
from dmsinit.log import Log, from_environment
from dmsinit.pid1 import succession
from dmsinit.pid1.boot import ACCOUNT_WAIT_SECONDS, Boot
from dmsinit.pid1.configuration import Configuration
from dmsinit.pid1.file_changes import Watcher
from dmsinit.pid1.rendering import MissingHostName, NoAccounts, Rendered, RenderFailed
from dmsinit.pid1.system import System
from dmsinit.plan import Plan
from dmsinit.problem import ProblemsFound
from dmsinit.supervisor import Children, OperationFailed, Reason, Runtime, Supervisor
from dmsinit.supervisor.handover import Handover

CHANGE_NOTE: Final = "/run/dmsinit/config-changed"
"""Written by whoever polls the configuration where the kernel reports no changes."""
SERVICE_LOGS: Final = Path("/var/log/supervisor")
SHUTDOWN_SECONDS: Final = 55
"""The documented compose file gives 60 s: what does not end within this is killed with the container."""
PAUSE_AFTER_DEFECT_SECONDS: Final = 1.0
EX_OK: Final = 0
EX_SOFTWARE: Final = 70
EX_CONFIG: Final = 78
_ANSWER_SECONDS: Final = 0.1
"""Time for the answer to whoever asked for a re-execution."""
_PASSED_ON: Final = ("PATH", "TZ", "LANG", "LC_ALL")
"""What services get of the container's environment; the rest may hold secrets, and is rendered into files."""


@dataclass(frozen=True, slots=True)
class Stop:
    """PID 1 ends with this exit status, and the container with it."""

    status: int


@dataclass(frozen=True, slots=True)
class Replacement:
    """PID 1 goes on as another program: what is installed now."""


Outcome = Stop | Replacement
"""What ends the service of this program."""


class Init:
    """PID 1 of the container: startup, serve, shutdown."""

    def __init__(self, inotify: int | None, *, began: float, log: Log) -> None:
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        self.log = log
        self.children = Children()
        self.supervisor = Supervisor(Runtime(self.children, log, environment, SERVICE_LOGS))
        self._journal = LogFile(f"{SERVICE_LOGS}/supervisord.log", self.supervisor.runtime.writer)
        self._journal.write(b"")  # it is there from the first moment
        self.system = System(self.supervisor, began, self)
        self._watcher = Watcher(inotify, CHANGE_NOTE)
        self.configuration = Configuration(self.system, self.children, self._watcher, log)
        self._boot = Boot(self.system, self.children, self._watcher, log, self._set_levels)
        self._flow = anyio.CancelScope()
        self._outcome: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

    async def main(self, origin: RenderProcess | Handover, early_signals: list[int]) -> int | Handover:
        """Run until somebody or something ends it; return the exit status, or what a successor has to know.

        `origin` is the rendering that the boot begins with, or what a predecessor has handed over.
        """
        async with anyio.create_task_group() as group:
            await self._startup(origin, early_signals, group)
            outcome = await self._serve()
            return await self._shutdown(outcome, group)

    async def _startup(
        self, origin: RenderProcess | Handover, early_signals: list[int], group: anyio.abc.TaskGroup
    ) -> None:
        """Own the children and the signals, and start what runs as long as PID 1 does; the boot is one of it."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: self.log.error(f"defect in the event loop: {context}"))
        self.children.open(started_before(origin))
        for number in (signal.SIGTERM, signal.SIGINT):
            # Not the loop's own handlers: those pass through a pipe that a storm of ending children may have filled.
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(self._told_to_stop))
        for _ in early_signals:
            self._told_to_stop()
        await group.start(self._host_supervisor)
        group.start_soon(self._guarded, "control socket", self._serve_control)
        group.start_soon(self._boot_and_watch, origin, group)

    async def _serve(self) -> Outcome:
        """Return when somebody or something ends it; the tasks of `_startup` do the work."""
        return await self._outcome

    async def _shutdown(self, outcome: Outcome, group: anyio.abc.TaskGroup) -> int | Handover:
        """Stop what runs, or let go of it for a successor."""
        self._flow.cancel()
        match outcome:
            case Replacement():
                return await self._hand_over(group)
            case Stop(status):
                await self._stop_services()
                group.cancel_scope.cancel()
                return status

    # Boot

    async def _boot_and_watch(self, origin: RenderProcess | Handover, group: anyio.abc.TaskGroup) -> None:
        """Boot, then carry out what changes, until the flow is cancelled; a boot that fails ends the container."""
        with self._flow:
            try:
                if isinstance(origin, Handover):
                    self._take_over(origin)
                else:
                    await self._boot.run(origin)
            except MissingHostName:
                self._give_up("the container has no fully qualified host name", EX_OK)
            except ProblemsFound as error:
                count = len(error.problems)
                self._give_up(f"{count} problem{'s' if count > 1 else ''} in the configuration", EX_CONFIG)
            except NoAccounts:
                self._give_up(f"no mail account within {ACCOUNT_WAIT_SECONDS} s", EX_CONFIG)
            except (RenderFailed, OperationFailed) as error:
                self._give_up(str(error), EX_SOFTWARE)
            except Exception:  # noqa: BLE001 - a defect at boot ends the container in order, with its cause
                self._give_up(f"defect at boot:\n{traceback.format_exc()}", EX_SOFTWARE)
            else:
                self.system.open = True
                group.start_soon(self._guarded, "metrics port", self._serve_metrics)
                group.start_soon(self._guarded, "announcing", self._boot.announce)
                await self._guarded("watching the configuration", self.configuration.watch)

    def _set_levels(self, plan: Plan) -> None:
        self.log.set_level(plan.log_level)
        self.log.copy_to(self._journal.write, plan.supervisor_log_level)

    # Hosting

    async def _host_supervisor(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        await self.supervisor.run(task_status.started)

    async def _serve_control(self) -> None:
        group = group_id()
        api = Api(self.system, group_id=group, on_defect=self._tell_defect)
        try:
            listener = unix_listener(group_id=group)
        except OSError as error:
            self.log.error(f"cannot open the control socket: {error}; dmsctl and setup will not reach dmsinit")
            return
        await serve(listener, api.control, clients=self.system.clients)

    async def _serve_metrics(self) -> None:
        address = self.supervisor.plan.metrics_listen if self.supervisor.plan else ""
        if not address:
            return
        api = Api(self.system, group_id=None, on_defect=self._tell_defect)
        try:
            listener = tcp_listener(address)
        except ListenError as error:
            self.log.error(str(error))
            return
        await serve(listener, api.public)

    def _tell_defect(self, request: Request, error: Exception) -> None:
        trace = "".join(traceback.format_exception(error))
        self.log.error(f"defect in {request.method} {request.path}:\n{trace}")

    async def _guarded(self, what: str, task: Callable[[], Awaitable[None]]) -> None:
        """Run a task of PID 1 to its end; a defect is told, and the task begins anew."""
        while True:
            try:
                return await task()
            except Exception:  # noqa: BLE001 - the guard of DESIGN section 1: PID 1 outlives its own defects
                self.log.error(f"defect in {what}:\n{traceback.format_exc()}")
                await anyio.sleep(PAUSE_AFTER_DEFECT_SECONDS)

    # What the control API may ask for; implements system.Flow

    async def preview(self, mode: str) -> Rendered:
        """Render without installing: `--plan` or `--diff`."""
        return await self.configuration.preview(mode)

    async def apply(self) -> Changes:
        """Carry the configuration out."""
        return await self.configuration.apply()

    async def reexec(self) -> None:
        """Replace the code of this process by what is installed now, without stopping a daemon.

        Raises OperationFailed when the installed code does not start or does not understand our handover.
        """
        await succession.verify(self.supervisor.runtime)
        asyncio.get_running_loop().call_later(_ANSWER_SECONDS, self._end, Replacement())

    # Re-execution

    async def _hand_over(self, group: anyio.abc.TaskGroup) -> Handover:
        """Let go of everything, and return what the successor has to know. From here on no signal is lost."""
        async with self.configuration.busy:
            with anyio.move_on_after(SHUTDOWN_SECONDS):
                await self.supervisor.until_transferable()
        await self.supervisor.runtime.writer.close()
        signal.pthread_sigmask(signal.SIG_BLOCK, succession.HANDED_SIGNALS)
        record = self.system.hand_over()
        self.children.close()
        group.cancel_scope.cancel()
        return record

    def _take_over(self, given: Handover) -> None:
        """Go on where a predecessor stood."""
        self._set_levels(given.plan)
        self.system.take_over(given)
        self.log.info(f"dmsinit {__version__} has taken over {len(given.units)} services")

    # Stop

    def _end(self, outcome: Outcome) -> None:
        if not self._outcome.done():
            self._outcome.set_result(outcome)

    def _told_to_stop(self) -> None:
        """Stop; a second signal shortens what services have left to end by themselves."""
        if self._outcome.done():
            self.log.warn("second stop signal: services are killed after one second")
            self.supervisor.runtime.hurry()
        self._end(Stop(EX_OK))

    def _give_up(self, sentence: str, code: int) -> None:
        self.log.error(f"{sentence}; shutting down")
        self._end(Stop(code))

    async def _stop_services(self) -> None:
        """Stop the services in reverse order; what does not end in time is killed with the container."""
        self.system.state = "stopping"
        self.log.info("stopping")
        with anyio.move_on_after(SHUTDOWN_SECONDS):
            await self.supervisor.stop_all(Reason.SHUTDOWN)
        self.log.info("stopped")


def started_before(origin: RenderProcess | Handover) -> list[int]:
    """Return the pids of the children that there are before the event loop, and that will be adopted."""
    if isinstance(origin, RenderProcess):
        return [origin.pid]
    return [unit.pid for unit in origin.units if unit.pid is not None]


def run(origin: RenderProcess | Handover, inotify: int | None, *, began: float, early_signals: list[int]) -> int:
    """Be PID 1; return its exit status. A defect that nobody caught still ends all processes politely.

    `inotify` is an instance (inotify(7)), None when the kernel had none left.
    """
    log = from_environment("dmsinit")

    async def main() -> int | Handover:
        return await Init(inotify, began=began, log=log).main(origin, early_signals)

    try:
        outcome = asyncio.run(main())
        return outcome if isinstance(outcome, int) else succession.execute(outcome)
    except BaseException:  # noqa: BLE001 - the outermost guard: a traceback of PID 1 would kill every daemon at once
        log.error(f"defect in dmsinit; stopping everything:\n{traceback.format_exc()}")
        end_everything()
        return EX_SOFTWARE


def end_everything(grace_seconds: float = 10.0) -> None:
    """End all processes of the container without an event loop: TERM, then KILL after the grace."""
    if os.getpid() != 1:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + grace_seconds
        try:
            os.kill(-1, signal.SIGCONT)  # a suspended process would not notice
            os.kill(-1, number)
            while time.monotonic() < deadline:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    time.sleep(0.05)
        except (ProcessLookupError, ChildProcessError):
            return
