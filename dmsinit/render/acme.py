"""Certificates out of Traefik's acme.json (versions 2 and 3): written to live/, where every ACME client keeps them."""

import base64
import binascii
import json
import os
from typing import Any, Final

from dmsinit.problem import Problem
from dmsinit.render.atomic import replace_file
from dmsinit.render.paths import Root

STORE: Final = "/etc/letsencrypt/acme.json"


def extract(names: list[str], root: Root) -> list[Problem]:
    """Write the first certificate that covers one of `names` to live/NAME/{key,fullchain}.pem; return warnings.

    NAME is the name without `*.`. Files that hold the same bytes already are left alone.
    """
    try:
        data = root.read(STORE)
        if not data:
            return []
        entries = _entries(json.loads(data))
    except (OSError, ValueError) as error:
        return [Problem(STORE, f"cannot be read: {error}", "mount the file that Traefik writes")]
    for name in names:
        for entry in entries:
            if name in _domains(entry):
                return _write(entry, name.removeprefix("*."), root)
    cause = f"holds no certificate for {', '.join(names)}"
    return [Problem(STORE, cause, "let Traefik request one (a router with this Host rule), or set SSL_DOMAIN")]


def _entries(store: Any) -> list[dict[str, Any]]:
    resolvers = store.values() if isinstance(store, dict) else ()
    found: list[dict[str, Any]] = []
    for resolver in resolvers:
        certificates = resolver.get("Certificates") if isinstance(resolver, dict) else None
        found += [entry for entry in certificates or () if isinstance(entry, dict)]
    return found


def _domains(entry: dict[str, Any]) -> list[str]:
    domain = entry.get("domain") or {}
    return [domain.get("main", ""), *(domain.get("sans") or ())] if isinstance(domain, dict) else []


def _write(entry: dict[str, Any], name: str, root: Root) -> list[Problem]:
    directory = f"/etc/letsencrypt/live/{name}"
    try:
        for field, file, mode in (("key", "key.pem", 0o600), ("certificate", "fullchain.pem", 0o644)):
            content = base64.b64decode(entry.get(field, ""), validate=True)
            if root.read(f"{directory}/{file}") != content:
                os.makedirs(root(directory), exist_ok=True)
                replace_file(root(f"{directory}/{file}"), content, mode=mode)
    except (binascii.Error, TypeError) as error:
        return [Problem(STORE, f"the entry for {name} is damaged: {error}", "let Traefik request it again")]
    except OSError as error:
        return [Problem(directory, f"cannot be written: {error.strerror}", "mount /etc/letsencrypt writable")]
    return []
