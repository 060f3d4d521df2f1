"""Three-way merge of files, on bytes: what a user patched, whatever its encoding and line endings, stays as it is."""

import subprocess
from typing import Final

from dmsinit.base.atomic import replace_file
from dmsinit.render.paths import WORK, Root
from dmsinit.render.programs import TIMEOUT_SECONDS

_INSTALLED: Final = f"{WORK}/installed"
_LABELS: Final = ("-L", "installed", "-L", "rendered before", "-L", "rendered now")


def merge(installed: bytes, before: str, wanted: str, root: Root) -> tuple[bytes, bool]:
    """Return `installed` with the changes from the file `before` to the file `wanted`, and whether none overlap.

    Where some do, both versions stand between markers. diff3(1) does the work; where it cannot, nothing is merged. It
    reads a copy of what is installed: the file itself may have become something else since it was read.
    """
    copy = root(_INSTALLED)
    replace_file(copy, installed, mode=0o600, durable=False)
    command = ["diff3", "--text", "--merge", *_LABELS, copy, root(before), root(wanted)]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=TIMEOUT_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return installed, False
    # 0: merged, 1: with conflicts, 2: in trouble.
    return (done.stdout if done.returncode < 2 else installed), done.returncode == 0
