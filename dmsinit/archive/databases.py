"""Databases in the volumes: a file that a database is writing to is not copied as it lies."""

import os
import tempfile
from contextlib import closing
from typing import BinaryIO, Final, cast
from urllib.parse import quote

_SQLITE_MAGIC: Final = b"SQLite format 3\0"
COMPANIONS: Final = ("-wal", "-shm", "-journal")
"""Files beside an SQLite database that belong to it while it is open (sqlite.org/tempfiles.html)."""


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
