"""Certificates out of Traefik's acme.json (versions 2 and 3): written to live/, where every ACME client keeps them."""

import base64
import binascii
import json
from typing import Any, Final

from dmsinit.problem import Problem
from dmsinit.render.atomic import make_directories, replace_file
from dmsinit.render.paths import Root

STORE: Final = "/etc/letsencrypt/acme.json"


def extract(asked: str, others: list[str], root: Root) -> list[Problem]:
    """Write the certificate for `asked`, else the first of `others`, to live/NAME/{key,fullchain}.pem; return warnings.

    `asked` is SSL_DOMAIN, which may be empty; NAME is the name without `*.`. Files that hold the same bytes already are
    left alone.
    """
    names = [name for name in (asked, *others) if name]
    try:
        data = root.read(STORE)
        if not data:
            return []
        found = entries(data)
    except (OSError, ValueError) as error:
        return [Problem(STORE, f"cannot be read: {error}", "mount the file that Traefik writes")]
    for name in names:
        if entry := covering(name, found):
            return _passed_over(asked, name) + _write(entry, name.removeprefix("*."), root)
    cause = f"holds no certificate for {', '.join(names)}"
    return [Problem(STORE, cause, "let Traefik request one (a router with this Host rule), or set SSL_DOMAIN")]


def _passed_over(asked: str, taken: str) -> list[Problem]:
    if asked in ("", taken):
        return []
    cause = f"holds no certificate for SSL_DOMAIN={asked}; that for {taken} is taken"
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


def covering(name: str, found: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the first entry whose certificate is for exactly this name."""
    return next((entry for entry in found if name in _domains(entry)), None)


def _domains(entry: dict[str, Any]) -> list[str]:
    domain = entry.get("domain") or {}
    return [domain.get("main", ""), *(domain.get("sans") or ())] if isinstance(domain, dict) else []


def decoded(entry: dict[str, Any], field: str) -> bytes:
    """Return an entry's `key` or `certificate` as PEM; binascii.Error or TypeError when it is damaged."""
    return base64.b64decode(entry.get(field, ""), validate=True)


def _write(entry: dict[str, Any], name: str, root: Root) -> list[Problem]:
    directory = f"/etc/letsencrypt/live/{name}"
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
