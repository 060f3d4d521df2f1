"""Replacing the code of PID 1 in place: is the installed code fit to take over, and becoming it."""

import os
import signal
import sys
from typing import Final

from dmsinit.supervisor import OperationFailed, Runtime
from dmsinit.supervisor.handover import VERSION, Handover, keep_open, read, write
from dmsinit.supervisor.output import Output

HANDED_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})
"""Blocked across a re-execution: they wait until the successor has handlers."""

__all__ = ["HANDED_SIGNALS", "VERSION", "execute", "read", "verify"]


async def verify(runtime: Runtime) -> None:
    """Start the installed code once beside us; OperationFailed when it does not start or cannot take over."""
    output = Output(None)
    code = await runtime.run([sys.executable, "-I", "-m", "dmsinit", "--handover-version"], output)
    output.drain()
    said = output.tail(20)
    if code != 0 or said[-1:] != [str(VERSION)]:
        raise OperationFailed(
            "cannot re-execute dmsinit: the installed code does not start or cannot take over; restart the container",
            log_lines=said,
        )


def execute(record: Handover) -> int:
    """Become the dmsinit that is installed now (execve(2)): same process, same children, same pipes."""
    fd = write(record)
    keep_open([fd, *(pipe for unit in record.units for pipe in unit.pipes)])
    argv = [sys.executable, "-I", "-m", "dmsinit", f"--take-over={fd}"]
    os.execv(sys.executable, argv)  # noqa: S606 - no shell wanted
