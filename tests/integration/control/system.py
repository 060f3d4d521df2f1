"""A small deterministic system behind the control API, and a site: its server on a real socket, and real clients."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from dmsinit.control.api import Api
from dmsinit.control.messages import Request
from dmsinit.control.operations import Changes, NotYet, Status, Verb
from dmsinit.plan import Action, Change, Plan, Reload, Service
from dmsinit.problem import Problem, ProblemsFound
from dmsinit.supervisor.errors import NoSuchService, OperationFailed
from dmsinit.supervisor.status import Death, Event, ServiceStatus, Span


def service(name: str, state: str = "ready", *, enabled: bool = True, restarts: int = 0) -> ServiceStatus:
    """Return a service of the system under test."""
    running = state in ("ready", "starting", "unhealthy")
    death = Death(time="2026-01-01T00:00:00+00:00", cause="exited", detail="exit code 1", seconds_lived=4.0)
    return ServiceStatus(
        name=name, description=f"what {name} does", state=state, reason="boot", detail="", pid=77 if running else None,
        uptime_seconds=61.0 if running else None, restarts=restarts, memory_bytes=5 * 1024 * 1024 if running else None,
        waiting_for=[], last_exit=death if restarts else None, deaths=[death] * restarts,
        since="2026-01-01T00:00:00+00:00", ready_seconds=0.25 if running else None, enabled=enabled,
        processes=1 if running else 0,
    )  # fmt: skip


@dataclass
class System:
    """An implementation of Operations that keeps its state in memory and remembers what was asked of it."""

    services: dict[str, ServiceStatus] = field(
        default_factory=lambda: {
            "postfix": service("postfix"),
            "opendkim": service("opendkim", restarts=1),
            "clamav": service("clamav", "disabled", enabled=False),
        }
    )
    asked: list[tuple[object, ...]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    broken_configuration: bool = False
    lines: list[str] = field(default_factory=lambda: [f"line {number}" for number in range(200)])
    line: "asyncio.Queue[str]" = field(default_factory=asyncio.Queue)
    event: "asyncio.Queue[Event]" = field(default_factory=asyncio.Queue)
    followers: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    may_finish: asyncio.Event = field(default_factory=asyncio.Event)
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    booting: bool = True
    executions: int = 1
    warned: list[str] = field(default_factory=lambda: ["postfix-main.cf:3: unknown parameter"])

    def status(self) -> Status:
        return Status(
            state="ready", ready=True, services=list(self.services.values()), fqdn="mail.example.test",
            version="0.1.0", release="edge", uptime_seconds=70.0, memory_bytes=30 * 1024 * 1024, event_loop="pidfd",
            executions=self.executions,
        )  # fmt: skip

    def service(self, name: str) -> ServiceStatus:
        if name not in self.services:
            raise NoSuchService(name, self.services)
        return self.services[name]

    async def operate(self, name: str, verb: Verb, *, wait: bool) -> ServiceStatus:
        one = self.service(name)
        self.asked.append((name, verb, wait))
        if name == "opendkim" and verb == "reload":
            raise OperationFailed(
                "cannot reload opendkim: exit code 1; correct its configuration", log_lines=self.lines
            )
        if name == "postfix" and verb == "reload":
            self.entered.set()
            await self.may_finish.wait()
            self.finished.set()
        one.state = "stopped" if verb == "stop" else "ready"
        one.pid = None if verb == "stop" else 78
        return one

    async def signal(self, name: str, signal: str) -> ServiceStatus:
        one = self.service(name)
        self.asked.append((name, "signal", signal))
        return one

    def log_lines(self, name: str, lines: int) -> Sequence[str]:
        self.service(name)
        return self.lines[len(self.lines) - lines :] if lines < len(self.lines) else self.lines

    async def follow_log(self, name: str, lines: int) -> AsyncIterator[str]:
        self.followers += 1
        self.entered.set()
        try:
            for line in self.log_lines(name, lines):
                yield line
            while True:
                yield await self.line.get()
        finally:
            self.followers -= 1
            self.left.set()

    def events(self, limit: int) -> Sequence[Event]:
        one = Event(
            time="2026-01-01T00:00:00+00:00", service="postfix", from_state="starting", to_state="ready", reason="boot"
        )
        return [one][:limit]

    async def follow_events(self, limit: int) -> AsyncIterator[Event]:
        for event in self.events(limit):
            yield event
        while True:
            yield await self.event.get()

    def blame(self) -> Sequence[Span]:
        return [
            Span(name="render", kind="phase", began=0.1, ended=0.5),
            Span(name="opendkim", kind="service", began=0.5, spawned=0.5, ended=0.7),
            Span(name="postfix", kind="service", began=0.5, spawned=0.7, ended=1.1, waited_for="opendkim"),
        ]

    def plan(self) -> Plan | None:
        return Plan(
            fqdn="mail.example.test",
            services=(
                Service(name="postfix", command=("/usr/sbin/postfix", "start-fg"), reload=Reload()),
                Service(name="opendkim", command=("/usr/sbin/opendkim", "-f")),
                Service(name="clamav", command=("/usr/sbin/clamd",), enabled=False),
                Service(name="update-check", command=("/usr/bin/true",), type="oneshot"),
            ),
        )

    async def plan_changes(self, *, diff: bool) -> Changes:
        if self.broken_configuration:
            raise ProblemsFound([Problem("postfix-virtual.cf:3", "no target", "write alias target")])
        return Changes(
            changes=[Change(path="/etc/opendkim.conf", action="modify", service="opendkim")],
            actions=[Action(service="opendkim", action="reload")],
            diffs={"/etc/opendkim.conf": "-a\n+b\n"} if diff else msgspec.UNSET,
        )

    async def apply(self, *, dry_run: bool, wait: bool) -> Changes:
        self.asked.append(("apply", dry_run))
        return await self.plan_changes(diff=False)

    async def reexec(self) -> None:
        if self.booting:
            raise NotYet("cannot re-execute dmsinit: the server is still booting; try again when it is up")
        self.asked.append(("reexec",))
        self.executions += 1

    def warnings(self, *, unseen: bool) -> Sequence[str]:
        return [] if unseen else self.warned

    def livez(self) -> tuple[bool, Sequence[str]]:
        return True, []

    def readyz(self) -> tuple[bool, Sequence[str]]:
        return not self.missing, self.missing

    async def metrics(self, *, openmetrics: bool) -> bytes:
        return b"# EOF\n" if openmetrics else b"dms_build_info 1\n"


MODULES: Final = {"dmsctl": "dmsinit.cli.dmsctl.main", "supervisorctl": "dmsinit.cli.supervisorctl.main"}


class Site:
    """A server with its socket, and what a client needs to reach it."""

    def __init__(self, path: Path, system: System) -> None:
        self.path = path
        self.system = system
        self.defects: list[Exception] = []
        self.api = Api(system, group_id=os.getgid(), on_defect=self._defect)

    def _defect(self, _request: Request, error: Exception) -> None:
        self.defects.append(error)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_unix_connection(str(self.path))

    async def ask(self, request: bytes) -> bytes:
        """Send bytes and return everything that comes back until the server hangs up."""
        reader, writer = await self.connect()
        writer.write(request)
        answer = await reader.read()
        writer.close()
        return answer

    async def get(self, target: str, method: str = "GET") -> tuple[int, bytes]:
        """Return status and body of one request."""
        answer = await self.ask(f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body

    async def start(self, program: str, *arguments: str) -> asyncio.subprocess.Process:
        """Start a command of ours against this server, as its own process."""
        return await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-m", MODULES[program], *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={"DMSINIT_SOCKET": str(self.path), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        )  # fmt: skip

    async def run(self, program: str, *arguments: str) -> tuple[int, str, str]:
        """Run a command of ours to its end; return exit code, output and errors."""
        process = await self.start(program, *arguments)
        output, errors = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode(), errors.decode()
