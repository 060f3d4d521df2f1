"""A log never blocks its program, whatever its standard error is, and says what was lost."""

import os
import socket

import pytest

from dmsinit.log import Log


def test_a_socket_that_nobody_reads_does_not_block() -> None:
    """systemd's journal, for one: a socket cannot be opened again, and its flags are shared with children."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(10)
        log = Log("dmsinit", fd=ours.fileno())
        for _ in range(1000):
            log.info("x" * 5000)
        lost = log.dropped
        assert 0 < lost < 1000
        received = b""
        while b"were lost" not in received:
            received += theirs.recv(65536)
            log.info("again")
        assert b"lines before this one were lost: the log was not read" in received
        assert os.get_blocking(ours.fileno())


def test_a_pipe_that_nobody_reads_does_not_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some sandboxes do not let anything be opened by way of /proc."""
    reading, writing = os.pipe()

    def refused(*_arguments: object) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "open", refused)
    log = Log("dmsinit", fd=writing)
    for _ in range(100):
        log.info("x" * 5000)
    assert 0 < log.dropped < 100
    os.close(writing)
    os.close(reading)
