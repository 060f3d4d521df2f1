"""Addresses as daemons' files spell them, and as a probe writes them (dmsinit.probes)."""

import ipaddress
import re
import socket
from typing import Final

_ANYWHERE: Final = {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "localhost": "127.0.0.1", "::": "::1"}
_MILTER: Final = re.compile(r"inet6?:(\d+)(?:@(.*))?")


def bound_to(host: str) -> str:
    """Return the numeric address at which a daemon that is bound to `host` is reached from inside."""
    host = host.strip("[]")
    if host in _ANYWHERE:
        return _ANYWHERE[host]
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError:
        return "127.0.0.1"


def inet(host: str, port: str) -> str:
    """Return a probe's address for a daemon that is bound to that host and port."""
    address = bound_to(host)
    return f"inet:[{address}]:{port}" if ":" in address else f"inet:{address}:{port}"


def milter_at(text: str) -> str:
    """Return a probe's address for a socket as milters, Rspamd and Sendmail spell it.

    `inet:8891@localhost`, `local:/run/x.sock`, `/run/x.sock mode=0660`, `127.0.0.1:11332`, `*:11332`.
    """
    if match := _MILTER.fullmatch(text):
        return inet(match.group(2) or "", match.group(1))
    kind, _, path = text.partition(":")
    if kind in ("local", "unix") or text.startswith("/"):
        return f"unix:{(path if kind in ('local', 'unix') else text).split()[0]}"
    host, _, port = text.rpartition(":")
    return inet(host, port)
