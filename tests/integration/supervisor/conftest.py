"""A real supervisor over real processes, in the event loop of the test."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dmsinit.supervisor import Children
from tests.support.bench import Bench, become_subreaper, running


@pytest.fixture(autouse=True, scope="session")
def _subreaper() -> None:
    """Inherit orphans as PID 1 does (prctl(2))."""
    become_subreaper()


@pytest.fixture
async def children() -> AsyncIterator[Children]:
    owner = Children()
    owner.open()
    yield owner
    owner.close()


@pytest.fixture
async def bench(children: Children, tmp_path: Path) -> AsyncIterator[Bench]:
    async with running(children, tmp_path) as bench:
        yield bench


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
