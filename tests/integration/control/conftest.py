"""A real server on a real socket over a small deterministic system, and real client processes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dmsinit.control.connection import Deadlines
from dmsinit.control.listeners import unix_listener
from dmsinit.control.server import serve
from tests.integration.control.system import Site, System


@pytest.fixture
def deadlines() -> Deadlines:
    """Short enough for tests of slow clients, long enough for a busy machine."""
    return Deadlines(head=0.3, idle=0.3, body=0.3, write=0.3, linger=0.3)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """Yield a running server with the deadlines of production."""
    site = Site(tmp_path / "control.sock", System())
    server = asyncio.ensure_future(serve(unix_listener(site.path), site.api.control))
    yield site
    server.cancel()
    await asyncio.gather(server, return_exceptions=True)
    assert not site.defects


@pytest.fixture
async def hasty_site(tmp_path: Path, deadlines: Deadlines) -> AsyncIterator[Site]:
    """Yield a running server that has little patience, and room for few clients."""
    site = Site(tmp_path / "control.sock", System())
    server = asyncio.ensure_future(
        serve(unix_listener(site.path), site.api.control, max_clients=4, deadlines=deadlines)
    )
    yield site
    server.cancel()
    await asyncio.gather(server, return_exceptions=True)
