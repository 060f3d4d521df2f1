"""Gather everything that configuration is made from: settings, volume, names, networks, certificate."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dmsinit.problem import Problem, ProblemsFound
from dmsinit.render import networks, tls
from dmsinit.render.host import Host, nameservers, qualified_name
from dmsinit.render.networks import Networks
from dmsinit.render.paths import LOCAL_SERVICES, VOLUME, Root
from dmsinit.render.tls import Choice
from dmsinit.settings import Settings, SettingsRefused, load
from dmsinit.volume import Volume, read

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
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def waits_for_accounts(self) -> bool:
        """Whether there is nobody to receive mail yet (behaviour 47)."""
        settings = self.settings
        return settings.account_provisioner == "FILE" and not settings.smtp_only and not self.volume.accounts

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
            "release": self.settings.dms_release,
            "overrides": self.overrides,
            "generated": GENERATED,
        }

    def watch(self) -> tuple[str, ...]:
        """Return the files and directories outside our own whose change runs the flow again."""
        return tuple(dict.fromkeys((VOLUME, LOCAL_SERVICES, *self.certificate.watch)))


class Invalid(ProblemsFound):
    """There are no settings to go on with; `fqdn_missing`: the host has no full name. `warnings` are told as well."""

    def __init__(
        self, problems: Iterable[Problem], warnings: Iterable[Problem], notes: Iterable[str], *, fqdn_missing: bool
    ) -> None:
        super().__init__(problems)
        self.warnings = tuple(warnings)
        self.notes = tuple(notes)
        self.fqdn_missing = fqdn_missing


def gather(root: Root, environ: Mapping[str, str]) -> Inputs:
    """Return the inputs; Invalid when there are no usable settings."""
    problems: list[Problem] = []
    volume = _read(root, problems)
    try:
        loaded = load(environ, fqdn=qualified_name(root))
    except SettingsRefused as refused:
        raise Invalid(
            [*refused.problems, *problems], refused.warnings, refused.notes,
            fqdn_missing=refused.fqdn_missing,
        ) from refused  # fmt: skip
    settings = loaded.settings
    warnings = list(loaded.warnings)
    found = networks.find(
        settings.permit_docker, settings.network_interface,
        asked_for=loaded.sources.get("NETWORK_INTERFACE", "default") != "default",
    )  # fmt: skip
    if settings.ssl_type == "letsencrypt":
        warnings += _from_traefik(settings, root)
    certificate = tls.choose(settings, settings.fqdn, settings.domain, root)
    problems += [*found.problems, *certificate.problems]
    warnings += [*volume.warnings, *found.warnings, *certificate.warnings]
    return Inputs(
        settings, Host(settings.fqdn, settings.domain, os.uname().nodename), volume, found, certificate,
        _overrides(root), nameservers(root), tuple(problems), tuple(warnings), loaded.notes,
    )  # fmt: skip


def _read(root: Root, problems: list[Problem]) -> Volume:
    try:
        return read(Path(root(VOLUME)))
    except ProblemsFound as found:
        problems.extend(found.problems)
        return Volume(Path(root(VOLUME)))


def _from_traefik(settings: Settings, root: Root) -> list[Problem]:
    from dmsinit.render import acme  # its decoders are needed for nothing else

    names = (settings.ssl_domain, settings.fqdn, settings.domain)
    return acme.extract([name for name in names if name], root)


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
    return frozenset(found)
