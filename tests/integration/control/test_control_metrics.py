"""The metrics port: the same server over TCP, with the three calls that anybody may make."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from dmsinit.control.api import Api
from dmsinit.control.listeners import tcp_listener
from dmsinit.control.server import serve
from tests.integration.control.system import System


@pytest.fixture
async def port() -> AsyncIterator[int]:
    api = Api(System(), group_id=None, on_defect=lambda *_: None)
    listener = tcp_listener("127.0.0.1:0")
    port: int = listener.getsockname()[1]
    server = asyncio.ensure_future(serve(listener, api.public))
    yield port
    server.cancel()
    await asyncio.gather(server, return_exceptions=True)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()


async def ask(port: int, request: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{request} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.decode()


async def test_anybody_may_read_metrics_and_health(port: int) -> None:
    answer = await ask(port, "GET /metrics")
    assert answer.startswith("HTTP/1.1 200 OK\r\n")
    assert "text/plain; version=0.0.4" in answer
    assert answer.endswith("dms_build_info 1\n")
    assert (await ask(port, "GET /livez")).endswith("alive\n")
    assert (await ask(port, "GET /readyz")).endswith("ready\n")


@pytest.mark.parametrize("request_", ["GET /v1/status", "POST /v1/services/postfix/stop", "GET /v1/plan/current"])
async def test_nothing_else_is_there(port: int, request_: str) -> None:
    assert (await ask(port, request_)).startswith("HTTP/1.1 404 ")


async def test_a_scraper_keeps_its_connection(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(3):
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await reader.readuntil(b"dms_build_info 1\n")
    writer.close()
    await writer.wait_closed()


async def test_a_large_body_is_refused_and_the_answer_arrives(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" + bytes(200_000))
    assert (await reader.read()).startswith(b"HTTP/1.1 413 ")
    writer.close()
