"""Who listens at an address: the sockets that would get a connection, and nobody else's."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from dmsinit.base.sockets import listeners


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def listening(stack: ExitStack, host: str, port: int = 0, *, reuse: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = stack.enter_context(socket.socket(family))
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    server.bind((host, port))
    server.listen()
    return server


def inode(server: socket.socket) -> int:
    return os.fstat(server.fileno()).st_ino


def found(host: str, port: int) -> set[int]:
    seen = listeners(host, port)
    assert seen is not None
    assert {one.uid for one in seen} <= {os.getuid()}
    return {one.inode for one in seen}


@pytest.mark.parametrize("bound", ["127.0.0.1", "0.0.0.0", "::"])
def test_a_listener_is_found_by_its_address(stack: ExitStack, bound: str) -> None:
    server = listening(stack, bound)
    port = server.getsockname()[1]
    assert found("127.0.0.1", port) == {inode(server)}
    server.close()
    assert found("127.0.0.1", port) == set()


def test_the_one_of_the_address_goes_before_the_one_of_all(stack: ExitStack) -> None:
    everywhere = listening(stack, "0.0.0.0", reuse=True)
    port = everywhere.getsockname()[1]
    here = listening(stack, "127.0.0.1", port, reuse=True)
    assert found("127.0.0.1", port) == {inode(here)}
    assert found("127.0.0.2", port) == {inode(everywhere)}


def test_all_that_share_a_port_are_found(stack: ExitStack) -> None:
    one = listening(stack, "127.0.0.1", reuse=True)
    two = listening(stack, "127.0.0.1", one.getsockname()[1], reuse=True)
    assert found("127.0.0.1", one.getsockname()[1]) == {inode(one), inode(two)}


def test_many_connections_hide_no_listener(stack: ExitStack) -> None:
    servers = [listening(stack, "127.0.0.1") for _ in range(80)]
    for _ in range(100):
        stack.enter_context(socket.create_connection(servers[0].getsockname()))
    for server in servers:
        assert found("127.0.0.1", server.getsockname()[1]) == {inode(server)}


def test_a_name_is_not_looked_up() -> None:
    assert listeners("localhost.example.test", 25) is None
