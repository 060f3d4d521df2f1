"""Loopback acknowledges at once, so that a milter lets no message wait for 40 ms.

Postfix hands a message to a milter in two writes, of which nobody answers the first. Nagle's algorithm (RFC 896) keeps
the second back until the first is acknowledged, and the receiver's kernel delays that (RFC 1122, section 4.2.3.2).
"""

from typing import Final

from dmsinit.render.inputs.host import Host
from dmsinit.render.paths import Root
from dmsinit.render.programs import run

_INTERFACES: Final = "/sys/class/net"
_COMMAND: Final = (
    "ip", "route", "replace", "local", "127.0.0.1", "dev", "lo", "table", "local", "proto", "kernel", "scope", "host",
    "src", "127.0.0.1", "quickack", "1",
)  # fmt: skip


def acknowledge_at_once(host: Host, root: Root) -> None:
    """Change the route to 127.0.0.1 (`quickack`, ip-route(8)) where we may, and where no one else uses it.

    Where the kernel refuses, mail waits for those milliseconds and lacks nothing.
    """
    if not root.prefix and host.net_admin and has_own_network(root):
        run(_COMMAND)


def has_own_network(root: Root) -> bool:
    """Tell whether the network is surely not the host's: every interface but lo is one end of a link to the outside.

    Such a link has another index at its other end (`iflink`, Documentation/ABI/testing/sysfs-class-net of Linux). A
    host has network cards or bridges.
    """
    names = root.listing(_INTERFACES)
    return "lo" in names and not any(_ends_here(root, name) for name in names if name != "lo")


def _ends_here(root: Root, interface: str) -> bool:
    here = root.read(f"{_INTERFACES}/{interface}/ifindex")
    return here is not None and here == root.read(f"{_INTERFACES}/{interface}/iflink")
