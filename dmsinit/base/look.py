"""`python -m dmsinit.base.look PATTERN …`: is there a file that matches, and watch for it; a one-shot child of PID 1.

The directories of the patterns may be on a network mount that hangs, so that PID 1 must not look itself. Standard input
is an inotify instance (inotify(7)) of PID 1, which wakes up when something appears. Exit status: 0 there is such a
file; 1 there is none, and the directories are watched; 2 there is none, and they cannot be watched.
"""

import fnmatch
import os
import sys
from collections.abc import Iterable, Sequence

from dmsinit.base.inotify import add

FOUND, NOT_FOUND, NOT_WATCHED = 0, 1, 2


def there(patterns: Iterable[str]) -> bool:
    """Return whether a file matches one of the patterns; wildcards are in the last part only."""
    for pattern in patterns:
        directory, name = os.path.split(pattern)
        try:
            if fnmatch.filter(os.listdir(directory), name):
                return True
        except OSError:
            continue
    return False


def main(patterns: Sequence[str]) -> int:
    """Look, and watch first: what appears in between is an event."""
    instance = sys.stdin.fileno()
    try:
        watches, failure = add(instance, {os.path.dirname(pattern) for pattern in patterns})
    except OSError:
        watches, failure = [], 1
    if there(patterns):
        return FOUND
    return NOT_WATCHED if failure or not watches else NOT_FOUND


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
