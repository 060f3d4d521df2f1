"""The sockets that the server listens on: the control socket, and the metrics port."""

import os
import socket
from pathlib import Path
from typing import Final

CONTROL_SOCKET: Final = Path("/run/dmsinit/control.sock")
BACKLOG: Final = 1024
"""Clients beyond the server's limit wait here until one leaves; the kernel caps it at net.core.somaxconn (4096)."""


class ListenError(Exception):
    """Nothing can listen there; the message says why and what to write instead."""


def unix_listener(path: Path = CONTROL_SOCKET, *, group_id: int | None = None) -> socket.socket:
    """Return a socket that listens at `path`, mode 0660 and owned by the group; a socket left behind is replaced.

    Raises OSError. Without `group_id` the group stays as it is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        mask = os.umask(0o177)  # nobody gets in before owner and mode are right
        try:
            listener.bind(str(path))
        finally:
            os.umask(mask)
        if group_id is not None:
            os.chown(path, -1, group_id)
        path.chmod(0o660)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def tcp_listener(address: str) -> socket.socket:
    """Return a socket that listens at `HOST:PORT` (METRICS_LISTEN), or raise ListenError.

    HOST is a numeric address, `localhost` or empty (all interfaces): nothing here may ask a name server.
    """
    family, host, port = parse_address(address)
    listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1 if host != "::" else 0)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ListenError(f"cannot listen on {address}: {error.strerror}; change METRICS_LISTEN") from error
    return listener


def parse_address(address: str) -> tuple[socket.AddressFamily, str, int]:
    """Return family, host and port of `HOST:PORT`, `[HOST]:PORT` or `:PORT`, or raise ListenError."""
    host, separator, port = address.rpartition(":")
    if not separator or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise ListenError(f"cannot listen on {address!r}: no port; write METRICS_LISTEN as 127.0.0.1:9154")
    host = {"localhost": "127.0.0.1", "": "0.0.0.0", "*": "0.0.0.0"}.get(host, host)
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return family, host, int(port)
    raise ListenError(
        f"cannot listen on {address}: {host} is not an IP address; write METRICS_LISTEN as 127.0.0.1:9154"
    )
