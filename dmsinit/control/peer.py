"""Who is at the other end of the control socket, and what may they do?

The kernel answers (SO_PEERCRED and SO_PEERGROUPS, socket(7) and unix(7)): credentials as they were at connect time, so
that a recycled process id cannot lend its rights. The group's number is read from /etc/group: NSS may block PID 1.
"""

import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SO_PEERGROUPS: Final = 59
"""asm-generic/socket.h, Linux 4.13; Python has no name for it."""

GROUP: Final = "dmsinit"
_MAX_OPTION_BYTES: Final = 1024
"""The most that socket.getsockopt() takes: 256 groups."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A process that connected; `groups` holds its primary and supplementary group ids."""

    pid: int
    uid: int
    groups: frozenset[int]

    def may_read(self, group_id: int | None) -> bool:
        """Say whether status, logs and events may be told: to root, and to members of the group."""
        return self.uid == 0 or (group_id is not None and group_id in self.groups)

    def may_operate(self) -> bool:
        """Say whether services may be changed: by root alone."""
        return self.uid == 0


def identify(connection: socket.socket) -> Peer:
    """Return who connected. `connection` must be a unix socket.

    A process in more than 256 groups is known by its primary group alone.
    """
    pid, uid, gid = struct.unpack("iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, _MAX_OPTION_BYTES)
    except OSError:  # ERANGE: more groups than fit
        raw = b""
    return Peer(pid, uid, frozenset({gid, *struct.unpack(f"{len(raw) // 4}I", raw)}))


def group_id(name: str = GROUP, *, database: Path = Path("/etc/group")) -> int | None:
    """Return the number of a group in a file of group(5) form, or None where it does not exist."""
    try:
        text = database.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    for line in text.splitlines():
        fields = line.split(":")
        if fields[0] == name and len(fields) >= 3 and fields[2].isdecimal():
            return int(fields[2])
    return None
