"""Gather everything that configuration is made from: settings, volume, names, networks, certificate."""

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from dmsinit.problem import Problem, ProblemsFound
from dmsinit.render.inputs import ldap_file, mounts, networks, shared_limits, watched
from dmsinit.render.inputs.external_checks import assumed_name, excuse_certificates
from dmsinit.render.inputs.fetchmail import Servers, servers_of
from dmsinit.render.inputs.host import Host, nameservers, qualified_name
from dmsinit.render.inputs.networks import Networks
from dmsinit.render.inputs.sieve import Programs, programs
from dmsinit.render.inputs.texts import Findings
from dmsinit.render.paths import VOLUME, Root
from dmsinit.render.tls import ssl_type
from dmsinit.render.tls.ssl_type import Choice
from dmsinit.settings import Settings, SettingsRefused, load
from dmsinit.volume import Volume, read, reliance

GENERATED: Final = "dmsinit writes this file; changes to it by hand last until the container is started again."


@dataclass(frozen=True)
class Inputs:
    """All inputs. With `problems` nothing may be installed, but what can be rendered shows further problems."""

    settings: Settings
    host: Host
    volume: Volume
    networks: Networks
    certificate: Choice
    overrides: frozenset[str]
    nameservers: tuple[str, ...] = ()
    fetchmail: Servers = field(default_factory=Servers)
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    watched: tuple[str, ...] = ()
    """Files and directories whose change runs the flow again."""
    snapshot: str = ""
    """What the watched files looked like just before they were read."""
    polled_because: str = ""
    """Why the kernel does not report all changes of them, so that they are polled; "" when it does."""
    sieve: Programs = field(default_factory=Programs)
    """What users' Sieve scripts may call."""
    main_cf: str = ""
    """The user's part of main.cf."""

    @property
    def waits_for_accounts(self) -> bool:
        """Whether there is nobody to receive mail yet (behaviour 47)."""
        settings = self.settings
        return settings.account_provisioner == "FILE" and not settings.smtp_only and not self.volume.accounts

    @property
    def _relied(self) -> tuple[Volume, str, str]:
        return self.volume, self.settings.postmaster_address, self.host.fqdn

    def context(self) -> dict[str, Any]:
        """Return what templates see."""
        return {
            "settings": self.settings,
            "host": self.host,
            "volume": self.volume,
            "tls": self.certificate.tls,
            "networks": self.networks.trusted,
            "permitted_networks": self.networks.permitted,
            "nameservers": self.nameservers,
            "postfix_limits": shared_limits.of(self.settings, self.main_cf),
            "standard_aliases": reliance.standard_aliases(*self._relied),
            "standard_names": reliance.standard_local_names(*self._relied),
            "local_names": reliance.local_names(self.volume),
            "release": self.settings.dms_release,
            "overrides": self.overrides,
            "fetchmail_servers": len(self.fetchmail.entries),
            "generated": GENERATED,
            "watched": self.watched,
            "polled_because": self.polled_because,
            "sieve": self.sieve,
        }


class Invalid(ProblemsFound):
    """There are no settings to go on with; `fqdn_missing`: the host has no full name. `warnings` are told as well."""

    def __init__(
        self, problems: Iterable[Problem], warnings: Iterable[Problem], notes: Iterable[str], *, fqdn_missing: bool
    ) -> None:
        super().__init__(problems)
        self.warnings = tuple(warnings)
        self.notes = tuple(notes)
        self.fqdn_missing = fqdn_missing


Watch = Callable[[Iterable[str]], list[Problem]]
"""Has places watched; returns why some are not."""


def gather(
    root: Root, environ: Mapping[str, str], *, elsewhere: bool = False, watch: Watch = lambda places: []
) -> Inputs:
    """Return the inputs; Invalid when there are no usable settings. `elsewhere`: this may not be the server itself."""
    problems: list[Problem] = []
    name, assumptions = qualified_name(root), list[Problem]()
    if elsewhere:
        name, assumptions = assumed_name(name, environ)
    environ, told_of_file = ldap_file.with_file(environ, root)
    try:
        loaded = load(environ, fqdn=name)
    except SettingsRefused as refused:
        _read(root, problems)
        raise Invalid(
            [*refused.problems, *problems], refused.warnings, refused.notes,
            fqdn_missing=refused.fqdn_missing,
        ) from refused  # fmt: skip
    settings = loaded.settings
    warnings = [*assumptions, *loaded.warnings, *told_of_file]
    found = networks.find(
        settings.permit_docker, settings.network_interface,
        asked_for=loaded.sources.get("NETWORK_INTERFACE", "default") != "default",
    )  # fmt: skip
    extracted = ""
    if settings.ssl_type == "letsencrypt":
        extracted, told = _from_traefik(settings, root)
        warnings += told
    # Watches, then the snapshot, then the files themselves: what changes in between is an event that means something.
    observed = watched.paths(settings, ssl_type.sources(settings, settings.fqdn, settings.domain), root)
    unwatched = watch(watched.places(observed, root))
    polled_because = unwatched[0].cause if unwatched else watched.silence(observed, root)
    warnings += unwatched
    snapshot = watched.snapshot(observed, root)
    volume = _read(root, problems)
    if settings.account_provisioner == "LDAP":
        # The directory says who has a mailbox, and which: files about that are left alone (behaviour 84).
        volume = replace(volume, accounts=(), aliases=(), regexp_lines=(), quotas={})
    findings = Findings()
    servers = servers_of(settings, root, findings)
    certificate = ssl_type.choose(settings, settings.fqdn, settings.domain, root, extracted=extracted)
    if elsewhere:
        excuse_certificates(certificate, settings, root)
    problems += [*found.problems, *findings.problems, *certificate.problems]
    if settings.smtp_only and volume.accounts and not settings.postfix_dagent:
        warnings.append(_nobody_stores(volume))
    warnings += _relays_without_login(settings, volume)
    warnings += [*mounts.stale(root), *mounts.directories(root)]
    warnings += _nobody_reads(settings, volume)
    warnings += [*volume.warnings, *findings.warnings, *found.warnings, *certificate.warnings]
    return Inputs(
        settings, Host(settings.fqdn, settings.domain, os.uname().nodename), volume, found, certificate,
        _overrides(root), nameservers(root), servers, tuple(problems), tuple(warnings), loaded.notes,
        observed, snapshot, polled_because, _programs(settings, volume, root), _main_cf(root),
    )  # fmt: skip


