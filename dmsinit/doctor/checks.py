"""The checks of this container: services, ports, certificate, configuration, volumes, memory, clock, relaying.

Each is a function from Facts to Findings, and CHECKS is the order in which a person reads them. What DNS says is in
`checks_dns`.
"""

import ipaddress
import time
from collections.abc import Callable, Iterator
from typing import Final

from dmsinit.base import text
from dmsinit.doctor import checks_dns
from dmsinit.doctor.facts import Certificate, Facts, Space
from dmsinit.doctor.ports import INCOMPLETE
from dmsinit.doctor.report import Finding, Level

Check = Callable[[Facts], Iterator[Finding]]

_DAY_SECONDS: Final = 86400
_RENEWAL_DAYS: Final = 14
"""ACME clients renew a month before the end; two weeks before it, that has failed for two weeks."""
_LITTLE_SHARE: Final = 0.10
_FULL_SHARE: Final = 0.02
_FULL_BYTES: Final = 100 << 20
_CLAMAV_BYTES: Final = 2 << 30
"""clamd holds 1.2 GiB of signatures, and the other daemons need room, too."""
_CLAMAV_RELOAD_BYTES: Final = 3 << 30
"""While it loads new signatures beside the old ones (ConcurrentDatabaseReload, clamd.conf(5))."""
_MOST_PROBLEMS: Final = 5
_MADE: Final = ("", "snakeoil", "self-signed")
"""Values of SSL_TYPE with which the certificate is not signed by a public CA."""


def services(facts: Facts) -> Iterator[Finding]:
    """All enabled services are ready."""
    if facts.status is None:
        remedy = "start the container with the image's own command" if "does not exist" in facts.unreachable else ""
        yield Finding("fail", "services", facts.unreachable, remedy=remedy)
        return
    enabled = [one for one in facts.status["services"] if one["enabled"]]
    unwell = [one for one in enabled if one["state"] not in ("ready", "exited")]
    for one in unwell:
        on_its_way = one["state"] in ("starting", "waiting", "reloading")
        detail = ": ".join(part for part in (one["reason"], one["detail"]) if part)
        hint = (one["last_exit"] or {}).get("hint") or f"see: dmsctl logs {one['name']}"
        if one["state"] == "stopped":
            hint = f"dmsctl start {one['name']}"
        yield Finding("warn" if on_its_way else "fail", "services", f"{one['name']} is {one['state']}", detail, hint)
    said = tuple(f"{one['name']} is {one['state']}" for one in unwell)
    for problem in facts.status.get("problems", []):
        if not problem.startswith(said):
            remedy = "correct that, then run: dmsctl apply" if "not in force" in problem else ""
            yield Finding("fail", "services", problem, remedy=remedy)
    if not unwell:
        yield Finding("ok", "services", f"all {len(enabled)} services are ready")


def ports(facts: Facts) -> Iterator[Finding]:
    """All ports that should be open answer as they should."""
    silent = [port for port in facts.ports if port.problem]
    for port in silent:
        what = f"{port.number} ({port.name}) does not answer: {port.problem}"
        service = "postfix" if "smtp" in port.name or "submission" in port.name else "dovecot"
        yield Finding("fail", "ports", what, "clients cannot use it", f"see: dmsctl logs {service}")
    answering = ", ".join(str(port.number) for port in facts.ports if not port.problem)
    if answering:
        yield Finding("ok", "ports", f"{answering} answer here; whether they are published is not seen from inside")


def certificate(facts: Facts) -> Iterator[Finding]:
    """What clients are shown is for this name, valid, and trusted."""
    if not facts.certificates and facts.status is not None:
        yield Finding("fail", "certificate", "no port shows one", "clients cannot encrypt", "see: dmsctl logs postfix")
    for one in facts.certificates[:1]:
        yield from _certificate(one, facts)
    if len({one.fingerprint for one in facts.certificates}) > 1:
        shown = ", ".join(str(one.port) for one in facts.certificates)
        yield Finding("warn", "certificate", f"ports {shown} show different ones", remedy="dmsctl apply")


