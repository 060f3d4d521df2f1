"""master.cf as Postfix reads it (`postconf -M`): which services there are, and where port 25 is reached from inside."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from dmsinit.render.paths import Root
from dmsinit.render.programs import run_all
from dmsinit.render.services.addresses import inet

SOCKETS: Final = "/var/spool/postfix/public"
_HAPROXY: Final = {"postscreen": "postscreen_upstream_proxy_protocol", "smtpd": "smtpd_upstream_proxy_protocol"}


@dataclass(frozen=True)
class Entry:
    """A service: `name` may hold a host (`127.0.0.1:25`); `options` are those of `-o name=value`."""

    name: str
    kind: str
    program: str
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def place(self) -> tuple[str, str]:
        """Host ("" when it follows inet_interfaces) and port, by number or name."""
        host, _, port = self.name.rpartition(":")
        return host.strip("[]"), port


def entries(text: str) -> list[Entry]:
    """Return what `postconf -M` prints; lines that no service follows from are left out."""
    found = []
    for line in text.splitlines():
        fields = line.split(None, 7)
        if len(fields) < 8:
            continue
        program, *arguments = fields[7].split()
        options = [value for flag, value in pairwise(arguments) if flag == "-o"]
        found.append(Entry(fields[0], fields[1], program, dict(option.partition("=")[::2] for option in options)))
    return found


def doors(own: str, root: Root) -> list[str]:
    """Return where a probe asks Postfix: its own service, and where postscreen greets.

    Without the own service (somebody replaced master.cf) it is the first that greets at all.
    """
    if not root.exists("/etc/postfix/master.cf"):  # nothing is installed yet: no probe asks before it is
        return [f"unix:{SOCKETS}/{own}"]
    names = ("inet_interfaces", "inet_protocols", *_HAPROXY.values())
    command = ["postconf", "-c", root("/etc/postfix")]
    listed, said = run_all(([*command, "-M"], [*command, "-x", *names]))
    services = entries(listed.stdout)
    found = [f"unix:{SOCKETS}/{own}"] if any(entry.name == own and entry.kind == "unix" for entry in services) else []
    pairs = (line.partition("=") for line in said.stdout.splitlines())
    values = {name.strip(): value.strip() for name, _, value in pairs}
    greeting = [entry for entry in services if entry.kind == "inet" and entry.program == "postscreen"]
    if not found and not greeting:
        greeting = [entry for entry in services if entry.kind == "inet" and entry.program == "smtpd"]
    found += [address(entry, values) for entry in greeting[:1]]
    return found or [f"unix:{SOCKETS}/{own}"]


def address(entry: Entry, values: Mapping[str, str]) -> str:
    values = {**values, **entry.options}
    host, port = entry.place
    if not host:
        interfaces = values.get("inet_interfaces", "all").replace(",", " ").split()
        host = interfaces[0] if interfaces and interfaces[0] not in ("all", "loopback-only") else ""
        if not host:
            host = "::1" if values.get("inet_protocols") == "ipv6" else "127.0.0.1"
    found = inet(host, port if port.isdigit() else str(_port(port)))
    proxied = values.get(_HAPROXY[entry.program], "") == "haproxy"
    return found.replace("inet:", "haproxy:", 1) if proxied else found


def _port(name: str) -> int:
    from socket import getservbyname

    try:
        return getservbyname(name, "tcp")
    except OSError:
        return 25
