"""What a service's life needs from outside, so that one unit knows neither the others nor the supervisor."""

import asyncio
import errno
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import anyio

from dmsinit.base.connect import received
from dmsinit.base.sockets import Listener
from dmsinit.log import Log
from dmsinit.supervisor import ending
from dmsinit.supervisor.children import Child, Children
from dmsinit.supervisor.events import Events
from dmsinit.supervisor.lag import Lag
from dmsinit.supervisor.logwriter import LogWriter
from dmsinit.supervisor.oom import OomKills
from dmsinit.supervisor.output import Output
from dmsinit.supervisor.proctree import Process, Snapshot, members
from dmsinit.supervisor.pulse import Pulse

EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM, errno.ENOBUFS})
"""What the kernel answers when it has no descriptors, processes or memory for us right now: it passes."""

HURRIED_GRACE_SECONDS: Final = 1.0
"""What is left of any grace once somebody asks a second time: a person waits at the keyboard."""


@dataclass
class Runtime:
    """Shared by all units of one supervisor. `log_directory` None keeps output in memory only.

    `up` becomes true when everything else is ready, which is when `late` services start.
    """

    children: Children
    log: Log
    environment: Mapping[str, str]
    log_directory: Path | None = None
    runtime_directory: Path = Path("/run/dmsinit")
    events: Events = field(default_factory=Events)
    oom: OomKills = field(default_factory=OomKills)
    clock: Callable[[], float] = time.monotonic
    lag: Lag = field(default_factory=Lag)
    looks: dict[str, Callable[[], Sequence[Process]]] = field(default_factory=dict)
    """How to find the processes of each service."""
    claims: dict[str, set[Listener]] = field(default_factory=dict)
    """The listening sockets that each service was found to have."""
    up: bool = False
    up_changed: Pulse = field(default_factory=Pulse)
    hurried: bool = False
    writer: LogWriter = field(init=False)
    """Writes the log files that PID 1 must not touch."""
    _graces: set[anyio.CancelScope] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.writer = LogWriter(self.children, self.environment, self.log)

    @contextmanager
    def grace(self, seconds: float) -> Iterator[anyio.CancelScope]:
        """Cancel what runs inside after `seconds`, or HURRIED_GRACE_SECONDS after `hurry`."""
        with anyio.move_on_after(min(seconds, HURRIED_GRACE_SECONDS) if self.hurried else seconds) as scope:
            self._graces.add(scope)
            try:
                yield scope
            finally:
                self._graces.discard(scope)

    def hurry(self) -> None:
        """Shorten every grace, those under way too."""
        self.hurried = True
        # The loop's clock, which anyio's deadlines are of: a signal handler is no task, which anyio would ask for.
        soon = asyncio.get_running_loop().time() + HURRIED_GRACE_SECONDS
        for scope in self._graces:
            scope.deadline = min(scope.deadline, soon)

    async def run(self, argv: Sequence[str], output: Output | None = None, *, stdin: int | None = None) -> int:
        """Run a short command to its end; return its exit code, 128 + signal, or 127 when there is no such program.

        `stdin` None is /dev/null. Cancelling kills it with all that it has started. Raises OSError when nothing can be
        started at present.
        """
        pipe = output.open_pipe() if output is not None else None
        try:
            child = self.children.spawn(argv, env=self.environment, stdin=stdin, stdout=pipe, stderr=pipe)
        except OSError as error:
            if error.errno in EXHAUSTED:
                raise
            return 127
        finally:
            if pipe is not None:
                os.close(pipe)
        try:
            result = await child.wait()
        finally:
            if child.alive:
                _kill_tree(child)
        return result.code if result.code is not None else 128 + (result.signal or 0)

    async def reach(self, path: str) -> socket.socket:
        """Return a connection to the Unix socket of a path that may hang: a child looks it up. Raises OSError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours:
            with theirs:
                await self.run([sys.executable, "-I", "-m", "dmsinit.base.connect", path], stdin=theirs.fileno())
            return received(ours)


def _kill_tree(child: Child) -> None:
    try:
        ending.kill(members(Snapshot(), name="", main=child.pid, sessions={child.pid}, reaper=os.getpid()))
    finally:
        child.send_signal(signal.SIGKILL)
