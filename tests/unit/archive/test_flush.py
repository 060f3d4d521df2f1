"""Services that write what they hold before their files are copied."""

import socket
import threading

import pytest

from dmsinit.archive import flush
from dmsinit.control.client import SOCKET_VARIABLE
from dmsinit.plan import Backup


class Redis:
    """Answers as redis-server does, from a list of answers."""

    def __init__(self, answers: list[bytes]) -> None:
        self._answers = answers
        self.asked: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "inet:{}:{}".format(*self._listener.getsockname())
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with self._listener, self._listener.accept()[0] as connection, connection.makefile("rb") as lines:
            for line in lines:
                self.asked.append(line.strip())
                connection.sendall(self._answers.pop(0))

    def end(self) -> list[bytes]:
        self._thread.join()
        return self.asked


def bulk(text: str) -> bytes:
    return f"${len(text)}\r\n{text}\r\n".encode()


def test_redis_has_saved_before_its_file_is_read() -> None:
    busy, idle = bulk("loading:0\r\nrdb_bgsave_in_progress:1\r\n"), bulk("loading:0\r\nrdb_bgsave_in_progress:0\r\n")
    redis = Redis([b"+Background saving started\r\n", busy, idle])
    assert flush.one("x", Backup(redis=redis.address)) == []
    assert redis.end() == [b"BGSAVE SCHEDULE", b"INFO persistence", b"INFO persistence"]


def test_redis_that_cannot_save_is_told() -> None:
    redis = Redis([b"-ERR Background save error\r\n"])
    assert flush.one("x", Backup(redis=redis.address)) == [
        "x did not save what it holds: ERR Background save error; the backup has what it saved before"
    ]
    redis.end()


def test_without_redis_there_is_nothing_to_save() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = "inet:{}:{}".format(*listener.getsockname())
    assert flush.one("x", Backup(redis=address)) == []
    assert flush.one("x", Backup(redis="unix:/nonexistent/socket")) == []


def test_a_command_that_fails_is_told() -> None:
    def said(*command: str) -> list[str]:
        return [one.removeprefix("x did not save what it holds: ") for one in flush.one("x", Backup(command=command))]

    assert said("sh", "-c", ":") == []
    assert said("sh", "-c", "echo no room >&2; exit 3") == [
        "sh ended with 3: no room; the backup has what it saved before"
    ]
    assert said("/nonexistent") == [
        "cannot run /nonexistent: No such file or directory; the backup has what it saved before"
    ]


def test_without_a_server_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SOCKET_VARIABLE, "/nonexistent/socket")
    assert flush.services() == []
