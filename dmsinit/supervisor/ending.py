"""Ending processes that are nobody's child of ours: signals that hit no recycled pid, and waiting without polling."""

import asyncio
import os
import signal
from collections.abc import Iterable
from typing import Final

from dmsinit.supervisor.proctree import Process, read_process
from dmsinit.supervisor.reserve import RESERVE

_BLIND_PAUSE_SECONDS: Final = 0.05
"""Without a descriptor for a pidfd we have to look again: the one place that polls, and only in that need."""


def send(processes: Iterable[Process], number: int) -> None:
    """Send a signal to each process that is still the one that was seen."""
    with RESERVE.lent():
        for process in processes:
            try:
                pidfd = os.pidfd_open(process.pid)
            except OSError:
                continue
            try:
                if same(process):
                    signal.pidfd_send_signal(pidfd, number)
            except ProcessLookupError:
                pass
            finally:
                os.close(pidfd)


def kill(processes: Iterable[Process]) -> None:
    """Kill each process and, in one stroke, its process group: what forks meanwhile is hit, too.

    Groups of other sessions than the process's own cannot exist (setpgid(2)); ours is never hit.
    """
    seen = list(processes)
    with RESERVE.lent():
        for group, process in {process.group: process for process in seen}.items():
            if group > 1 and group != os.getpgid(0) and process.session != os.getsid(0) and same(process):
                try:
                    os.killpg(group, signal.SIGKILL)
                except (ProcessLookupError, PermissionError):
                    continue
    send(seen, signal.SIGKILL)


async def gone(processes: Iterable[Process]) -> None:
    """Return when none of the processes runs any more (pidfd_open(2): readable at the end of the process)."""
    loop = asyncio.get_running_loop()
    for process in processes:
        try:
            pidfd = os.pidfd_open(process.pid)
        except ProcessLookupError:
            continue
        except OSError:
            while runs(process):  # noqa: ASYNC110 - the kernel has no event for us here
                await asyncio.sleep(_BLIND_PAUSE_SECONDS)
            continue
        try:
            if runs(process):
                ended = asyncio.Event()
                loop.add_reader(pidfd, ended.set)
                await ended.wait()
        finally:
            loop.remove_reader(pidfd)
            os.close(pidfd)


def same(process: Process) -> bool:
    """Say whether its pid still is this very process, dead or alive."""
    now = read_process(process.pid)
    return now is not None and now.started == process.started


def runs(process: Process) -> bool:
    """Say whether this very process runs, zombies left out."""
    with RESERVE.lent():
        now = read_process(process.pid)
    return now is not None and now.started == process.started and now.state not in "ZX"
