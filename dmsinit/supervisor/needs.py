"""Files that a service needs before it may start: waited for by inotify(7), without polling.

Contract: `until_files` returns at once where one is there. Otherwise the unit shows what it lacks for as long as that
lasts: what wants it does not wait for it then, and `dmsctl status` shows why it does not run. A child looks, since the
files may be on a network mount that hangs.
"""

import asyncio
import os
import sys
from typing import Final

from dmsinit.base.inotify import open_instance
from dmsinit.supervisor.unit import Unit

LOOK_AGAIN_SECONDS: Final = 5.0
"""Where the kernel has no inotify instance or watch left: nothing reports what appears."""
_EVENTS_BYTES: Final = 65536
_FOUND, _NOT_FOUND = 0, 1


async def until_files(unit: Unit) -> None:
    """Wait until a file matches one of the patterns that the service needs."""
    needs = unit.service.needs
    if not needs.files:
        return
    instance = open_instance()
    try:
        while (answer := await _look(unit, instance)) != _FOUND:
            if not unit.lacks_files:
                unit.lack(needs.why or f"there is no {' or '.join(needs.files)}")
            if instance is None or answer != _NOT_FOUND:
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
            else:
                await _event(instance)
    finally:
        if instance is not None:
            os.close(instance)
        if unit.lacks_files:
            unit.missed = True
            unit.lack("")


async def _look(unit: Unit, instance: int | None) -> int:
    """Run dmsinit/base/look.py; return its exit status."""
    return await unit.runtime.run(
        [sys.executable, "-I", "-m", "dmsinit.base.look", *unit.service.needs.files], stdin=instance
    )


async def _event(instance: int) -> None:
    """Return when something happened, with all events taken."""
    happened = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(instance, happened.set)
    try:
        await happened.wait()
    finally:
        loop.remove_reader(instance)
    os.read(instance, _EVENTS_BYTES)
