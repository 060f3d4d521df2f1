"""The names of this host: the kernel's, and the fully qualified one."""

import os
import re
from dataclasses import dataclass
from functools import cached_property

from dmsinit.render.paths import Root
from dmsinit.render.programs import run

_CAP_NET_ADMIN = 1 << 12


@dataclass(frozen=True)
class Host:
    """`fqdn` and `domain` are the mail server's names, `hostname` is what the kernel says (maildir names have it)."""

    fqdn: str
    domain: str
    hostname: str

    @cached_property
    def net_admin(self) -> bool:
        """Whether this container may filter packets (CAP_NET_ADMIN, capabilities(7)); true where nobody can tell."""
        status = Root().read("/proc/self/status") or b""
        match = re.search(rb"^CapEff:\s*([0-9a-f]+)", status, re.MULTILINE)
        return match is None or bool(int(match.group(1), 16) & _CAP_NET_ADMIN)


def qualified_name(root: Root, hostname: str = "") -> str:
    """Return what `hostname -f` would say (hostname(1)): the first name of the host's line in /etc/hosts.

    /etc/hosts answers in nearly every container; only a host name without a dot that stands nowhere asks the resolver,
    in a process of its own, because a resolver can take its time.
    """
    kernel = hostname or os.uname().nodename
    for name in (_canonical(root, kernel), kernel):
        if "." in name:
            return name.lower().rstrip(".")
    resolved = run(["hostname", "-f"]).stdout.strip()
    return resolved.lower() if "." in resolved else kernel


def _canonical(root: Root, hostname: str) -> str:
    """Return the first name on the line of /etc/hosts (hosts(5)) that lists `hostname`; "" when none does."""
    for line in (root.read("/etc/hosts") or b"").decode("utf-8", "replace").splitlines():
        names = line.partition("#")[0].split()[1:]
        if hostname in names:
            return names[0]
    return ""


def nameservers(root: Root) -> tuple[str, ...]:
    """Return the addresses of the name servers in /etc/resolv.conf (resolv.conf(5)), in order."""
    lines = (root.read("/etc/resolv.conf") or b"").decode("utf-8", "replace").splitlines()
    fields = [line.split() for line in lines]
    return tuple(dict.fromkeys(entry[1] for entry in fields if len(entry) > 1 and entry[0] == "nameserver"))
