"""Nothing in the event loop may wait: PID 1 runs all of it, and stands still meanwhile."""

import os
from collections.abc import Iterator
from typing import Final

import pytest
from blockbuster import blockbuster_ctx

# asyncio reports what is never awaited or called from elsewhere (PYTHONASYNCIODEBUG; each loop reads it anew).
os.environ["PYTHONASYNCIODEBUG"] = "1"

ALLOWED: Final = {
    # Files that the kernel makes of its own memory (/proc, /sys, cgroups): reading them waits for no device.
    "base/cgroup.py": {"find", "oom_kills", "read"},
    "base/dispositions.py": {"_masks"},
    "base/mounts.py": {"hanging", "may_hang"},
    "base/sockets.py": {"_lines", "listeners"},
    "base/work.py": {"_read", "_waited_nanoseconds"},
    "metrics/process.py": {"_descriptors", "_read"},
    "supervisor/proctree.py": {"_read", "all_pids", "children_of"},
    "supervisor/supervisor.py": {"resident_bytes"},
    # /run and the image's own files; what is on a mount that may hang is not looked at.
    "control/listeners.py": {"unix_listener"},
    "supervisor/command.py": {"_account_exists", "_has", "check", "may_set_oom_score_adj", "highest_nofile"},
    "supervisor/notify.py": {"open", "close"},
    # The log of a service is written here unless it is on a mount that may hang: then a child writes it.
    "base/logfile.py": {"write"},
    # In the child that renders, which waits as it likes.
    "base/inotify.py": {"add"},
}
"""Functions of dmsinit that open and read in the event loop, and why they do not wait."""


@pytest.fixture(autouse=True)
def _nothing_waits() -> Iterator[None]:
    """Let a call that may block fail where a coroutine of dmsinit makes it (blockbuster)."""
    with blockbuster_ctx("dmsinit") as detector:
        for function in detector.functions.values():
            for path, names in ALLOWED.items():
                function.can_block_in(f"dmsinit/{path}", names)
        yield
