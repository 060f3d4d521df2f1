"""Ending processes: the ones that were seen, and no others."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from dmsinit.supervisor.ending import gone, kill, send
from dmsinit.supervisor.proctree import Process, Snapshot, read_process
from dmsinit.supervisor.reserve import RESERVE
from tests.support.bench import no_descriptors


@contextmanager
def sleeper() -> Iterator[tuple["subprocess.Popen[bytes]", Process]]:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as child:
        seen = read_process(child.pid)
        assert seen is not None
        try:
            yield child, seen
        finally:
            child.kill()


def test_a_recycled_pid_is_not_hit() -> None:
    """A process that was seen under this pid and began at another time is another process."""
    with sleeper() as (child, seen):
        before = seen._replace(started=seen.started - 1)
        send([before], signal.SIGKILL)
        kill([before])
        assert child.poll() is None
        send([seen], signal.SIGTERM)
        assert child.wait(10) == -signal.SIGTERM


async def test_nobody_waits_for_a_recycled_pid() -> None:
    with sleeper() as (_, seen):
        await asyncio.wait_for(gone([seen._replace(started=seen.started - 1)]), 10)


def test_killing_takes_the_whole_group() -> None:
    """Also a process of the group that was not seen, as one that forks all the time."""
    script = "import os, signal; pid = os.fork(); print(pid, flush=True) if pid else None; signal.pause()"
    with subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", script], stdout=subprocess.PIPE, start_new_session=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        seen = read_process(parent.pid)
        assert seen is not None
        pidfd = os.pidfd_open(child)
        kill([seen])
        assert parent.wait(10) == -signal.SIGKILL
        os.set_blocking(pidfd, True)
        import select

        assert select.select([pidfd], [], [], 10)[0] == [pidfd]
        os.close(pidfd)


def test_our_own_group_is_never_killed() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        seen = read_process(child.pid)
        assert seen is not None
        assert seen.group == os.getpgid(0)
        kill([seen])
        assert child.wait(10) == -signal.SIGKILL


async def test_processes_are_found_and_ended_without_a_descriptor() -> None:
    RESERVE.hold()
    with sleeper() as (child, seen):
        with no_descriptors():
            assert seen.pid in Snapshot().processes
            waiting = asyncio.ensure_future(gone([seen]))
            await asyncio.sleep(0)
            kill([seen])
            await asyncio.wait_for(waiting, 10)
        assert child.wait(10) == -signal.SIGKILL
