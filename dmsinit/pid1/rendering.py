"""PID 1's side of `dmsinit render`: one run of the child, its messages, and what they mean.

The messages are those of dmsinit.render_protocol; the modes are described in dmsinit/render/__init__.py.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol, assert_never

from dmsinit import render_protocol
from dmsinit.base.inotify import Watch
from dmsinit.base.spawn import RenderProcess
from dmsinit.plan import Change, Plan
from dmsinit.problem import Problem, ProblemsFound
from dmsinit.render_protocol import (
    Changed,
    Installed,
    Invalid,
    Message,
    Note,
    Phase,
    Result,
    RolledBack,
    Waiting,
    Warned,
    decode,
)
from dmsinit.supervisor import Children, Exit, Span

_LINE_BYTES: Final = 16 * 1024 * 1024
"""The Plan is one line; a hundred services with long environments stay far below."""


class MissingHostName(ProblemsFound):
    """The container has no fully qualified name: it ends at once, with exit status 0 (behaviour 3)."""


class NoAccounts(Exception):
    """There is no account yet, and without one nobody can use the server."""


class Unchanged(Exception):
    """No watched file differs from when it was read last: an event that means nothing."""


class RenderFailed(Exception):
    """The child ended without a result: a defect, or somebody killed it."""


@dataclass
class Rendered:
    """What a run has brought: the Plan, what it changed, and how long its phases took."""

    plan: Plan
    changes: Sequence[Change]
    phases: list[Span] = field(default_factory=list)
    diffs: Mapping[str, str] = field(default_factory=dict)


class Watching(Protocol):
    """Takes the watches that the child has added; not `complete`: some could not be added."""

    def __call__(self, watches: Sequence[Watch], *, complete: bool) -> None: ...


OnInstalled = Callable[[Installed], Awaitable[None]]
Heard = Callable[[Warned], None]


@dataclass
class Conversation:
    """One run of the child, from its first message to its end.

    `installed` is called when files are in place and the child waits; `heard` with what the log of the change detection
    shall say, and its level (dmsinit.log.LEVELS), `warned` with each warning, `watching` with what the child has the
    kernel watch from now on.
    """

    process: RenderProcess
    children: Children
    installed: OnInstalled | None = None
    heard: Callable[[str, str], None] = lambda line, level: None
    watching: Watching = lambda watches, *, complete: None
    warned: Heard = lambda warning: None
    _phases: list[Span] = field(default_factory=list)
    _result: Rendered | None = None
    _verdict: Exception | None = None

    async def finish(self) -> Rendered:
        """See the run through, and return what it brought.

        Raises ProblemsFound (or MissingHostName), NoAccounts, Unchanged, RenderFailed. Cancelling ends the child.
        """
        ended = await self._converse()
        if self._verdict is not None:
            raise self._verdict
        if self._result is None or not ended.success:
            raise RenderFailed(f"rendering ended with {ended}; its last log lines say why")
        return self._result

    async def roll_back(self) -> None:
        """See `dmsinit render --roll-back` through; RenderFailed when files could not be put back."""
        ended = await self._converse()
        if not ended.success:
            raise RenderFailed(f"the previous files could not be put back ({self._verdict or ended})")

    async def _converse(self) -> Exit:
        """Hear everything the child says, and how it ended; it is never ended while it tidies up after a refusal."""
        child = self.children.adopt(self.process.pid)
        reader = asyncio.StreamReader(limit=_LINE_BYTES)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(self.process.stdout, "rb", 0)
        )
        try:
            async for line in reader:
                await self._hear(decode(line))
            return await child.wait()
        finally:
            child.send_signal(signal.SIGTERM)
            transport.close()
            os.close(self.process.stdin)

    async def _hear(self, message: Message) -> None:
        match message:
            case Phase():
                self._note_phase(message)
            case render_protocol.Watching():
                self.watching(message.watches, complete=message.complete)
            case Waiting():
                self._verdict = NoAccounts()
            case render_protocol.Unchanged():
                self._verdict = Unchanged()
            case Invalid():
                problems = [Problem(problem.where, problem.cause, problem.remedy) for problem in message.problems]
                self._verdict = (MissingHostName if message.fqdn_missing else ProblemsFound)(problems)
            case Installed():
                if self.installed is not None:
                    await self.installed(message)
                with suppress(BrokenPipeError):  # it ended meanwhile: how, its exit status says
                    os.write(self.process.stdin, b"\n")
            case Note():
                self.heard(message.text, message.level)
            case Warned():
                self.warned(message)
            case Changed():
                self.heard(f"Change detected: {', '.join(message.paths)}", "info")
            case Result():
                self._result = Rendered(message.plan, message.changes, self._phases, message.diffs)
            case RolledBack():
                pass  # that it ends with 0 says so
            case _:
                assert_never(message)

    def _note_phase(self, phase: Phase) -> None:
        if not self._phases:
            self._phases.append(Span(name="interpreter", kind="phase", began=self.process.began, ended=phase.began))
        self._phases.append(Span(name=phase.name, kind="phase", began=phase.began, ended=phase.ended))
