"""The check of OpenDKIM's tables: with most mistakes it starts, and then defers all mail of a domain.

Its own test mode (`opendkim -n`) opens none of them. What is looked at is what a sender of the SigningTable leads to:
a key that nobody uses harms nobody. A line of the SigningTable without a key ends OpenDKIM with the first message.
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import Final

from dmsinit.problem import Problem
from dmsinit.settings import Severe

DIRECTORY: Final = "/etc/opendkim"
KEYS: Final = f"{DIRECTORY}/KeyTable"
SENDERS: Final = f"{DIRECTORY}/SigningTable"
TRUSTED: Final = f"{DIRECTORY}/TrustedHosts"

_PEM: Final = re.compile(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----(.*?)-----END \1-----", re.DOTALL)
_NAME: Final = re.compile(r"\.?[\w-]+(\.[\w-]+)*\.?")
_DEFERRED: Final = "and mail that it should sign would be deferred"
_REMEDY: Final = "correct this line, see opendkim.conf(5)"

Read = Callable[[str], bytes | None]
Where = Callable[[str, int], str]


def findings(read: Read, where: Where) -> Iterator[Problem]:
    """Yield what is wrong in the tables that `read` returns; `where` names a line of one of them."""
    if read(KEYS) is None:
        return
    if read(SENDERS) is None:
        yield Severe(where(SENDERS, 0), "does not exist, and OpenDKIM does not start without it", "provide it")
    keys: dict[str, tuple[int, str]] = {}
    for number, name, value in _lines(read(KEYS)):
        keys.setdefault(name, (number, value))
    reported: set[str] = set()
    for number, sender, value in _lines(read(SENDERS)):
        name = value.partition(":")[0]
        if not name:
            cause = f"{sender} has no key, and OpenDKIM would end with the first message of it"
            yield Severe(where(SENDERS, number), cause, _REMEDY)
        elif name in reported:
            continue
        elif name not in keys and "%" not in name:
            reported.add(name)
            cause = f"KeyTable has no key {name}, {_DEFERRED}"
            yield Severe(where(SENDERS, number), cause, "correct the name, or add the key to KeyTable")
        elif name in keys:
            reported.add(name)
            line, entry = keys[name]
            if problem := _key(entry, read):
                yield Severe(where(KEYS, line), f"{problem}, {_DEFERRED}", "correct this line, or provide the key")
    for number, name, _ in _lines(read(TRUSTED)):
        if not _is_host(name):
            cause = f"{name} is not a host name, an address or a network, so it is never used"
            yield Problem(where(TRUSTED, number), cause, _REMEDY)


def _lines(content: bytes | None) -> Iterator[tuple[int, str, str]]:
    text = (content or b"").decode("utf-8", "replace")
    for number, line in enumerate(text.split("\n"), 1):
        words = line.partition("#")[0].split(None, 1)
        if words:
            yield number, words[0], words[1].strip() if len(words) > 1 else ""


def _key(entry: str, read: Read) -> str:
    parts = entry.split(":", 2)
    if len(parts) < 3 or not all(parts):
        return "the key is not DOMAIN:SELECTOR:PATH"
    path = parts[2]
    if "%" in path or not path.startswith("/"):
        return ""  # of each domain its own, or the key itself
    content = read(path)
    if content is None:
        return f"{path} does not exist"
    return "" if _is_private_key(content) else f"{path} is not a private key in PEM format"


def _is_private_key(content: bytes) -> bool:
    if content.startswith(b"\x30"):
        return True  # DER, which it reads, too
    match = _PEM.search(content)
    if match is None:
        return False
    try:
        return bool(base64.b64decode(b"".join(match.group(2).split()), validate=True))
    except binascii.Error:
        return False


def _is_host(name: str) -> bool:
    name = name.removeprefix("!").strip("[]")
    try:
        ipaddress.ip_network(name, strict=False)
    except ValueError:
        return bool(_NAME.fullmatch(name)) and not re.fullmatch(r"[\d.]+", name)
    return True
