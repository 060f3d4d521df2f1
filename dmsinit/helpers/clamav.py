"""Start clamd(8) or freshclam(1) in the form that the container's memory allows.

    python3 -m dmsinit.helpers.clamav clamd        what clamd will need is held against the container's limit
    python3 -m dmsinit.helpers.clamav freshclam    new signatures are tested only where memory holds them

The process becomes the daemon (exec). Where two databases do not fit, clamd runs with a copy of its configuration in
which ConcurrentDatabaseReload is off; where not even one fits, a warning in the mail log names both figures, and clamd
is started all the same: an estimate should not decide that mail waits.
"""

import os
import re
import sys
import syslog
from dataclasses import dataclass
from typing import Final

DATABASES: Final = "/var/lib/clamav"
COPIES: Final = "/run/clamav"

_MIB: Final = 2**20
_PROGRAM_BYTES: Final = 20 * _MIB
"""What clamd takes without any signature, measured with ClamAV 1.4."""

_MEMORY_PER_BYTE: Final = {"cvd": 5.0, "cld": 2.5, "cud": 2.5, "ldb": 24.0, "cdb": 24.0}
"""Bytes of memory for a byte on disk, as ClamAV 1.4 takes them: a .cvd is compressed, logical signatures are trees."""
_OTHER_MEMORY_PER_BYTE: Final = 2.5
_SIGNATURES: Final = frozenset((
    "cvd", "cld", "cud", "cbc", "cdb", "crb", "db", "fp", "ftm", "gdb", "hdb", "hsb", "idb", "imp", "ldb", "mdb", "msb",
    "ndb", "pdb", "sfp", "wdb", "yar", "yara",
))  # fmt: skip


_OTHERS_BYTES: Final = 200 * _MIB
"""What all other services of the server take together at least, once they are all there."""

_UNLIMITED: Final = 2**60
"""From here on a number in cgroup v1 means that there is no limit."""


@dataclass(frozen=True)
class Memory:
    """The container's memory in bytes: its limit (swap included), and what all in it use now."""

    limit: int
    used: int

    @property
    def left(self) -> int:
        return max(0, self.limit - max(self.used, _OTHERS_BYTES))


def need(directory: str = DATABASES) -> int:
    """Return about how many bytes of memory clamd needs for the databases in a directory."""
    total = float(_PROGRAM_BYTES)
    for entry in os.scandir(directory):
        kind = entry.name.rpartition(".")[2]
        if kind in _SIGNATURES and entry.is_file():
            total += entry.stat().st_size * _MEMORY_PER_BYTE.get(kind, _OTHER_MEMORY_PER_BYTE)
    return int(total)


def memory(root: str = "/sys/fs/cgroup", meminfo: str = "/proc/meminfo") -> Memory | None:
    """Return the container's memory by its cgroup (v2, or v1), None where it has no limit."""
    swap = _statistic(meminfo, "SwapTotal:") * 1024
    limit = _number(f"{root}/memory.max")
    if limit is not None:
        more = _number(f"{root}/memory.swap.max")
        return Memory(limit + (swap if more is None else min(more, swap)), _statistic(f"{root}/memory.stat", "anon"))
    limit = _number(f"{root}/memory/memory.limit_in_bytes")
    if limit is None or limit >= _UNLIMITED:
        return None
    both = _number(f"{root}/memory/memory.memsw.limit_in_bytes") or limit
    return Memory(min(limit + swap, max(limit, both)), _statistic(f"{root}/memory/memory.stat", "total_rss"))


def _number(path: str) -> int | None:
    try:
        with open(path, encoding="ascii") as file:
            text = file.read().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _statistic(path: str, name: str) -> int:
    try:
        with open(path, encoding="ascii") as file:
            return next((int(line.split()[1]) for line in file if line.startswith(f"{name} ")), 0)
    except OSError:
        return 0


def warning(needed: int, has: Memory | None) -> str:
    """Return what to tell when one database will not fit; nothing when it will."""
    if has is None or needed <= has.left:
        return ""
    return (
        f"ClamAV needs about {needed // _MIB} MiB of memory for its signatures, but of the container's limit of "
        f"{has.limit // _MIB} MiB only {has.left // _MIB} MiB are left: it will be killed, and mail wait; "
        "raise the limit, or set ENABLE_CLAMAV=0"
    )


def without(option: str, text: str) -> str:
    """Return a configuration with an option switched off."""
    line = re.compile(rf"^{option}\s.*$", re.MULTILINE)
    return line.sub(f"{option} no", text) if line.search(text) else f"{text}{option} no\n"


def configuration(program: str, path: str, needed: int, has: Memory | None, copies: str = COPIES) -> str:
    """Return the configuration to use: `path`, or a copy of it that needs no second database in memory."""
    if has is None or 2 * needed <= has.left:
        return path
    option = "ConcurrentDatabaseReload" if program == "clamd" else "TestDatabases"
    with open(path, encoding="utf-8") as file:
        text = without(option, file.read())
    copy = f"{copies}/{program}.conf"
    with open(f"{copy}.new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(f"{copy}.new", copy)
    return copy


def main(program: str) -> None:
    """Become the daemon."""
    needed, has = need(), memory()
    path = configuration(program, f"/etc/clamav/{program}.conf", needed, has)
    if program == "clamd":
        if text := warning(needed, has):
            syslog.openlog("clamav", 0, syslog.LOG_MAIL)
            syslog.syslog(syslog.LOG_WARNING, text)
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()
        os.execv("/usr/sbin/clamd", ["clamd", "-c", path])  # noqa: S606 - no shell is wanted
    os.execv("/usr/bin/freshclam", ["freshclam", "--foreground", "--stdout", f"--config-file={path}"])  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1])
