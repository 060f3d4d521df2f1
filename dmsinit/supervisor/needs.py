"""Files that a service needs before it may start: waited for by inotify(7), without polling.

Contract: `until_files` returns at once where one is there. Otherwise the unit tells what it lacks for as long as that
lasts: nobody who wants it waits for it then, and `dmsctl status` shows why it does not run.
"""

import fnmatch
import os
from collections.abc import Iterable

from dmsinit.inotify import Watcher
from dmsinit.supervisor.unit import Unit


async def until_files(unit: Unit) -> None:
    """Wait until a file matches one of the patterns that the service needs."""
    needs = unit.service.needs
    if not needs.files or there(needs.files):
        return
    watcher = Watcher()
    try:
        watcher.watch({os.path.dirname(pattern) for pattern in needs.files})
        unit.lack(needs.why or f"there is no {' or '.join(needs.files)}")
        while not there(needs.files):
            await watcher.changed()
    finally:
        watcher.close()
        unit.lack("")
    unit.missed = True


def there(patterns: Iterable[str]) -> bool:
    """Return whether a file matches one of the patterns; wildcards stand in the last part only."""
    for pattern in patterns:
        directory, name = os.path.split(pattern)
        try:
            if fnmatch.filter(os.listdir(directory), name):
                return True
        except OSError:
            continue
    return False
