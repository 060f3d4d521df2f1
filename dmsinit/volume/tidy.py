"""What editors of other systems leave in the config volume, put right at a start: CRLF, and a last line without an end.

Only at a start: later somebody may be in the middle of writing such a file, and what is read then is read all the same
(files.py). A file that cannot be written stays as it is.
"""

import os
from pathlib import Path
from typing import Final, NamedTuple

from dmsinit.problem import Problem
from dmsinit.volume import files, store
from dmsinit.volume.errors import EditError
from dmsinit.volume.lock import exclusive

_NAMES: Final = (*files.ALL, "postfix-master.cf", "rspamd/custom-commands.conf")
"""The files that are read line by line."""


class Tidied(NamedTuple):
    """What was changed, for people."""

    warnings: list[Problem]
    notes: list[str]


def tidy(directory: Path) -> Tidied:
    """Give the lines of the config volume's files Unix line endings, the last one included."""
    tidied = Tidied([], [])
    untidy = [name for name in _NAMES if (data := _read(directory / name)) != _put_right(data)]
    if untidy:
        try:
            with exclusive(directory):
                for name in untidy:
                    _tidy(directory, name, tidied)
        except EditError:
            # It cannot be written: reading tells what is wrong with it.
            return tidied
    return tidied


def create_empty(directory: Path, name: str) -> bool:
    """Make a file for users to fill where it is missing, owned as its directory is; return whether it was made."""
    try:
        with (directory / name).open("xb") as file:
            owner = directory.stat()
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
    except OSError:
        return False  # it is there, or nothing can be made there, and it is not missed
    return True


def _tidy(directory: Path, name: str, tidied: Tidied) -> None:
    path = directory / name
    data = _read(path)
    store.replace(path, _put_right(data), new_mode=0o644, volume=directory)
    if b"\r\n" in data:
        line = data.count(b"\n", 0, data.index(b"\r\n")) + 1
        cause = "had Windows line endings (CRLF), which were replaced"
        tidied.warnings.append(Problem(f"{name}:{line}", cause, "save it with Unix line endings"))
    else:
        tidied.notes.append(f"{name}: its last line had no end and was given one")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _put_right(data: bytes) -> bytes:
    data = data.replace(b"\r\n", b"\n")
    return data + b"\n" if data and not data.endswith(b"\n") else data
