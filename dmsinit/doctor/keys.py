"""The DKIM keys that this server signs with, and the halves of them that DNS has to have (RFC 6376, RFC 8463).

Private keys are read by openssl(1) from their files or from its standard input, never from an argument.
"""

import json
import os
import re
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from dmsinit.doctor.facts import Key

KEY_TABLE: Final = Path("/etc/opendkim/KeyTable")
_ED25519_PRIVATE: Final = bytes.fromhex("302e020100300506032b657004220420")
"""What stands before the 32 bytes of an Ed25519 key in its DER form (RFC 8410 section 7)."""
_ED25519_BYTES: Final = 32
_IMPATIENT: Final = "timeout:1 attempts:1"
"""Options of the C library's resolver (resolv.conf(5)) for a program that would wait for a dead name server."""
_CONFIGURATION_SECONDS: Final = 5.0
_UNREADABLE: Final = "its private key cannot be read"


def keys(settings: Mapping[str, str]) -> tuple[Key, ...]:
    """Return the keys of the signers that are on."""
    found: list[Key] = []
    if settings.get("ENABLE_OPENDKIM") == "1" and KEY_TABLE.exists():
        found += key_table(KEY_TABLE.read_text(encoding="utf-8", errors="replace"))
    if settings.get("ENABLE_RSPAMD") == "1":
        found += rspamd(_configuration())
    return tuple(found)


def made(config: Path) -> frozenset[str]:
    """Return the domains that the config volume holds a key of OpenDKIM or Rspamd for."""
    own = {path.parent.name for path in config.glob("opendkim/keys/*/*.private")}
    # rsa-2048-SELECTOR-DOMAIN.private.txt, ed25519-SELECTOR-DOMAIN.private.txt; a selector holds no hyphen
    names = (path.name.removesuffix(".private.txt") for path in config.glob("rspamd/dkim/*.private.txt"))
    matches = (re.fullmatch(r"(?:rsa-\d+|ed25519)-[^-]+-(.+)", name) for name in names)
    return frozenset(own | {match[1] for match in matches if match})


def key_table(text: str) -> Iterator[Key]:
    """Yield the keys of a KeyTable (opendkim.conf(5)): `NAME DOMAIN:SELECTOR:PATH`."""
    for line in text.splitlines():
        _, _, value = line.partition("#")[0].strip().partition(" ")
        domain, _, rest = value.strip().partition(":")
        selector, _, path = rest.partition(":")
        if domain and selector and path:
            yield _key(domain, selector, "OpenDKIM", path)


def rspamd(signing: Mapping[str, Any]) -> Iterator[Key]:
    """Yield the keys of Rspamd's dkim_signing module, as `rspamadm configdump` shows it."""
    for domain, settings in (signing.get("domain") or {}).items():
        entries = settings.get("selectors") or [settings]
        for entry in entries:
            selector, path = entry.get("selector"), entry.get("path")
            if selector and path:
                path = path.replace("$domain", domain).replace("$selector", selector)
                yield _key(domain, selector, "Rspamd", path)


def _key(domain: str, selector: str, signer: str, path: str) -> Key:
    public = public_half(Path(path))
    return Key(domain.lower(), selector.lower(), signer, public, "" if public else f"{path}: {_UNREADABLE}")


def public_half(path: Path) -> str:
    """Return the base64 text that stands behind `p=` in DNS, "" when there is no usable key."""
    try:
        text = path.read_bytes()
    except OSError:
        return ""
    if b"-----BEGIN" in text:
        return _published(_openssl(text, "PEM"))
    try:
        seed = b64decode(text, validate=False)[:_ED25519_BYTES]  # as Rspamd keeps Ed25519 keys
    except ValueError:
        return ""
    return _published(_openssl(_ED25519_PRIVATE + seed, "DER")) if len(seed) == _ED25519_BYTES else ""


def _openssl(private: bytes, form: str) -> bytes:
    command = ["openssl", "pkey", "-inform", form, "-pubout", "-outform", "DER", "-passin", "pass:"]
    try:
        done = subprocess.run(command, input=private, capture_output=True, check=False)
    except OSError:
        return b""
    return done.stdout if done.returncode == 0 else b""


def _published(der: bytes) -> str:
    """Return a public key as DNS has it: RSA whole, of Ed25519 the last 32 bytes alone."""
    is_ed25519 = len(der) == _ED25519_BYTES + 12  # RFC 8410: twelve bytes of algorithm before the key
    return b64encode(der[-_ED25519_BYTES:] if is_ed25519 else der).decode()


def _configuration() -> Mapping[str, Any]:
    command = ["rspamadm", "configdump", "--json", "dkim_signing"]
    environ = {**os.environ, "RES_OPTIONS": _IMPATIENT}  # it resolves names of its configuration, which we do not need
    try:
        done = subprocess.run(command, env=environ, capture_output=True, check=False, timeout=_CONFIGURATION_SECONDS)
        found = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return {}
    return found if isinstance(found, dict) and found.get("enabled", True) else {}


def tags(record: str) -> dict[str, str]:
    """Return the tags of a DKIM or DMARC record, without white space in their values (RFC 6376 section 3.2)."""
    pairs = (part.partition("=") for part in record.split(";"))
    return {name.strip().lower(): re.sub(r"\s", "", value) for name, separator, value in pairs if separator}
