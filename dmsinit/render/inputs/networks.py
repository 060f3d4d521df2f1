"""Whom Postfix trusts without authentication: mynetworks, from PERMIT_DOCKER and NETWORK_INTERFACE.

Modules for the network are imported where they are used: by default nobody is trusted, and every start would pay.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from dmsinit.problem import Problem
from dmsinit.render.programs import run

LOOPBACK: Final = ("127.0.0.0/8", "[::1]/128", "[fe80::]/64")
DOCKER_POOL: Final = "172.16.0.0/12"
"""All bridge networks that a Docker engine makes by default."""

_SIOCGIFADDR: Final = 0x8915
"""Get an interface's IPv4 address (netdevice(7))."""


@dataclass(frozen=True)
class Networks:
    """`trusted` are the entries of mynetworks, `permitted` those of them that PERMIT_DOCKER added."""

    trusted: tuple[str, ...] = ()
    permitted: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = field(default=())


def interface_address(name: str) -> str:
    """Return the IPv4 address of a network interface, "" when it has none or does not exist."""
    import fcntl
    import socket
    import struct

    request = struct.pack("256s", name.encode()[:15])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            return socket.inet_ntoa(fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)[20:24])
        except OSError:
            return ""


def connected_networks() -> tuple[str, ...]:
    """Return the IPv4 networks of all virtual Ethernet interfaces: the container networks this one belongs to."""
    import ipaddress
    import json

    outcome = run(["ip", "-json", "-4", "address", "show", "type", "veth"])
    if outcome.code or not outcome.stdout.strip():
        return ()
    addresses = [address for link in json.loads(outcome.stdout) for address in link.get("addr_info", ())]
    networks = [ipaddress.ip_interface(f"{entry['local']}/{entry['prefixlen']}").network for entry in addresses]
    return tuple(dict.fromkeys(str(network) for network in networks))


def find(
    mode: str,
    interface: str,
    *,
    asked_for: bool,
    address_of: Callable[[str], str] = interface_address,
    connected: Callable[[], tuple[str, ...]] = connected_networks,
) -> Networks:
    """Return what PERMIT_DOCKER=`mode` trusts; `asked_for`: a user set NETWORK_INTERFACE, so it has to exist."""
    needs_address = mode in ("container", "host")
    address = address_of(interface) if needs_address or asked_for else ""
    if (needs_address or asked_for) and not address:
        remedy = "set NETWORK_INTERFACE to an interface of the container that has one (`ip -4 address` lists them)"
        return Networks(problems=(Problem("NETWORK_INTERFACE", f"{interface} has no IPv4 address", remedy),))
    if mode == "container":
        permitted: tuple[str, ...] = (f"{address}/32",)
    elif mode == "host":
        permitted = (f"{'.'.join(address.split('.')[:2])}.0.0/16",)
    elif mode == "network":
        permitted = (DOCKER_POOL,)
    elif mode == "connected-networks":
        permitted = connected()
    else:
        return Networks()
    return Networks((*LOOPBACK, *permitted), permitted, warnings=_warnings(mode, permitted))


def _warnings(mode: str, permitted: tuple[str, ...]) -> tuple[Problem, ...]:
    if not permitted:
        cause = "finds no container network, so that only this container itself is trusted"
        return (Problem(f"PERMIT_DOCKER={mode}", cause, "check the container's networks (`ip -4 address`)"),)
    if mode == "container":
        return ()
    cause = (
        f"everybody in {', '.join(permitted)} may send mail to anywhere without a password; where the engine forwards "
        "connections through a proxy (IPv6 to an IPv4 container, rootless engines, Rancher), that is the whole "
        "internet: an open relay"
    )
    return (Problem(f"PERMIT_DOCKER={mode}", cause, "use PERMIT_DOCKER=none and let clients log in on port 587"),)
