"""A real supervisor over real processes, in the event loop of the test."""

import asyncio
import contextlib
import ctypes
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dmsinit.log import Log
from dmsinit.supervisor import Children, Reason, Supervisor, World
from tests.support.bench import Bench

PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture(autouse=True, scope="session")
def _subreaper() -> None:
    """Inherit orphans as PID 1 does (prctl(2))."""
    assert ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


@pytest.fixture
async def children() -> AsyncIterator[Children]:
    owner = Children()
    owner.open()
    yield owner
    owner.close()


@pytest.fixture
async def bench(children: Children, tmp_path: Path) -> AsyncIterator[Bench]:
    log = Log("test", level="error")
    world = World(children, log, {"PATH": os.environ["PATH"]}, tmp_path, tmp_path / "run")
    supervisor = Supervisor(world)
    started = asyncio.Event()
    running = asyncio.create_task(supervisor.run(started.set))
    await started.wait()
    yield Bench(supervisor)
    await supervisor.stop_all(Reason.SHUTDOWN)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
