"""Finding the processes of a service: the short look along lists of children sees what the long one over /proc sees."""

import asyncio
import os
import signal

import pytest

from dmsinit.supervisor import Children
from dmsinit.supervisor.children import Child
from dmsinit.supervisor.command import MARKER
from dmsinit.supervisor.proctree import Snapshot, around, children_of, members

_NAP = 'exec perl -e "syswrite STDOUT, qq(\\n); sleep 60"'
"""Says so when it has its last program: during execve(2) a process has no environment that others could read."""
_FAMILY = f"({_NAP}) & (({_NAP}) & setsid sh -c '{_NAP}' & exec setsid sh -c '({_NAP}) & {_NAP}') & {_NAP}"
"""Children, grandchildren, and some that leave the session; all of it stays below the main process."""
_FAMILY_SIZE = 6
_DAEMON = f"(setsid sh -c '({_NAP}) & {_NAP}' &); {_NAP}"
"""A tree that leaves session and parent."""


async def start(children: Children, script: str, count: int) -> Child:
    """Start a shell as service `family`; return when `count` processes have written a line each, as their last word."""
    reading, writing = os.pipe()
    child = children.spawn(["sh", "-c", script], env={"PATH": os.environ["PATH"], MARKER: "family"}, stdout=writing)
    os.close(writing)
    ready = asyncio.Event()
    asyncio.get_running_loop().add_reader(reading, ready.set)
    async with asyncio.timeout(100):
        while count:
            await ready.wait()
            ready.clear()
            count -= len(os.read(reading, 100))
    asyncio.get_running_loop().remove_reader(reading)
    os.close(reading)
    return child


def pids(snapshot: Snapshot, main: int | None, sessions: frozenset[int] = frozenset()) -> set[int]:
    found = members(snapshot, name="family", main=main, sessions=sessions, reaper=os.getpid())
    return {process.pid for process in found}


async def kill(children: Children, main: Child) -> None:
    for pid in pids(Snapshot(), main.pid, frozenset({main.pid})):
        os.kill(pid, signal.SIGKILL)
    await main.wait()


@pytest.mark.parametrize(("script", "count"), [(_FAMILY, _FAMILY_SIZE), (_DAEMON, 3)])
async def test_short_look_sees_what_the_long_one_sees(children: Children, script: str, count: int) -> None:
    main = await start(children, script, count)
    short = around(main=main.pid, others=children.owned(), reaper=os.getpid())
    assert pids(short, main.pid) == pids(Snapshot(), main.pid)
    assert len(pids(short, main.pid)) == count
    await kill(children, main)


async def test_short_look_finds_what_a_killed_main_process_left(children: Children) -> None:
    main = await start(children, _FAMILY, _FAMILY_SIZE)
    main.send_signal(signal.SIGKILL)
    await main.wait()
    sessions = frozenset({main.pid})
    short = around(main=None, others=children.owned(), reaper=os.getpid())
    left = pids(short, None, sessions)
    assert left == pids(Snapshot(), None, sessions)
    assert len(left) == _FAMILY_SIZE - 1
    await kill(children, main)


async def test_short_look_passes_other_services_by(children: Children) -> None:
    main = await start(children, _NAP, 1)
    other = await start(children, f"({_NAP}) & {_NAP}", 2)
    short = around(main=main.pid, others=children.owned(), reaper=os.getpid())
    assert main.pid in short.processes
    assert other.pid not in short.processes
    assert not set(children_of(other.pid)) & short.processes.keys()
    await kill(children, main)
    await kill(children, other)


async def test_process_that_has_ended_has_no_children(children: Children) -> None:
    child = children.spawn(["true"], env=os.environ)
    await child.wait()
    assert children_of(child.pid) == []
