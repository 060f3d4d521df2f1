"""A running supervisor with the words that tests need."""

import asyncio
import contextlib
import ctypes
import os
import resource
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from dmsinit.log import Log
from dmsinit.plan import Plan, Probe, Service
from dmsinit.supervisor import Children, Reason, Runtime, State, Supervisor
from dmsinit.supervisor.events import Events
from dmsinit.supervisor.proctree import read_process

PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> None:
    """Inherit orphans as PID 1 does (prctl(2))."""
    assert ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


class Bench:
    """A running supervisor with the words that tests need."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor

    async def run(self, *services: Service) -> None:
        await self.supervisor.converge(Plan(fqdn="mail.example.test", services=services), [], Reason.BOOT)

    async def until(self, name: str, *states: State, and_: Callable[[], bool] = lambda: True) -> None:
        unit = self.supervisor.unit(name)
        async with asyncio.timeout(100):
            while unit.state not in states or not and_():
                await unit.changed.wait()

    def pid(self, name: str) -> int:
        child = self.supervisor.unit(name).tree.child
        assert child is not None
        return child.pid

    async def turn(self) -> None:
        """Let the event loop do what is ready, where nothing else tells that it was done."""
        await asyncio.sleep(0.01)

    def history(self, name: str) -> list[tuple[str, str]]:
        return [(e.to_state, e.reason) for e in self.supervisor.runtime.events.recent if e.service == name]


@contextlib.asynccontextmanager
async def running(children: Children, directory: Path, events: Events | None = None) -> AsyncIterator[Bench]:
    """Run a supervisor that logs into `directory`, and stop all its services at the end."""
    log = Log("test", level="error")
    environment = {"PATH": os.environ["PATH"]}
    runtime = Runtime(children, log, environment, directory, directory / "run", events=events or Events())
    supervisor = Supervisor(runtime)
    started = asyncio.Event()
    task = asyncio.create_task(supervisor.run(started.set))
    await started.wait()
    try:
        yield Bench(supervisor)
    finally:
        await supervisor.stop_all(Reason.SHUTDOWN)
        for unit in supervisor.units.values():
            unit.tree.output.close()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.contextmanager
def no_descriptors() -> Iterator[None]:
    """Use up all descriptors of this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    held = []
    try:
        while True:
            held.append(os.dup(0))
    except OSError:
        yield
    finally:
        for fd in held:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def shell(name: str, script: str, **more: object) -> Service:
    """Return a service that is a shell script."""
    return Service(name=name, command=("sh", "-c", script), **more)  # type: ignore[arg-type]  # keywords of Service


def listening(port: int, kind: str = "smtp") -> Probe:
    """Return a probe of a port of this host."""
    return Probe(kind=kind, address=f"inet:127.0.0.1:{port}", timeout_seconds=1)  # type: ignore[arg-type]  # a literal


def gone(pid: int) -> bool:
    """Say whether a process has ended."""
    process = read_process(pid)
    return process is None or process.state in "ZX"
