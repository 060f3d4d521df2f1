"""Clients of a service that is between two lives are paused, and not refused."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dmsinit.plan import Probe, Readiness, Restart, Service
from dmsinit.supervisor import Reason, State, suspension
from dmsinit.supervisor.proctree import read_process
from tests.support.bench import Bench

SERVER = """
import socket, sys, time
time.sleep(0.2)  # the time that a start takes
server = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=64)
while True:
    client, _ = server.accept()
    client.sendall(b"220 hello\\r\\n")
    client.close()
"""

CLIENT = """
import os, socket, sys
answers = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
while True:
    try:
        with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as server:
            server.recv(100)
            os.write(answers, b"+")
    except ConnectionResetError:
        os.write(answers, b"x")
    except ConnectionRefusedError:
        os.write(answers, b"!")
"""

NEVER_READY = Readiness(probe=Probe(kind="file", address="/nowhere"), timeout_seconds=60)


def python(name: str, script: str, *words: object, **more: object) -> Service:
    command = (sys.executable, "-I", "-c", script, *map(str, words))
    return Service(name=name, command=command, **more)  # type: ignore[arg-type]  # keywords of Service


def server(port: int, **more: object) -> Service:
    probe = Probe(kind="smtp", address=f"inet:127.0.0.1:{port}", timeout_seconds=1)
    return python("server", SERVER, port, ready=Readiness(probe=probe), **more)


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    return tmp_path / "answers"


def client(port: int, answers: Path) -> Service:
    """Two processes that ask all the time: a parent, and a child in a session of its own."""
    script = f"import os\nif os.fork() == 0: os.setsid()\n{CLIENT}"
    ready = Readiness(probe=Probe(kind="file", address=str(answers)))
    return python("client", script, port, answers, after=("server",), pauses_for=("server",), ready=ready)


def states(bench: Bench) -> Iterator[str]:
    for member in bench.supervisor.members("client"):
        process = read_process(member.pid)
        assert process is not None
        yield process.state


async def test_nobody_is_refused_while_a_service_restarts(bench: Bench, free_port: int, answers: Path) -> None:
    await bench.run(server(free_port), client(free_port, answers))
    await bench.until("client", State.READY)
    for _ in range(3):
        await bench.supervisor.operate("server", "restart", wait=True)
        before = answers.stat().st_size
        while answers.stat().st_size < before + 10:
            await bench.turn()
    assert len(list(states(bench))) == 2
    assert "!" not in answers.read_text()


async def test_all_processes_pause_from_the_crash_on(
    bench: Bench, free_port: int, answers: Path, tmp_path: Path
) -> None:
    ready = tmp_path / "ready"
    ready.touch()
    await bench.run(
        python("server", SERVER, free_port, ready=Readiness(probe=Probe(kind="file", address=str(ready)))),
        client(free_port, answers),
    )
    await bench.until("client", State.READY)
    ready.unlink()
    os.kill(bench.pid("server"), signal.SIGKILL)
    await bench.until("server", State.STARTING)
    while list(states(bench)) != ["T", "T"]:
        await bench.turn()
    ready.touch()
    await bench.until("server", State.READY)
    while "T" in states(bench):
        await bench.turn()


async def test_a_service_that_takes_too_long_holds_nobody(
    bench: Bench, free_port: int, answers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suspension, "LONGEST_PAUSE_SECONDS", 0.2)
    await bench.run(server(free_port), client(free_port, answers))
    await bench.until("client", State.READY)
    bench.supervisor.unit("server").define(python("server", "import signal; signal.pause()", ready=NEVER_READY))
    await bench.supervisor.operate("server", "restart", wait=False)
    await bench.until("server", State.STARTING)
    while "T" in states(bench):
        await bench.turn()
    assert bench.supervisor.unit("server").state is State.STARTING


async def test_a_service_that_cannot_start_holds_nobody(bench: Bench, free_port: int, answers: Path) -> None:
    await bench.run(server(free_port), client(free_port, answers))
    await bench.until("client", State.READY)
    slow = Restart(delay_seconds=60)
    bench.supervisor.unit("server").define(python("server", "raise SystemExit(3)", ready=NEVER_READY, restart=slow))
    await bench.supervisor.operate("server", "restart", wait=False)
    await bench.until("server", State.BACKOFF)
    while "T" in states(bench):
        await bench.turn()
    assert bench.supervisor.unit("server").state is State.BACKOFF


async def test_clients_go_on_when_it_is_given_up(bench: Bench, free_port: int, answers: Path) -> None:
    await bench.run(server(free_port, restart=Restart(policy="never")), client(free_port, answers))
    await bench.until("client", State.READY)
    os.kill(bench.pid("server"), signal.SIGKILL)
    await bench.until("server", State.EXITED)
    while "T" in states(bench):
        await bench.turn()


async def test_a_paused_client_can_be_stopped(bench: Bench, free_port: int, answers: Path) -> None:
    await bench.run(server(free_port), client(free_port, answers))
    await bench.until("client", State.READY)
    bench.supervisor.unit("server").define(python("server", "import signal; signal.pause()", ready=NEVER_READY))
    await bench.supervisor.operate("server", "restart", wait=False)
    while "T" not in states(bench):
        await bench.turn()
    await bench.supervisor.operate("client", "stop", wait=True)
    assert bench.history("client")[-1] == ("stopped", Reason.OPERATOR)
    assert bench.supervisor.unit("client").tree.members() == []
