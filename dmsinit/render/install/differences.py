"""What an apply would change in a file, for people: a unified diff in which no secret stands."""

import os
import stat
from collections.abc import Iterable
from difflib import unified_diff
from typing import Final

from dmsinit.render.paths import Root

_OTHERS_MAY_READ: Final = 0o004
_SHORTEST_SECRET: Final = 4
"""A shorter one would black out half the file, and is none."""

MASK: Final = "********"


def difference(path: str, root: Root, content: bytes, mode: int, secrets: Iterable[str]) -> str:
    """Return the diff from the installed file to `content`.

    Of a file that not everybody may read, it says only that it differs. Other files hold no secrets by design; should
    one of `secrets` stand in a user's own line, it is masked.
    """
    try:
        installed = root.read(path) or b""
        mode &= stat.S_IMODE(os.stat(root(path)).st_mode)
    except OSError:
        installed = b""
    if not mode & _OTHERS_MAY_READ:
        return f"{path}: differs (not shown, because it may hold secrets)\n"
    try:
        before, after = installed.decode(), content.decode()
    except UnicodeDecodeError:
        return f"{path}: differs (not text)\n"
    lines = unified_diff(before.splitlines(), after.splitlines(), path, path, "installed", "rendered now", lineterm="")
    text = "".join(f"{line}\n" for line in lines)
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, MASK)
    return text