def _certificate(one: Certificate, facts: Facts) -> Iterator[Finding]:
    days = int((one.ends - facts.now) // _DAY_SECONDS)
    if one.ends <= facts.now:
        ended = time.strftime("%Y-%m-%d", time.gmtime(one.ends))
        yield Finding("fail", "certificate", f"expired on {ended}", "clients refuse it", "renew it")
    elif one.begins > facts.now:
        yield Finding("fail", "certificate", "is not valid yet", "clients refuse it", "check the clock")
    elif days < _RENEWAL_DAYS:
        yield Finding("warn", "certificate", f"ends in {days} days", "it was not renewed", "see why the renewal fails")
    else:
        yield Finding("ok", "certificate", f"is valid for {days} more days")
    if any(_is_for(name, facts.fqdn) for name in one.names):
        yield Finding("ok", "certificate", f"is for {facts.fqdn}")
    else:
        names = ", ".join(one.names) or one.subject or "nothing"
        what = f"is for {names}, not for {facts.fqdn}"
        yield Finding("fail", "certificate", what, "clients warn or refuse", f"get one for {facts.fqdn}")
    if not one.trust:
        yield Finding("ok", "certificate", "is signed by a public CA")
        return
    own = facts.settings.get("SSL_TYPE", "") in _MADE
    remedy = "use a certificate of a public CA (SSL_TYPE=letsencrypt or manual)"
    if one.trust == INCOMPLETE and not own:
        remedy = "add the intermediate certificate (fullchain.pem), or use a certificate of a public CA"
    yield Finding("warn" if own else "fail", "certificate", one.trust, "clients cannot verify it", remedy)


def _is_for(name: str, host: str) -> bool:
    """Compare a name in a certificate with a host's (RFC 9525 section 6.3): `*` is one whole label, the first."""
    name, host = name.lower().rstrip("."), host.lower()
    if name.startswith("*."):
        return host.partition(".")[2] == name[2:]
    return name == host


def configuration(facts: Facts) -> Iterator[Finding]:
    """The config volume can be read and is right."""
    for problem in facts.volume_problems[:_MOST_PROBLEMS]:
        yield Finding(
            "fail", "config", problem, remedy="" if ";" in problem else "check the volume and its permissions"
        )
    if len(facts.volume_problems) > _MOST_PROBLEMS:
        more = len(facts.volume_problems) - _MOST_PROBLEMS
        yield Finding("fail", "config", f"{more} more problems", remedy="see: dmsctl render --check")
    if not facts.volume_problems:
        count = len(facts.domains)
        yield Finding("ok", "config", f"the volume can be read; {count} domain{'s' * (count != 1)}")


def secrets(facts: Facts) -> Iterator[Finding]:
    """Passwords and keys in the config volume are not readable for every daemon."""
    if facts.exposed:
        count = len(facts.exposed)
        what = f"{count} file{'s' * (count != 1)} with passwords or keys can be read by every user in the container"
        more = ["…"] if count > _MOST_PROBLEMS else []
        why = "a daemon that is taken over could read them"
        remedy = f"in the config volume, run: chmod o-r {' '.join([*facts.exposed[:_MOST_PROBLEMS], *more])}"
        yield Finding("warn", "secrets", what, why, remedy)


def addresses(facts: Facts) -> Iterator[Finding]:
    """Somebody reads what the server itself sends."""
    for name, address in facts.unreachable_addresses.items():
        what = f"{address} ({name}) has neither a mailbox nor an alias"
        why = "mail to postmaster and abuse is refused, and what the server reports is lost"
        yield Finding("warn", "addresses", what, why, f"run: setup alias add {address} ADDRESS, or set {name}")


def space(facts: Facts) -> Iterator[Finding]:
    """The volumes are mounted and have room."""
    for one in facts.spaces:
        if not one.mounted and one.path != "/var/log/mail":
            what = "is not a volume"
            yield Finding(
                "warn", "space", f"{one.path} {what}", "what is in it goes with the container", "mount one there"
            )
        if one.free_bytes or one.mounted:
            yield _room(one)


def _room(one: Space) -> Finding:
    inodes = one.free_inodes if one.free_inodes is not None else 1.0
    level: Level = "ok"
    if one.free_share < _FULL_SHARE or one.free_bytes < _FULL_BYTES or inodes < _FULL_SHARE:
        level = "fail"
    elif one.free_share < _LITTLE_SHARE or inodes < _LITTLE_SHARE:
        level = "warn"
    counted = "" if one.free_inodes is None else f", {one.free_inodes:.0%} of inodes"
    what = f"{one.path} has {text.size(one.free_bytes)} ({one.free_share:.0%}){counted} left"
    if level == "ok":
        return Finding(level, "space", what)
    return Finding(level, "space", what, "without room no mail is accepted", "delete something, or make it larger")


def mounts(facts: Facts) -> Iterator[Finding]:
    """What is mounted is what is on the host."""
    for path in facts.outdated_mounts:
        what = f"{path} is mounted by itself and was replaced on the host since"
        why = "the server sees the old file, and cannot change it"
        remedy = "recreate the container, and mount the directory instead of single files"
        yield Finding("fail", "mounts", what, why, remedy)


def memory(facts: Facts) -> Iterator[Finding]:
    """There is enough memory for ClamAV, which needs the most by far."""
    if not facts.on("ENABLE_CLAMAV") or facts.status is None:
        return
    if facts.memory_limit >= _CLAMAV_RELOAD_BYTES:
        yield Finding("ok", "memory", "is enough for ClamAV")
        return
    has = text.size(int(facts.memory_limit))
    if facts.memory_limit < _CLAMAV_BYTES:
        why = f"ClamAV needs about {text.size(_CLAMAV_BYTES)} with the rest of the server, and is killed without it"
        yield Finding("fail", "memory", f"{has} in all", why, "raise the container's limit, or set ENABLE_CLAMAV=0")
    else:
        why = f"while ClamAV loads new signatures it needs about {text.size(_CLAMAV_RELOAD_BYTES)}"
        yield Finding("warn", "memory", f"{has} in all", why, "raise the limit, or set ConcurrentDatabaseReload no")


def clock(facts: Facts) -> Iterator[Finding]:
    """The clock is right, as far as that can be told from here."""
    why = "certificates, DKIM signatures and one-time passwords depend on it"
    if facts.now < facts.built:
        shown = time.strftime("%Y-%m-%d %H:%M", time.gmtime(facts.now))
        yield Finding("fail", "clock", f"says {shown}, before this image was made", why, "set the host's clock")
    elif facts.clock_synchronised is False:
        yield Finding("warn", "clock", "is not synchronised", why, "let the host run chrony or systemd-timesyncd")
    else:
        unknown = "" if facts.clock_synchronised else "; the host's clock cannot be checked from here"
        yield Finding("ok", "clock", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(facts.now)) + unknown)