def _programs(settings: Settings, volume: Volume, root: Root) -> Programs:
    ours = {("uid", str(settings.dms_vmail_uid)), ("gid", str(settings.dms_vmail_gid))}
    owners = settings.account_provisioner == "LDAP" and any(
        field in ("uid", "gid") and (field, value) not in ours for field, value in settings.dovecot_user_attrs
    )
    return programs(volume.accounts, ldap_owners=owners, root=root)


def _nobody_stores(volume: Volume) -> Problem:
    domains = ", ".join(sorted({account.domain for account in volume.accounts}))
    cause = f"nobody stores mail here, but postfix-accounts.cf makes {domains} ours: mail to its accounts comes back"
    remedy = "remove the accounts, or say in POSTFIX_DAGENT or postfix-main.cf (virtual_transport) what takes that mail"
    return Problem("SMTP_ONLY=1", cause, remedy)


def _nobody_reads(settings: Settings, volume: Volume) -> list[Problem]:
    """Return warnings about addresses that the server relies on, and about aliases that lead nowhere."""
    if settings.account_provisioner != "FILE":
        return []
    found = []
    if volume.accounts:
        relied = reliance.unreachable(reliance.relied_on(settings.effective()), volume, settings.fqdn)
        for name, address in relied.items():
            cause = f"{address} has neither a mailbox nor an alias, so that what the server sends there is lost"
            found.append(Problem(name, cause, f"run: setup alias add {address} ADDRESS, or set {name}"))
    for loop in reliance.loops(volume.aliases):
        cause = f"aliases lead in a circle ({' → '.join(loop)}): mail to them is deferred and comes back"
        found.append(Problem("postfix-virtual.cf", cause, "let one of them end at a mailbox"))
    if not settings.smtp_only:
        for target, alias in sorted(reliance.dead_ends(volume, settings.fqdn).items()):
            cause = f"the alias {alias} leads to {target}, which does not exist: mail to it is accepted and comes back"
            found.append(Problem("postfix-virtual.cf", cause, "correct it, or add that account or alias"))
    return found


def _relays_without_login(settings: Settings, volume: Volume) -> list[Problem]:
    relays = [name for name in ("DEFAULT_RELAY_HOST", "RELAY_HOST") if getattr(settings, name.lower())]
    if any(route.relay for route in volume.relay_map):
        relays.append("postfix-relaymap.cf")
    if not relays or volume.sasl_passwords or settings.relay_user or settings.relay_password:
        return []
    remedy = "set RELAY_USER and RELAY_PASSWORD, or write postfix-sasl-password.cf, if the relay asks for them"
    return [Problem(", ".join(relays), "mail is relayed without user and password", remedy)]


def _read(root: Root, problems: list[Problem]) -> Volume:
    try:
        return read(Path(root(VOLUME)))
    except ProblemsFound as found:
        problems.extend(found.problems)
        return Volume(Path(root(VOLUME)))


def _from_traefik(settings: Settings, root: Root) -> tuple[str, list[Problem]]:
    from dmsinit.render.tls import acme  # its decoders are needed for nothing else

    extracted = acme.extract(settings.ssl_domain, [settings.fqdn, settings.domain], root)
    return extracted.name, extracted.warnings


def _main_cf(root: Root) -> str:
    with suppress(OSError):  # a file that cannot be read is reported when it is applied
        return (root.read(f"{VOLUME}/postfix-main.cf") or b"").decode("utf-8", "surrogateescape")
    return ""


def _overrides(root: Root) -> frozenset[str]:
    """Return the paths (relative to the volume) of all files in the config volume, two levels deep."""
    found: set[str] = set()
    try:
        with os.scandir(root(VOLUME)) as entries:
            for entry in entries:
                found.add(entry.name)
                if entry.is_dir():
                    found.update(f"{entry.name}/{name}" for name in root.listing(f"{VOLUME}/{entry.name}"))
    except OSError:
        return frozenset()
    return frozenset(found) - frozenset(mounts.misplaced(root))
