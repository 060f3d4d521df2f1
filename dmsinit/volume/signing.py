"""Which key signs mail of which domain, whoever signs: the tables of OpenDKIM, and Rspamd's signing configuration.

Both name keys in the config volume. Who switches from one to the other has published records for the keys that are
there, so that these have to go on signing under their selectors.
"""

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dmsinit.base.beneath import behind, owner_of
from dmsinit.problem import Problem
from dmsinit.volume import ucl

OPENDKIM_KEYS: Final = "opendkim/KeyTable"
OPENDKIM_SENDERS: Final = "opendkim/SigningTable"
RSPAMD: Final = "rspamd/override.d/dkim_signing.conf"

_MOUNT: Final = "/tmp/docker-mailserver"  # noqa: S108  the mount point
_INSTALLED: Final = "/etc/opendkim"
"""Where opendkim/ of the config volume is installed, and what its KeyTable names."""
_PEM: Final = b"PRIVATE KEY-----"


@dataclass(frozen=True)
class SigningKey:
    """A key that signs mail of a domain: `_domainkey` record at `selector`; `path` in the container, `pem` its text."""

    domain: str
    selector: str
    path: str
    pem: bytes = field(repr=False)

    @property
    def record(self) -> str:
        """The name of its DNS record."""
        return f"{self.selector}._domainkey.{self.domain}"


@dataclass
class Signing:
    """The keys that a configuration names, and warnings about what another signer cannot take over."""

    keys: list[SigningKey] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def add(self, where: str, domain: str, selector: str, path: str, directory: Path) -> None:
        try:
            pem = _read(path, directory)
        except OSError as error:
            self.warn(where, f"cannot read the key {path} of {domain}: {error.strerror}")
            return
        if _PEM not in pem:
            self.warn(where, f"the key {path} of {domain} is not a private key in PEM form")
            return
        key = SigningKey(domain.lower(), selector, path, pem)
        if not any(other.record == key.record for other in self.keys):
            self.keys.append(key)

    def warn(self, where: str, cause: str) -> None:
        remedy = "make one with setup config dkim, and publish its record"
        self.warnings.append(Problem(where, f"{cause}, so that mail is not signed by it", remedy))


def of_opendkim(directory: Path) -> Signing:
    """Return what the tables of OpenDKIM in the config volume say; nothing when there are none."""
    found = Signing()
    keys: dict[str, tuple[str, str, str]] = {}
    for _, words in _rows(directory / OPENDKIM_KEYS):
        parts = words[1].split(":", 2) if len(words) > 1 else []
        if len(parts) == 3:
            keys[words[0].lower()] = (parts[0], parts[1], parts[2])
    for number, words in _rows(directory / OPENDKIM_SENDERS):
        where = f"{OPENDKIM_SENDERS}:{number}"
        pattern = words[0].lower()
        domain = pattern.removeprefix("*@")
        names = words[1].split(",") if len(words) > 1 else []
        for name in names:
            signer, selector, path = keys.get(name.lower(), ("", "", ""))
            if not path:
                continue  # OpenDKIM says so itself
            if "*" in domain or "@" in domain or signer.lower() not in ("%", domain):
                found.warn(where, f"{words[0]} signs as {signer}, which Rspamd's configuration cannot say")
                continue
            found.add(where, domain, selector, path, directory)
    return found


def of_rspamd(directory: Path) -> Signing:
    """Return what rspamd/override.d/dkim_signing.conf in the config volume says; nothing when there is none."""
    found = Signing()
    try:
        settings = ucl.parse((directory / RSPAMD).read_text("utf-8", "surrogateescape"))
    except FileNotFoundError:
        return found
    except (OSError, ucl.NotUcl) as error:
        found.warn(RSPAMD, f"cannot be read: {error}")
        return found
    domains = settings.get("domain")
    for domain, entry in domains.items() if isinstance(domains, dict) else ():
        for one in _selectors(entry):
            path, selector = one.get("path"), one.get("selector")
            if isinstance(path, str) and isinstance(selector, str):
                place = path.replace("$domain", domain).replace("$selector", selector)
                found.add(RSPAMD, domain, selector, place, directory)
    return found


def _selectors(entry: object) -> list[dict[str, object]]:
    if isinstance(entry, list):
        return [one for part in entry for one in _selectors(part)]
    if not isinstance(entry, dict):
        return []
    several = entry.get("selectors")
    listed = several if isinstance(several, list) else [several]
    return [one for one in (entry, *listed) if isinstance(one, dict) and "path" in one]


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    try:
        lines = path.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return []
    return [(number, line.split()) for number, line in enumerate(lines, 1) if line.strip() and line.strip()[0] != "#"]


def _read(path: str, directory: Path) -> bytes:
    """Return a file that a configuration in the container names; root follows no link that a daemon could have made."""
    place = Path(os.path.normpath(path))
    if place.is_relative_to(_MOUNT):
        place = directory / place.relative_to(_MOUNT)
    elif place.is_relative_to(_INSTALLED):
        place = directory / "opendkim" / place.relative_to(_INSTALLED)
    with behind(str(place), owner_of(str(directory))) as (folder, name):
        data = folder.read(name)
    if data is None:
        raise FileNotFoundError(errno.ENOENT, "it does not exist", path)
    return data
