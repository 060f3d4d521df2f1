"""An answer counts when the service itself gives it."""

import asyncio
import os
import socket
import sys
from pathlib import Path

import pytest

from dmsinit.plan import Health, Probe, Readiness, Service
from dmsinit.supervisor import OperationFailed, State
from tests.support.bench import Bench, shell

ANSWERER = """
import os, socket, sys
if len(sys.argv) > 2:
    os.setgid(int(sys.argv[2]))
    os.setuid(int(sys.argv[2]))
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    server.accept()[0].close()
"""


def answerer(name: str, port: int, *arguments: str, **more: object) -> Service:
    probe = Probe(kind="tcp", address=f"inet:127.0.0.1:{port}", timeout_seconds=1)
    return Service(
        name=name,
        command=(sys.executable, "-I", "-S", "-c", ANSWERER, str(port), *arguments),
        ready=Readiness(probe=probe, timeout_seconds=10),
        health=Health(probe=probe, interval_seconds=0.3, failures=2),
        **more,  # type: ignore[arg-type]  # keywords of Service
    )


def silent(name: str, port: int, *, listener: str = "own") -> Service:
    """Return a service that listens nowhere, although it says so."""
    probe = Probe(kind="tcp", address=f"inet:127.0.0.1:{port}", timeout_seconds=1, listener=listener)  # type: ignore[arg-type]  # a literal
    return shell(name, "exec sleep 1000", ready=Readiness(probe=probe, timeout_seconds=0.7))


async def test_who_listened_before_makes_nobody_ready(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        await bench.run(silent("daemon", other.getsockname()[1]))
        with pytest.raises(OperationFailed, match="is answered by a process of user 0 that listened there before"):
            await bench.supervisor.operate("daemon", "start", wait=True)


async def test_a_service_whose_port_another_has_does_not_get_ready(bench: Bench, free_port: int) -> None:
    one, two = answerer("one", free_port), answerer("two", free_port)
    await bench.run(one)
    await bench.until("one", State.READY)
    await bench.run(one, two)
    with pytest.raises(OperationFailed, match="cannot start two"):
        await bench.supervisor.operate("two", "start", wait=True)
    assert "ready" not in [state for state, _ in bench.history("two")]


async def test_another_service_is_named(bench: Bench, free_port: int) -> None:
    one = answerer("one", free_port)
    await bench.run(one)
    await bench.until("one", State.READY)
    await bench.run(one, silent("two", free_port))
    with pytest.raises(OperationFailed, match=f"inet:127.0.0.1:{free_port} is answered by one"):
        await bench.supervisor.operate("two", "start", wait=True)


async def test_another_user_is_told_apart_when_both_start_at_once(bench: Bench, free_port: int) -> None:
    await bench.run(answerer("other", free_port, "1234"), silent("daemon", free_port))
    with pytest.raises(OperationFailed, match="cannot start daemon: not ready within"):
        await bench.supervisor.operate("daemon", "start", wait=True)
    await bench.until("other", State.READY)


async def test_one_that_drops_its_rights_is_believed(bench: Bench, free_port: int) -> None:
    await bench.run(answerer("daemon", free_port, "1234"))
    await bench.until("daemon", State.READY)
    await asyncio.sleep(1)  # some health probes
    assert bench.supervisor.unit("daemon").state is State.READY


async def test_any_listener_where_that_is_meant(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        await bench.run(silent("daemon", other.getsockname()[1], listener="any"))
        await bench.supervisor.operate("daemon", "start", wait=True)


async def test_a_unix_socket_of_somebody_else(bench: Bench, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    async with await asyncio.start_unix_server(lambda _reader, writer: writer.close(), path):
        probe = Probe(kind="unix", address=f"unix:{path}", timeout_seconds=1)
        await bench.run(shell("daemon", "exec sleep 1000", ready=Readiness(probe=probe, timeout_seconds=0.7)))
        with pytest.raises(OperationFailed, match=rf"pid {os.getpid()}\), which is none of its processes"):
            await bench.supervisor.operate("daemon", "start", wait=True)
