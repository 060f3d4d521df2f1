"""Waiting until a service has read files again that it reads by itself."""

from typing import Final

import anyio

from dmsinit.supervisor.unit import Unit

LONGEST_SECONDS: Final = 10.0
"""A service that reads files by itself looks at least once in a few seconds."""


async def reread(unit: Unit) -> None:
    """Return when the service works with what its files hold now; OperationFailed says why it does not."""
    how = unit.service.reread
    if how is None:
        return
    problem = f"{how.command[0]} did not end within {LONGEST_SECONDS:g} s"
    with anyio.move_on_after(LONGEST_SECONDS):
        try:
            code = await unit.world.run(how.command, unit.tree.output)
        except OSError as error:
            problem = f"cannot run {how.command[0]}: {error.strerror}"
        else:
            problem = f"{how.command[0]} ended with exit code {code}" if code else ""
    if problem:
        raise unit.failed(f"cannot make {unit.name} read {', '.join(how.files)} again: {problem}")
