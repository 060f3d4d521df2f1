"""What a certificate says about itself, by the openssl command: names, dates, and whether a key belongs to it."""

import re
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

_SECONDS: Final = 10.0
"""openssl answers within milliseconds; one that hangs must not hold up the start."""

_DATE: Final = re.compile(r"^(notBefore|notAfter)=(.*)$", re.MULTILINE)
_NAME: Final = re.compile(r"\bDNS:([^\s,]+)")


@dataclass(frozen=True)
class Facts:
    """The names (subjectAltName, lower-case), the times in seconds since the epoch, and whether the key fits."""

    names: frozenset[str]
    begins: float
    ends: float
    fits: bool

    def valid(self, now: float) -> bool:
        return self.fits and self.begins <= now < self.ends


def inspect(chain: bytes, key: bytes) -> Facts | None:
    """Return what the first certificate of a chain (PEM) says; None when it is not one."""
    text = _openssl(["x509", "-noout", "-pubkey", "-dates", "-ext", "subjectAltName"], chain)
    dates = {name: _seconds(value) for name, value in _DATE.findall(text)}
    begins, ends = dates.get("notBefore"), dates.get("notAfter")
    if begins is None or ends is None:
        return None
    public = _openssl(["pkey", "-pubout", "-passin", "pass:"], key)
    names = frozenset(name.lower() for name in _NAME.findall(text))
    return Facts(names, begins, ends, bool(public) and "".join(public.split()) in "".join(text.split()))


def covers(name: str, wanted: str) -> bool:
    """Return whether a name in a certificate covers a host: `*.x.test` stands for one label (RFC 6125, 6.4.3)."""
    if name == wanted:
        return True
    label, dot, parent = wanted.partition(".")
    return bool(dot and label and label != "*" and parent) and name == f"*.{parent}"


def _openssl(arguments: list[str], stdin: bytes) -> str:
    """Return what openssl prints; nothing when it cannot be run or does not like its input."""
    try:
        done = subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, check=False, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if done.returncode else done.stdout.decode("utf-8", "replace")


def _seconds(text: str) -> float | None:
    """Return the time that openssl prints as `Jun  1 12:00:00 2030 GMT`."""
    try:
        return datetime.strptime(text.strip(), "%b %d %H:%M:%S %Y %Z").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None
