"""PID 1's side of `dmsinit render`: one run of the child, its messages, and what they mean.

The protocol (JSON objects, one a line, on the child's standard output) is described in dmsinit/render/__init__.py.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from dmsinit.plan import Change, Plan
from dmsinit.problem import Problem, ProblemsFound
from dmsinit.spawn import RenderProcess
from dmsinit.supervisor import Children, Span

_LINE_BYTES: Final = 16 * 1024 * 1024
"""The Plan is one line; a hundred services with long environments stay far below."""
EX_SOFTWARE: Final = 70
EX_CONFIG: Final = 78


class MissingHostName(ProblemsFound):
    """The container has no fully qualified name: it ends at once, with exit status 0 (behaviour 3)."""


class NoAccounts(Exception):
    """There is no account yet, and without one nobody can use the server."""


class RenderFailed(Exception):
    """The child ended without a result: a defect, or somebody killed it."""


@dataclass
class Rendered:
    """What a run has brought: the Plan, what it changed, and how long its phases took."""

    plan: Plan
    changes: list[Change]
    phases: list[Span] = field(default_factory=list)


async def finish(
    process: RenderProcess, children: Children, installed: Callable[[Mapping[str, Any]], Awaitable[None]] | None = None
) -> Rendered:
    """See a run through: call `installed` when files are in place and the child waits; return what it brought.

    Raises ProblemsFound (or MissingHostName), NoAccounts, RenderFailed. Cancelling ends the child.
    """
    child = children.adopt(process.pid)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_LINE_BYTES)
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(process.stdout, "rb", 0)
    )
    phases: list[Span] = []
    result: Rendered | None = None
    try:
        async for line in reader:
            message = msgspec.json.decode(line)
            kind = message["type"]
            if kind == "phase":
                if not phases:
                    phases.append(Span(name="interpreter", kind="phase", began=process.began, ended=message["began"]))
                phases.append(Span(name=message["name"], kind="phase", began=message["began"], ended=message["ended"]))
            elif kind == "waiting":
                raise NoAccounts
            elif kind == "invalid":
                problems = [Problem(p["where"], p["cause"], p.get("remedy", "")) for p in message["problems"]]
                raise (MissingHostName if message.get("fqdn_missing") else ProblemsFound)(problems)
            elif kind == "installed":
                if installed is not None:
                    await installed(message)
                os.write(process.stdin, b"\n")
            elif kind == "plan":
                plan = msgspec.convert(message["plan"], Plan)
                result = Rendered(plan, msgspec.convert(message["changes"], list[Change]), phases)
        ended = await child.wait()
    finally:
        child.send_signal(15)
        transport.close()
        os.close(process.stdin)
    if result is None or not ended.success:
        raise RenderFailed(f"rendering ended with {ended}; its last log lines say why")
    return result
