"""Who listens at an address of this network namespace, as the kernel tells it.

Contract: reads /proc/net/tcp and tcp6 (proc_pid_net(5)) up to the last listening socket, which come first there; a few
kilobytes, however many connections there are. Which process holds a socket is not told: /proc/PID/fd of other users'
processes may be read with CAP_SYS_PTRACE only, which containers do not have. What is told is the socket's inode, which
no other socket has, and the user who has opened it.
"""

import os
import socket
import struct
from typing import Final, NamedTuple

_LISTEN: Final = b"0A"
_CHUNK_BYTES: Final = 4096
"""What a read of these files returns at most."""


class Listener(NamedTuple):
    """A listening socket: its inode, and the user whose it was when it was opened."""

    inode: int
    uid: int


def listeners(host: str, port: int) -> frozenset[Listener] | None:
    """Return the sockets that get a connection to a numeric address; None where that cannot be told.

    Of those bound to the address and those bound to all, the former do. Several share one by SO_REUSEPORT.
    """
    try:
        places = _places(host)
    except OSError:  # no numeric address
        return None
    tables: dict[str, dict[bytes, set[Listener]]] = {}
    for table, address in places:
        if table not in tables:
            tables[table] = _listening(f"/proc/net/{table}", port)
        if found := tables[table].get(address):
            return frozenset(found)
    return frozenset() if any(os.path.exists(f"/proc/net/{table}") for table in tables) else None


def _places(host: str) -> list[tuple[str, bytes]]:
    """Return where to look for a listener at `host`, most specific first: a table, and an address as it has it."""
    if ":" in host:
        return [("tcp6", _written(socket.inet_pton(socket.AF_INET6, host))), ("tcp6", b"0" * 32)]
    packed = socket.inet_pton(socket.AF_INET, host)
    mapped = b"\0" * 10 + b"\xff\xff" + packed
    return [("tcp", _written(packed)), ("tcp", b"0" * 8), ("tcp6", _written(mapped)), ("tcp6", b"0" * 32)]


def _written(packed: bytes) -> bytes:
    """Return an address as these files show it: words of 32 bits in the byte order of this machine."""
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    return b"".join(b"%08X" % word for word in words)


def _listening(path: str, port: int) -> dict[bytes, set[Listener]]:
    """Return the sockets that listen on a port, by the address that they are bound to."""
    found: dict[bytes, set[Listener]] = {}
    suffix = b":%04X" % port
    for line in _lines(path):
        fields = line.split()
        if len(fields) < 10 or fields[3] != _LISTEN:
            break
        if fields[1].endswith(suffix):
            found.setdefault(fields[1][: -len(suffix)], set()).add(Listener(int(fields[9]), int(fields[7])))
    return found


def _lines(path: str) -> list[bytes]:
    """Return the lines of a table behind its heading, at least those of listening sockets."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return []
    text = b""
    try:
        while part := os.read(fd, _CHUNK_BYTES):
            text += part
            last = part.rstrip().rpartition(b"\n")[2].split()
            if len(last) > 3 and last[3] != _LISTEN:
                break
    except OSError:
        return []
    finally:
        os.close(fd)
    return text.splitlines()[1:]
