"""Waiting until a service has read files again that it reads by itself."""

from typing import Final

import anyio
import msgspec

from dmsinit.plan import Reread
from dmsinit.supervisor.progress import progress
from dmsinit.supervisor.unit import Unit

LONGEST_SECONDS: Final = 10.0
"""A service that reads files by itself looks at least once in a few seconds; and one that does not answer for so long
without doing anything hangs."""


async def reread(unit: Unit) -> None:
    """Return when the service works with what its files hold now; OperationFailed says why it does not.

    A part of it may know the files while the rest of it hangs: it is asked as at a start, too.
    """
    how = unit.service.reread
    if how is None:
        return
    if problem := await _read(unit, how) or await _answers(unit):
        raise unit.failed(f"cannot make {unit.name} read {', '.join(how.files)} again: {problem}", unit.hint())


async def _read(unit: Unit, how: Reread) -> str:
    """Run the command that returns when the files are read; return what went wrong, or nothing."""
    with anyio.move_on_after(LONGEST_SECONDS):
        try:
            code = await unit.runtime.run(how.command, unit.tree.output)
        except OSError as error:
            return f"cannot run {how.command[0]}: {error.strerror}"
        return f"{how.command[0]} ended with exit code {code}" if code else ""
    return f"{how.command[0]} did not end within {LONGEST_SECONDS:g} s"


async def _answers(unit: Unit) -> str:
    """Return nothing when it answers, or is so busy that it comes to everybody in turn; else what was wrong."""
    before, ready = unit.look(), unit.service.ready
    limit = min(ready.timeout_seconds, LONGEST_SECONDS)
    problem = await unit.answers.at_last(msgspec.structs.replace(ready, timeout_seconds=limit)) or ""
    if problem and progress(before, unit.look()):
        return ""
    return problem and f"it does not answer for {limit:g} s: {problem}"
