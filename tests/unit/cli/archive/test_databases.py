"""SQLite and Redis while they are in use."""

import socket
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from dmsinit.cli.archive import backup, databases, restore
from tests.unit.cli.archive.conftest import fill


def test_a_database_in_use_is_copied_as_a_whole(tmp_path: Path, volumes: dict[str, str], empty: dict[str, str]) -> None:
    path = Path(volumes["mail-state"], "lib-fail2ban", "fail2ban.sqlite3")
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE bans (address TEXT)")
        writer.executemany("INSERT INTO bans VALUES (?)", [(f"192.0.2.{number}",) for number in range(200)])
        writer.commit()  # in the -wal file, and there alone
        writer.execute("INSERT INTO bans VALUES ('never committed')")
        backup(str(tmp_path / "b.tar"), paths=volumes)
    restore(str(tmp_path / "b.tar"), paths=empty, mounted=False)
    folder = Path(empty["mail-state"], "lib-fail2ban")
    assert [one.name for one in folder.iterdir()] == ["fail2ban.sqlite3"]
    with closing(sqlite3.connect(folder / "fail2ban.sqlite3")) as reader:
        assert reader.execute("SELECT count(*) FROM bans").fetchone() == (200,)


def test_a_damaged_database_is_copied_as_it_lies(
    tmp_path: Path, volumes: dict[str, str], empty: dict[str, str]
) -> None:
    broken = b"SQLite format 3\0" + b"nonsense" * 1000
    fill(Path(volumes["mail-state"]), {"lib-x/x.db": broken, "lib-x/x.db-journal": "j"})
    backup(str(tmp_path / "b.tar"), paths=volumes)
    restore(str(tmp_path / "b.tar"), paths=empty, mounted=False)
    assert Path(empty["mail-state"], "lib-x/x.db").read_bytes() == broken
    assert Path(empty["mail-state"], "lib-x/x.db-journal").read_bytes() == b"j"


class Redis:
    """Answers as redis-server does, from a list of answers."""

    def __init__(self, answers: list[bytes]) -> None:
        self._answers = answers
        self.asked: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = self._listener.getsockname()
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


def test_redis_has_saved_before_its_file_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    busy, idle = bulk("loading:0\r\nrdb_bgsave_in_progress:1\r\n"), bulk("loading:0\r\nrdb_bgsave_in_progress:0\r\n")
    redis = Redis([b"+Background saving started\r\n", busy, idle])
    monkeypatch.setattr(databases, "_REDIS", redis.address)
    assert databases.save_redis() == ""
    assert redis.end() == [b"BGSAVE SCHEDULE", b"INFO persistence", b"INFO persistence"]


def test_redis_that_cannot_save_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    redis = Redis([b"-ERR Background save error\r\n"])
    monkeypatch.setattr(databases, "_REDIS", redis.address)
    assert databases.save_redis() == "Redis did not save what it holds: ERR Background save error"
    redis.end()


def test_without_redis_there_is_nothing_to_save(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    monkeypatch.setattr(databases, "_REDIS", address)
    assert databases.save_redis() == ""
