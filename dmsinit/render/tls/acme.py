"""Certificates out of Traefik's acme.json (versions 2 and 3): written to live/, where every ACME client keeps them.

A store may hold several certificates for a name: of several resolvers, renewed ones beside those that they replace, a
wildcard beside an exact name. The one to use is valid now, belongs to its key, and ends last.
"""

import base64
import binascii
import json
import time
from dataclasses import dataclass
from typing import Any, Final

from dmsinit.base.atomic import make_directories, replace_file
from dmsinit.problem import Problem
from dmsinit.render.paths import Root
from dmsinit.render.tls import x509

STORE: Final = "/etc/letsencrypt/acme.json"
LIVE: Final = "/etc/letsencrypt/live"


@dataclass(frozen=True)
class Extracted:
    """The name below live/ whose certificate is to be used ("": as without a store), and warnings."""

    name: str
    warnings: list[Problem]


@dataclass(frozen=True)
class Found:
    """An entry for a name.

    `named`: the certificate itself covers the name, and not only Traefik's note beside it; `exact`: not by a wildcard;
    `facts` None: it cannot be read.
    """

    entry: dict[str, Any]
    named: bool
    exact: bool
    facts: x509.Facts | None

    def valid(self, now: float) -> bool:
        return self.facts is not None and self.facts.valid(now)

    def rank(self, now: float) -> tuple[bool, bool, bool, bool, bool, float, float]:
        """The best has the highest rank: valid and for this name, belonging to its key, exact, ending last, new."""
        facts = self.facts
        if facts is None:
            return (False, False, self.named, False, self.exact, 0.0, 0.0)
        valid = facts.valid(now)
        return (valid and self.named, valid, self.named, facts.fits, self.exact, facts.ends, facts.begins)


def extract(asked: str, others: list[str], root: Root) -> Extracted:
    """Write the certificate for `asked`, else for the first of `others`, to live/NAME/{key,fullchain}.pem.

    `asked` is SSL_DOMAIN, which may be empty; NAME is the name without `*.`. A name for which there is a valid
    certificate comes before one whose certificates are all out of date. Files that hold the same bytes are left alone.
    """
    names = list(dict.fromkeys(name.lower() for name in (asked, *others) if name))
    try:
        data = root.read(STORE)
        if not data:
            return Extracted("", [])
        found = entries(data)
    except (OSError, ValueError) as error:
        return Extracted("", [Problem(STORE, f"cannot be read: {error}", "mount the file that Traefik writes")])
    now = time.time()
    best = {name: one for name in names if (one := covering(name, found, now))}
    if not best:
        cause = f"holds no certificate for {', '.join(names)}"
        remedy = "let Traefik request one (a router with this Host rule), or set SSL_DOMAIN"
        return Extracted("", [Problem(STORE, cause, remedy)])
    taken = next((name for name, one in best.items() if one.valid(now)), next(iter(best)))
    directory = taken.removeprefix("*.")
    failed = _write(best[taken].entry, directory, root)
    usable = best[taken].valid(now) and not failed
    return Extracted(directory if usable else "", _passed_over(asked.lower(), taken, best) + failed)


def _passed_over(asked: str, taken: str, best: dict[str, Found]) -> list[Problem]:
    if asked in ("", taken):
        return []
    why = "only certificates that are not valid" if asked in best else "no certificate"
    cause = f"holds {why} for SSL_DOMAIN={asked}; that for {taken} is taken"
    return [Problem(STORE, cause, f"let Traefik request one for {asked}, or correct SSL_DOMAIN")]


def entries(data: bytes) -> list[dict[str, Any]]:
    """Return what a store holds, all resolvers together; ValueError when it is no JSON."""
    store = json.loads(data)
    resolvers = store.values() if isinstance(store, dict) else ()
    found: list[dict[str, Any]] = []
    for resolver in resolvers:
        certificates = resolver.get("Certificates") if isinstance(resolver, dict) else None
        found += [entry for entry in certificates or () if isinstance(entry, dict)]
    return found


def covering(name: str, found: list[dict[str, Any]], now: float) -> Found | None:
    """Return the best entry whose certificate covers a name; None when there is none.

    What the certificate itself says counts most. A damaged one, or one that only Traefik's note says to be for this
    name, is taken when there is no other; what is wrong with it is reported when it is used.
    """
    candidates: list[Found] = []
    for entry in found:
        noted = [domain.lower() for domain in _domains(entry) if isinstance(domain, str)]
        chain, key = _decoded(entry, "certificate"), _decoded(entry, "key")
        if not _mentions(name, noted, chain):
            continue
        facts = x509.inspect(chain, key) if chain else None
        names = facts.names if facts else frozenset(noted)
        named = any(x509.covers(one, name) for one in names)
        if named or any(x509.covers(one, name) for one in noted):
            candidates.append(Found(entry, named, name in names, facts))
    return max(candidates, key=lambda one: one.rank(now)) if candidates else None


def _mentions(name: str, noted: list[str], chain: bytes) -> bool:
    """Return whether it is worthwhile to ask openssl about an entry: a store may hold hundreds."""
    if any(x509.covers(one, name) for one in noted):
        return True
    body = b"".join(line for line in chain.partition(b"-----END")[0].splitlines() if not line.startswith(b"-"))
    try:
        der = base64.b64decode(body).lower()
    except binascii.Error:
        return False
    return name.encode() in der or b"*." + name.partition(".")[2].encode() in der


def _decoded(entry: dict[str, Any], field: str) -> bytes:
    try:
        return decoded(entry, field)
    except (binascii.Error, TypeError):
        return b""


def _domains(entry: dict[str, Any]) -> list[str]:
    domain = entry.get("domain") or {}
    return [domain.get("main", ""), *(domain.get("sans") or ())] if isinstance(domain, dict) else []


def decoded(entry: dict[str, Any], field: str) -> bytes:
    """Return an entry's `key` or `certificate` as PEM; binascii.Error or TypeError when it is damaged."""
    return base64.b64decode(entry.get(field, ""), validate=True)


def _write(entry: dict[str, Any], name: str, root: Root) -> list[Problem]:
    directory = f"{LIVE}/{name}"
    try:
        for field, file, mode in (("key", "key.pem", 0o600), ("certificate", "fullchain.pem", 0o644)):
            content = decoded(entry, field)
            if root.read(f"{directory}/{file}") != content:
                make_directories(root(directory))
                replace_file(root(f"{directory}/{file}"), content, mode=mode)
    except (binascii.Error, TypeError) as error:
        return [Problem(STORE, f"the entry for {name} is damaged: {error}", "let Traefik request it again")]
    except OSError as error:
        return [Problem(directory, f"cannot be written: {error.strerror}", "mount /etc/letsencrypt writable")]
    return []