def relaying(facts: Facts) -> Iterator[Finding]:
    """Nobody but users and this container sends mail to anywhere."""
    if facts.mynetworks is None:
        return
    if "unauth_destination" not in facts.relay_restrictions:
        why = "without reject_unauth_destination everybody can send mail to anywhere through this server"
        yield Finding(
            "fail", "relaying", "nothing forbids it", why, "correct smtpd_relay_restrictions in postfix-main.cf"
        )
    outside = [network for network in map(_network, facts.mynetworks.replace(",", " ").split()) if network]
    named = ", ".join(map(str, outside))
    permit = facts.settings.get("PERMIT_DOCKER", "")
    if any(network.prefixlen == 0 for network in outside):
        remedy = "set PERMIT_DOCKER=none, and correct mynetworks in postfix-main.cf"
        yield Finding("fail", "relaying", f"{named} may send without a password", "this is an open relay", remedy)
    elif outside:
        why = "where the engine's proxy forwards connections (IPv6, rootless engines), that is the whole internet"
        remedy = "set PERMIT_DOCKER=none and let clients log in on port 587"
        origin = f" (PERMIT_DOCKER={permit})" if permit not in ("", "none") else ""
        yield Finding("warn", "relaying", f"{named} may send without a password{origin}", why, remedy)
    elif "unauth_destination" in facts.relay_restrictions:
        yield Finding("ok", "relaying", "only users who log in send mail to anywhere")


def _network(word: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return an entry of mynetworks, None for this container itself and for what is no address."""
    try:
        network = ipaddress.ip_network(word.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        return None
    return None if network.is_loopback or network.is_link_local else network


def bans(facts: Facts) -> Iterator[Finding]:
    """Who is banned is kept out by the kernel."""
    if facts.bans is None:
        return
    banned, missing = facts.bans
    if missing:
        shown = ", ".join(missing[:_MOST_PROBLEMS]) + (" …" if len(missing) > _MOST_PROBLEMS else "")
        what = f"the kernel has no rule for {len(missing)} of {banned}: {shown}"
        yield Finding("fail", "bans", what, "these addresses are not kept out", "dmsctl restart fail2ban")
    else:
        yield Finding("ok", "bans", f"{banned} in force")


CHECKS: Final[tuple[Check, ...]] = (
    services, ports, certificate, configuration, secrets, addresses, space, mounts, memory, clock, relaying, bans,
    *checks_dns.CHECKS,
)  # fmt: skip
