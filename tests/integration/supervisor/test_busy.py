"""Full is not dead: who gives no answer because it is at work is left to it, and who does nothing is restarted."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import msgspec
import pytest

from dmsinit.plan import Health, Probe, Readiness, Service
from dmsinit.supervisor import Reason, State
from dmsinit.supervisor.states import COMPLETE
from tests.support.bench import Bench

WORKER = """
import os, signal, socket, sys, time
path, mode = sys.argv[1:]
if os.path.exists(path):
    os.unlink(path)
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen(50)
working = False
def turn(*_):
    global working
    working = not working
signal.signal(signal.SIGUSR1, turn)
server.settimeout(0.02)
def work():
    if mode == "processor":
        end = time.monotonic() + 0.05
        while time.monotonic() < end:
            pass
    elif mode == "workers":
        if os.fork() == 0:
            time.sleep(0.3)
            os._exit(0)
        time.sleep(0.05)
    elif mode == "ticks":
        time.sleep(0.05)
    elif mode == "starts":
        if os.fork() == 0:
            time.sleep(1000)
        time.sleep(0.2)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while True:
    if working:
        work()
        continue
    try:
        client, _ = server.accept()
    except TimeoutError:
        continue
    try:
        client.send(b"220 hello\\r\\n")
    except BrokenPipeError:  # it went away meanwhile
        pass
    client.close()
"""
"""Answers, or (turned by SIGUSR1) works in one of several ways without looking at its clients."""


def worker(directory: Path, mode: str, *, failures: int = 2, busy_timeout: float = 900.0) -> Service:
    probe = Probe(kind="smtp", address=f"unix:{directory}/socket", timeout_seconds=0.3)
    return Service(
        name="worker",
        command=(sys.executable, "-I", "-S", "-c", WORKER, f"{directory}/socket", mode),
        ready=Readiness(probe=probe),
        health=Health(
            probe=probe, interval_seconds=0.3, failures=failures, busy_timeout_seconds=busy_timeout
        ),
    )  # fmt: skip


async def turned(bench: Bench, service: Service) -> int:
    """Start it, turn it to its work, and return its pid."""
    await bench.run(service)
    await bench.until("worker", State.READY)
    pid = bench.pid("worker")
    os.kill(pid, signal.SIGUSR1)
    return pid


@pytest.mark.parametrize("mode", ["processor", "workers"])
async def test_one_at_work_is_busy_and_left_to_it(bench: Bench, tmp_path: Path, mode: str) -> None:
    pid = await turned(bench, worker(tmp_path, mode))
    await bench.until("worker", State.BUSY)
    unit = bench.supervisor.unit("worker")
    assert "at work" in unit.detail
    assert "no greeting on" in unit.detail
    assert unit.state in COMPLETE
    assert unit.fulfilled
    assert bench.supervisor.whole.missing() == []
    seen = asyncio.Event()
    asyncio.get_running_loop().call_later(3, seen.set)  # ten probes, far more than `failures`
    await seen.wait()
    assert (bench.pid("worker"), unit.restarts) == (pid, 0)
    os.kill(pid, signal.SIGUSR1)
    await bench.until("worker", State.READY)
    assert unit.detail == "answers again"
    assert bench.supervisor.runtime.events.counts["worker", "busy", "probe-failed"] >= 1


@pytest.mark.parametrize("mode", ["ticks", "starts"])
async def test_one_that_only_ticks_or_only_starts_children_hangs(bench: Bench, tmp_path: Path, mode: str) -> None:
    pid = await turned(bench, worker(tmp_path, mode))
    await bench.until("worker", State.STOPPING)
    unit = bench.supervisor.unit("worker")
    await bench.until("worker", State.READY, and_=lambda: bench.pid("worker") != pid)
    assert unit.deaths[-1].cause == Reason.PROBE_FAILED
    assert "2 health probes in a row failed" in unit.deaths[-1].detail


async def test_one_that_is_suspended_hangs_whatever_its_others_do(bench: Bench, tmp_path: Path) -> None:
    pid = await turned(bench, worker(tmp_path, "workers"))
    await bench.until("worker", State.BUSY)
    os.kill(pid, signal.SIGSTOP)
    await bench.until("worker", State.READY, and_=lambda: bench.pid("worker") != pid)
    assert bench.supervisor.unit("worker").deaths[-1].cause == Reason.PROBE_FAILED


async def test_one_that_is_at_work_for_ever_is_restarted_in_the_end(bench: Bench, tmp_path: Path) -> None:
    pid = await turned(bench, worker(tmp_path, "processor", failures=3, busy_timeout=1.5))
    await bench.until("worker", State.BUSY)
    await bench.until("worker", State.READY, and_=lambda: bench.pid("worker") != pid)
    death = bench.supervisor.unit("worker").deaths[-1]
    assert death.cause == Reason.PROBE_FAILED
    assert "at work without an answer for" in death.detail


async def test_an_answer_that_is_wrong_is_no_work(bench: Bench, tmp_path: Path) -> None:
    script = WORKER.replace("220 hello", "554 no").replace(
        "working = False", "working = False; began = time.monotonic()"
    )
    service = worker(tmp_path, "processor")
    ready = Readiness(probe=Probe(kind="file", address=f"{tmp_path}/socket"))
    command = (
        *service.command[:4],
        script.replace("server.accept()", "(work(), server.accept())[1]"),
        *service.command[5:],
    )
    await bench.run(Service(name="worker", command=command, ready=ready, health=service.health))
    await bench.until("worker", State.STOPPING)
    assert "greeted with" in bench.supervisor.unit("worker").detail


async def test_one_that_waits_for_another_at_work_is_busy(bench: Bench, tmp_path: Path) -> None:
    waits = worker(tmp_path, "ticks")
    assert waits.health is not None
    waits = msgspec.structs.replace(waits, health=msgspec.structs.replace(waits.health, asks=("scanner", "nobody")))
    scanner = Service(name="scanner", command=("sh", "-c", "while :; do :; done"))
    await bench.run(waits, scanner)
    await bench.until("worker", State.READY)
    pid = bench.pid("worker")
    os.kill(pid, signal.SIGUSR1)
    await bench.until("worker", State.BUSY)
    os.kill(bench.pid("scanner"), signal.SIGSTOP)  # nobody is at work any longer
    await bench.until("worker", State.READY, and_=lambda: bench.pid("worker") != pid)
    os.kill(bench.pid("scanner"), signal.SIGCONT)


async def test_one_that_talks_to_a_service_that_hangs_is_left_alone(bench: Bench, tmp_path: Path) -> None:
    """Of a chain in which nobody answers, only the one that hangs is restarted."""
    (tmp_path / "filter").mkdir()
    client = msgspec.structs.replace(worker(tmp_path, "ticks", failures=3), pauses_for=("filter",))
    server = msgspec.structs.replace(worker(tmp_path / "filter", "ticks", failures=8), name="filter")
    await bench.run(client, server)
    await bench.until("worker", State.READY)
    await bench.until("filter", State.READY)
    hung = bench.pid("filter")
    os.kill(hung, signal.SIGUSR1)
    await bench.until("filter", State.UNHEALTHY)
    pid = bench.pid("worker")
    os.kill(pid, signal.SIGUSR1)
    await bench.until("worker", State.UNHEALTHY)
    assert "it may wait for filter, which does not answer" in bench.supervisor.unit("worker").detail
    await bench.until("filter", State.READY, and_=lambda: bench.pid("filter") != hung)
    assert bench.pid("worker") == pid
    await bench.until("worker", State.READY, and_=lambda: bench.pid("worker") != pid)
