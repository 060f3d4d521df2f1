"""The end of a service that is suspended, and of one whose administrator asks a second time."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dmsinit.plan import Probe, Readiness, Service, Stop
from dmsinit.supervisor import Runtime, State
from dmsinit.supervisor.proctree import read_process
from tests.support.bench import Bench

LONG_SECONDS = 1000.0

CHILD = "trap 'echo child >> {out}; exit' TERM; echo > {ready}; while :; do sleep 60 & wait $!; done"
PARENT = "trap 'echo parent >> {out}; exit' TERM; sh {child} & while :; do wait $!; done"


def family(directory: Path, stop: Stop) -> Service:
    """A shell with a child of its own, each of which writes its name when it is told to terminate."""
    out, ready, child = directory / "out", directory / "ready", directory / "child"
    child.write_text(CHILD.format(out=out, ready=ready))
    return Service(
        name="family",
        command=("sh", "-c", PARENT.format(out=out, child=child)),
        ready=Readiness(probe=Probe(kind="file", address=str(ready))),
        stop=stop,
    )


def suspend(bench: Bench, which: Callable[[int], bool]) -> None:
    for process in bench.supervisor.members("family"):
        if which(process.pid):
            os.kill(process.pid, signal.SIGSTOP)
            while (now := read_process(process.pid)) is not None and now.state != "T":
                pass


@pytest.mark.parametrize("by", ["signal", "command"])
@pytest.mark.parametrize("who", ["all", "children"])
async def test_suspended_processes_hear_that_they_are_to_end(bench: Bench, tmp_path: Path, by: str, who: str) -> None:
    command = ("sh", "-c", f"kill -TERM $(cat {tmp_path}/pid)") if by == "command" else ()
    await bench.run(family(tmp_path, Stop(command=command, grace_seconds=LONG_SECONDS)))
    await bench.until("family", State.READY)
    main = bench.pid("family")
    (tmp_path / "pid").write_text(str(main))
    suspend(bench, lambda pid: who == "all" or pid != main)
    began = time.monotonic()
    await bench.supervisor.operate("family", "stop", wait=True)
    assert time.monotonic() - began < LONG_SECONDS / 2
    assert sorted((tmp_path / "out").read_text().split()) == ["child", "parent"]


async def test_what_a_crash_leaves_suspended_hears_it_too(bench: Bench, tmp_path: Path) -> None:
    await bench.run(family(tmp_path, Stop()))
    await bench.until("family", State.READY)
    main = bench.pid("family")
    suspend(bench, lambda pid: pid != main)
    os.kill(main, signal.SIGKILL)
    await bench.until("family", State.READY, and_=lambda: bench.pid("family") != main)
    assert (tmp_path / "out").read_text().split() == ["child"]


async def test_a_second_request_shortens_the_grace(bench: Bench, tmp_path: Path) -> None:
    """Also that of a stop which has begun."""
    stubborn = Service(
        name="stubborn",
        command=("sh", "-c", f"trap '' TERM; echo > {tmp_path}/ready; while :; do sleep 60; done"),
        ready=Readiness(probe=Probe(kind="file", address=str(tmp_path / "ready"))),
        stop=Stop(grace_seconds=LONG_SECONDS),
    )
    await bench.run(stubborn)
    await bench.until("stubborn", State.READY)
    stopping = asyncio.create_task(bench.supervisor.operate("stubborn", "stop", wait=True))
    await bench.until("stubborn", State.STOPPING)
    began = time.monotonic()
    runtime: Runtime = bench.supervisor.runtime
    asyncio.get_running_loop().call_soon(runtime.hurry)  # as a signal handler does
    await stopping
    assert time.monotonic() - began < LONG_SECONDS / 2
    with runtime.grace(LONG_SECONDS) as scope:
        await asyncio.Event().wait()
    assert scope.cancelled_caught
