"""SQLite while it is in use."""

import sqlite3
from contextlib import closing
from pathlib import Path

from dmsinit.archive import backup, restore
from tests.unit.archive.conftest import fill


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
