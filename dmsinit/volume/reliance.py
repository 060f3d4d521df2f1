"""Addresses that somebody relies on: postmaster and abuse (RFC 5321 4.5.1, RFC 2142), who gets reports; alias loops.

Where accounts are kept elsewhere (LDAP) nothing here knows who has a mailbox, and nothing is asked.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final

from dmsinit.volume.model import Alias, Volume

VARIABLES: Final = (
    "POSTMASTER_ADDRESS",
    "PFLOGSUMM_TRIGGER",
    "PFLOGSUMM_RECIPIENT",
    "LOGWATCH_INTERVAL",
    "LOGWATCH_RECIPIENT",
)
"""Variables that `relied_on` reads."""

STANDARD: Final = ("postmaster", "abuse")
"""What every domain that takes mail has to have."""


def local_names(volume: Volume) -> tuple[str, ...]:
    """Return the names that postfix-aliases.cf defines."""
    return tuple(line.partition(":")[0].strip().strip('"').lower() for line in volume.local_aliases)


def is_deliverable(address: str, volume: Volume, fqdn: str, *, ours: Collection[str] = ()) -> bool:
    """Return whether mail for an address arrives, as far as the volume says; other servers' addresses are believed.

    `ours` are domains that were hosted until now.
    """
    return _arrives(address, volume, fqdn, {*volume.domains, *ours}, _known(volume))


def dead_ends(volume: Volume, fqdn: str) -> dict[str, str]:
    """Return recipients of aliases to whom nothing can be delivered, each with the first alias that leads there."""
    domains, known = set(volume.domains), _known(volume)
    always = {"root", *STANDARD}
    return {
        target: alias.address
        for alias in reversed(volume.aliases)
        for target in alias.targets
        if target.lower() not in always and not _arrives(target, volume, fqdn, domains, known)
    }


def _known(volume: Volume) -> set[str]:
    return {account.address for account in volume.accounts} | {alias.address for alias in volume.aliases}


def _arrives(address: str, volume: Volume, fqdn: str, domains: Collection[str], known: Collection[str]) -> bool:
    local, _, domain = address.lower().rpartition("@")
    if not local or (domain in (fqdn, "localhost") and domain not in domains):
        return (local or domain) in local_names(volume)
    if domain not in domains:
        return True
    plain = f"{local.partition('+')[0]}@{domain}"
    exact = f"{local}@{domain}"
    return any(one in known for one in (exact, plain, f"@{domain}")) or _matches(exact, volume)


def standard_aliases(volume: Volume, postmaster: str, fqdn: str) -> tuple[Alias, ...]:
    """Return aliases for the standard addresses of all hosted domains that nobody has mapped: they reach `postmaster`.

    None when that is not deliverable: the client hears at once that there is no such address. A host name that is a
    hosted domain needs root as well, to whom cron and others write.
    """
    if not is_deliverable(postmaster, volume, fqdn):
        return ()
    wanted = [f"{name}@{domain}" for domain in volume.domains for name in STANDARD]
    wanted += [f"root@{fqdn}"] if fqdn in volume.domains else []
    return tuple(
        Alias(address, (postmaster,))
        for address in wanted
        if address != postmaster.lower() and not is_deliverable(address, volume, fqdn)
    )


def standard_local_names(volume: Volume, postmaster: str, fqdn: str) -> tuple[str, ...]:
    """Return which standard names need an alias at the host's own name."""
    if not is_deliverable(postmaster, volume, fqdn):
        return ()
    return tuple(name for name in STANDARD if name not in local_names(volume))


def unreachable(
    relied_on: Mapping[str, str], volume: Volume, fqdn: str, *, ours: Collection[str] = ()
) -> dict[str, str]:
    """Return those of `relied_on` (a variable → its address) to whom nothing can be delivered."""
    return {name: to for name, to in relied_on.items() if not is_deliverable(to, volume, fqdn, ours=ours)}


def relied_on(settings: Mapping[str, str]) -> dict[str, str]:
    """Return whom the server writes to, by the variable (names and values as in /etc/dms-settings)."""
    found = {"POSTMASTER_ADDRESS": settings.get("POSTMASTER_ADDRESS", "")}
    if settings.get("PFLOGSUMM_TRIGGER", "none") not in ("", "none"):
        found["PFLOGSUMM_RECIPIENT"] = settings.get("PFLOGSUMM_RECIPIENT", "")
    if settings.get("LOGWATCH_INTERVAL", "none") not in ("", "none"):
        found["LOGWATCH_RECIPIENT"] = settings.get("LOGWATCH_RECIPIENT", "")
    distinct: dict[str, str] = {}
    for name, address in found.items():
        if address and address not in distinct.values():
            distinct[name] = address
    return distinct


def loops(aliases: tuple[Alias, ...]) -> list[tuple[str, ...]]:
    """Return aliases that lead back to themselves over others, each loop once; `a → a` is how an account is kept."""
    targets = {
        alias.address: [target.lower() for target in alias.targets if target.lower() != alias.address]
        for alias in aliases
    }
    found: list[tuple[str, ...]] = []
    done: set[str] = set()
    for start in targets:
        path = [start]
        branches = [iter(targets[start])] if start not in done else []
        while branches:
            address = next(branches[-1], None)
            if address is None:
                branches.pop()
                done.add(path.pop())
            elif address in path:
                found.append((*path[path.index(address) :], address))
            elif address in targets and address not in done:
                path.append(address)
                branches.append(iter(targets[address]))
    return found


def _matches(address: str, volume: Volume) -> bool:
    """Return whether an expression of postfix-regexp.cf matches; one that Python cannot read might."""
    for line in volume.regexp_lines:
        delimiter = line[:1]
        expression = line[1 : line.rfind(delimiter)]
        try:
            if re.search(expression, address, re.IGNORECASE):
                return True
        except re.error:
            return True
    return False
