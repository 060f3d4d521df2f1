"""The client against answers that a defective or dying server could give."""

import socket
from collections.abc import Iterator

import pytest

from dmsinit.control.client import Reply, Unreachable


def reply_to(answer: bytes) -> Reply:
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(answer)
    return Reply(ours)


def test_a_body_of_known_length_is_read() -> None:
    reply = reply_to(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: x\r\n\r\n{}")
    assert (reply.status, reply.headers["content-type"], reply.json()) == (200, "x", {})


@pytest.mark.parametrize("sizes", [[1] * 18, [18], [9, 9], [7, 11], [1, 16, 1]])
def test_lines_are_put_together_from_chunks(sizes: list[int]) -> None:
    body = b'{"a":1}\n{"b":"\\n"}\n'[:18] + b"\n"

    def chunks() -> Iterator[bytes]:
        rest = body
        for size in [*sizes, len(body)]:
            if rest:
                yield b"%x;extension\r\n%s\r\n" % (len(rest[:size]), rest[:size])
            rest = rest[size:]

    reply = reply_to(b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(chunks()) + b"0\r\n\r\n")
    assert list(reply.lines()) == [{"a": 1}, {"b": "\n"}]


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1\r\n", b"SSH-2.0-OpenSSH\r\n", b"\r\n"])
def test_no_answer_is_told(answer: bytes) -> None:
    with pytest.raises(Unreachable, match="did not answer"):
        reply_to(answer)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nabc",
        b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ],
)
def test_an_answer_that_breaks_off_is_told(answer: bytes) -> None:
    with pytest.raises(Unreachable, match="in mid-answer"):
        reply_to(answer).body()
