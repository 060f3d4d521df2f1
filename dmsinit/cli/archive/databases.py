"""Databases in the volumes: a file that a database is writing to is not copied as it lies."""

import os
import socket
import tempfile
import time
from contextlib import closing
from typing import BinaryIO, Final, cast
from urllib.parse import quote

_SQLITE_MAGIC: Final = b"SQLite format 3\0"
COMPANIONS: Final = ("-wal", "-shm", "-journal")
"""Files beside an SQLite database that belong to it while it is open (sqlite.org/tempfiles.html)."""

_REDIS: Final = ("127.0.0.1", 6379)
_REDIS_ANSWER_SECONDS: Final = 5.0
_REDIS_SAVE_SECONDS: Final = 120.0
_REDIS_LOOK_SECONDS: Final = 0.05


def copied(path: str, file: BinaryIO) -> BinaryIO | None:
    """Return a consistent copy of an SQLite database by SQLite's own backup; None when it is none, or cannot be read.

    `file` is that file, opened; it is at its beginning again afterwards.
    """
    magic = os.pread(file.fileno(), len(_SQLITE_MAGIC), 0)
    if magic != _SQLITE_MAGIC:
        return None
    try:
        import sqlite3
    except ImportError:
        return None
    with tempfile.NamedTemporaryFile(prefix="dmsinit-backup-") as target:
        try:
            with (
                closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True)) as source,
                closing(sqlite3.connect(target.name)) as copy,
            ):
                source.backup(copy)
        except sqlite3.Error:  # damaged, or on a volume that is read-only: then as it lies
            return None
        return cast("BinaryIO", open(target.name, "rb"))


def save_redis() -> str:
    """Have Redis write what it holds to its file, and wait for that; return what went wrong, "" when nothing did.

    Where no Redis listens there is nothing to save.
    """
    try:
        with socket.create_connection(_REDIS, timeout=_REDIS_ANSWER_SECONDS) as connection:
            return _save(connection)
    except ConnectionRefusedError:
        return ""
    except OSError as error:
        return f"Redis did not save what it holds: {error}; the backup has what it saved before"


def _save(connection: socket.socket) -> str:
    with connection.makefile("rb") as answers:
        answer = _ask(connection, answers, b"BGSAVE SCHEDULE")
        if answer.startswith(b"-"):
            return f"Redis did not save what it holds: {answer[1:].decode('ascii', 'replace')}"
        deadline = time.monotonic() + _REDIS_SAVE_SECONDS
        while time.monotonic() < deadline:
            if b"rdb_bgsave_in_progress:0" in _ask(connection, answers, b"INFO persistence"):
                return ""
            time.sleep(_REDIS_LOOK_SECONDS)
        return f"Redis is still saving after {_REDIS_SAVE_SECONDS:g} s; the backup has what it saved before"


def _ask(connection: socket.socket, answers: BinaryIO, command: bytes) -> bytes:
    """Send an inline command and return its answer (Redis serialization protocol): a line, or a bulk string."""
    connection.sendall(command + b"\r\n")
    line = answers.readline().rstrip(b"\r\n")
    if line.startswith(b"$") and line != b"$-1":
        return answers.read(int(line[1:]) + 2)
    return line
