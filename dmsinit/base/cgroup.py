"""The container's memory as the kernel counts it: cgroup v1, v2, and both side by side ("hybrid").

Where the files are is found as cgroups(7) and proc_pid_mountinfo(5) tell: the container may or may not have a cgroup
namespace, and the mount may show a subtree only.
"""

import math
from pathlib import Path
from typing import Final, NamedTuple

_UNLIMITED_BYTES: Final = 1 << 60
"""v1 has no word for "no limit": it shows the largest multiple of a page size."""


class Memory(NamedTuple):
    """Bytes; `limit` is infinite without one; `working_set` leaves out file cache that the kernel can drop at once."""

    usage: int
    limit: float
    working_set: int


class Hierarchy(NamedTuple):
    """The directory of this container's cgroup in the hierarchy that counts memory."""

    version: int
    directory: Path


_FILES: Final = {
    1: ("memory.usage_in_bytes", "memory.limit_in_bytes", "total_inactive_file"),
    2: ("memory.current", "memory.max", "inactive_file"),
}


def locate(mountinfo: str, cgroup: str) -> Hierarchy | None:
    """Return the memory hierarchy that /proc/self/mountinfo and /proc/self/cgroup tell of; None without one."""
    paths = {}  # controllers → path
    for line in cgroup.splitlines():
        _, controllers, path = line.split(":", 2)
        paths[controllers] = path
    v1_path = next((path for controllers, path in paths.items() if "memory" in controllers.split(",")), None)
    v2: Hierarchy | None = None
    for line in mountinfo.splitlines():
        mount, _, filesystem = line.partition(" - ")
        root, mountpoint = mount.split()[3:5]
        kind, _, options = filesystem.split(" ", 2)
        if kind == "cgroup" and v1_path is not None and "memory" in options.split(","):
            return Hierarchy(1, _directory(mountpoint, root, v1_path))
        if kind == "cgroup2" and "" in paths:
            v2 = Hierarchy(2, _directory(mountpoint, root, paths[""]))
    return v2


def _directory(mountpoint: str, root: str, path: str) -> Path:
    inside = path.removeprefix(root.rstrip("/")).lstrip("/") if path.startswith(root) else ""
    return Path(mountpoint) / inside


def find() -> Hierarchy | None:
    """Return the memory hierarchy of this process, or None where memory is not counted."""
    try:
        found = locate(Path("/proc/self/mountinfo").read_text(), Path("/proc/self/cgroup").read_text())
    except (OSError, ValueError):
        return None
    return found if found is not None and read(found) is not None else None


def read(hierarchy: Hierarchy) -> Memory | None:
    """Return the container's memory now; None when the files are missing (the root cgroup has none)."""
    usage_file, limit_file, inactive = _FILES[hierarchy.version]
    try:
        usage = int((hierarchy.directory / usage_file).read_text())
        limit_text = (hierarchy.directory / limit_file).read_text().strip()
        stat = (hierarchy.directory / "memory.stat").read_text()
    except (OSError, ValueError):
        return None
    limit = math.inf if limit_text == "max" or int(limit_text) >= _UNLIMITED_BYTES else float(limit_text)
    cache = next((int(line.split()[1]) for line in stat.splitlines() if line.startswith(f"{inactive} ")), 0)
    return Memory(usage, limit, max(0, usage - cache))


def oom_kills(hierarchy: Hierarchy) -> int | None:
    """Return how many processes of the container the OOM killer has ended; None when it is not counted (old v1).

    See Documentation/admin-guide/cgroup-v2.rst (memory.events) and cgroup-v1/memory.rst (memory.oom_control).
    """
    file = "memory.oom_control" if hierarchy.version == 1 else "memory.events"
    try:
        lines = (hierarchy.directory / file).read_bytes().splitlines()  # no text: its codec would have to be loaded
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith(b"oom_kill ")), None)
