"""Has a mailbox changed since it was measured? A mark that changes with its messages, and a memory of marks."""

import json
import os
from pathlib import Path
from typing import Final

from dmsinit.volume.names import is_mailbox

MEMORY: Final = "/run/dmsinit/mailbox-usage.json"
"""Marks and usage of the last listing; gone with the container."""
EMPTY: Final = ""
_MAILDIR: Final = frozenset({"cur", "new", "tmp", "home"})


def mailbox_mark(root: Path, address: str) -> str | None:
    """Return a text that changes whenever a message comes or goes: EMPTY without any mail, None where nobody knows.

    That is known of the maildir format only: each message is a file in `cur` or `new` of its folder, whose times of
    modification tell. Other formats keep other files, and are always asked about.
    """
    if not is_mailbox(address):
        return None
    local_part, _, domain = address.rpartition("@")
    try:
        return _mark(f"{root}/{domain}/{local_part}")
    except FileNotFoundError:
        return EMPTY
    except OSError:
        return None


def _mark(path: str) -> str | None:
    folders, bare = [""], True
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name.startswith("."):
                    folders.append(entry.name)
                elif entry.name not in _MAILDIR:
                    return None
                bare = bare and entry.name == "home"
            else:
                bare = bare and not entry.name.startswith(("dovecot", "subscriptions"))
    if bare:
        return EMPTY
    return " ".join(f"{name}:{_changed(path, name, 'cur')}:{_changed(path, name, 'new')}" for name in sorted(folders))


def _changed(path: str, folder: str, part: str) -> int:
    try:
        return os.stat(f"{path}/{folder}/{part}", follow_symlinks=False).st_mtime_ns
    except FileNotFoundError:
        return 0


def remembered() -> dict[str, tuple[str, int]]:
    """Return mark and usage in KiB of each account at the last listing."""
    try:
        with open(MEMORY) as file:
            return {address: (str(mark), int(used)) for address, (mark, used) in json.load(file).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def remember(usage: dict[str, tuple[str, int]]) -> None:
    """Keep marks and usage for the next listing; where that is impossible, it takes longer."""
    temporary = f"{MEMORY}.{os.getpid()}"
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w") as file:
            json.dump(usage, file)
        os.replace(temporary, MEMORY)
    except OSError:
        return
