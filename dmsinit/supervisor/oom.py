"""Did the kernel's out-of-memory killer strike in this container? Counters of the memory controller, v2 and v1."""

from pathlib import Path

_COUNTERS = (
    ("/sys/fs/cgroup/memory.events", "oom_kill"),  # v2, cgroup namespace of the container
    ("/sys/fs/cgroup/memory/memory.oom_control", "oom_kill"),  # v1 and hybrid
)


def kills() -> int | None:
    """Return how many processes of this container the OOM killer has ended, or None where no counter is to be had.

    See Documentation/admin-guide/cgroup-v2.rst (memory.events) and cgroup-v1/memory.rst (memory.oom_control).
    """
    for path, key in _COUNTERS:
        try:
            lines = Path(path).read_text(encoding="ascii").splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        for line in lines:
            name, _, value = line.partition(" ")
            if name == key and value.strip().isdigit():
                return int(value)
    return None
