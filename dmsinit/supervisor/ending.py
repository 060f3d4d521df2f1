"""Ending processes that are nobody's child of ours: signals that hit no recycled pid, and waiting without polling."""

import asyncio
import os
import signal
from collections.abc import Iterable

from dmsinit.supervisor.proctree import Process, read_process


def send(processes: Iterable[Process], number: int) -> None:
    """Send a signal to each process that is still the one that was seen."""
    for process in processes:
        try:
            pidfd = os.pidfd_open(process.pid)
        except OSError:
            continue
        try:
            if _same(process):
                signal.pidfd_send_signal(pidfd, number)
        except ProcessLookupError:
            pass
        finally:
            os.close(pidfd)


async def gone(processes: Iterable[Process]) -> None:
    """Return when none of the processes runs any more (pidfd_open(2): readable at the end of the process)."""
    loop = asyncio.get_running_loop()
    for process in processes:
        try:
            pidfd = os.pidfd_open(process.pid)
        except OSError:
            continue
        try:
            if _same(process):
                ended = asyncio.Event()
                loop.add_reader(pidfd, ended.set)
                await ended.wait()
        finally:
            loop.remove_reader(pidfd)
            os.close(pidfd)


def _same(process: Process) -> bool:
    now = read_process(process.pid)
    return now is not None and now.started == process.started
