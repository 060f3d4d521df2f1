"""Asking the ports that users and other servers come to: their greeting, and the certificate that they show."""

import asyncio
import calendar
import hashlib
import ssl
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dmsinit.doctor.facts import Certificate, Port

ANSWER_SECONDS: Final = 5.0
_HOST: Final = "127.0.0.1"
SELF_SIGNED: Final = "is self-signed"
INCOMPLETE: Final = "is not signed by a public CA, or its chain is incomplete"
_DISTRUST: Final = {18: SELF_SIGNED, 19: "is signed by a CA that is not public", 20: INCOMPLETE, 21: INCOMPLETE}
"""By X509_V_ERR_… of openssl-verification-options(1)."""


@dataclass(frozen=True)
class Expected:
    """A port that should answer: TLS from the first byte or not, and how its greeting begins."""

    number: int
    name: str
    tls: bool
    greeting: str


def expected(settings: Mapping[str, str]) -> list[Expected]:
    """Return the ports that are open with these settings (paths-and-ports.tsv)."""
    ports = [
        Expected(25, "SMTP", False, "220"),
        Expected(587, "submission", False, "220"),
        Expected(465, "submissions", True, "220"),
    ]
    if settings.get("SMTP_ONLY") == "1":
        return ports
    if settings.get("ENABLE_IMAP", "1") == "1":
        ports += [Expected(143, "IMAP", False, "* OK"), Expected(993, "IMAPS", True, "* OK")]
    if settings.get("ENABLE_POP3") == "1":
        ports += [Expected(110, "POP3", False, "+OK"), Expected(995, "POP3S", True, "+OK")]
    if settings.get("ENABLE_MANAGESIEVE") == "1":
        ports.append(Expected(4190, "ManageSieve", False, '"IMPLEMENTATION"'))
    return ports


async def look(settings: Mapping[str, str]) -> tuple[tuple[Port, ...], tuple[Certificate, ...]]:
    """Ask all ports at once."""
    wanted = expected(settings)
    ports = await asyncio.gather(*(_greeting(one) for one in wanted))
    certificates = await asyncio.gather(*(_certificate(one.number) for one in wanted if one.tls))
    return tuple(ports), tuple(one for one in certificates if one is not None)


async def _greeting(one: Expected) -> Port:
    context = _context(verify=False) if one.tls else None
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(_HOST, one.number, ssl=context)
            try:
                line = (await reader.readline()).decode("latin-1").rstrip()
            finally:
                writer.transport.abort()
    except TimeoutError:
        return Port(one.number, one.name, problem=f"no answer within {ANSWER_SECONDS:g} s")
    except (OSError, ValueError) as error:
        return Port(one.number, one.name, problem=_cause(error))
    if not line.startswith(one.greeting):
        return Port(one.number, one.name, problem=f"greeted with {line[:80]!r}" if line else "hung up")
    return Port(one.number, one.name, greeting=line)


def _cause(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens"
    return getattr(error, "strerror", None) or str(error)


async def _certificate(port: int) -> Certificate | None:
    shown = await _handshake(port, verify=False)
    if not isinstance(shown, bytes):
        return None
    verified = await _handshake(port, verify=True)
    trust = verified if isinstance(verified, str) else ""
    return described(port, shown, trust)


async def _handshake(port: int, *, verify: bool) -> bytes | str | None:
    """Return the certificate (DER) of a handshake that succeeded, OpenSSL's objection, or None without an answer."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            _, writer = await asyncio.open_connection(_HOST, port, ssl=_context(verify=verify))
            try:
                tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
                return tls.getpeercert(binary_form=True)
            finally:
                writer.transport.abort()
    except ssl.SSLCertVerificationError as error:
        return _DISTRUST.get(error.verify_code, error.verify_message)
    except (OSError, TimeoutError):
        return None


def _context(*, verify: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    return context


def described(port: int, der: bytes, trust: str) -> Certificate | None:
    """Return what a certificate says, by openssl-x509(1); None when that cannot read it."""
    wanted = [
        "-noout",
        "-subject",
        "-dates",
        "-dateopt",
        "iso_8601",
        "-ext",
        "subjectAltName",
        "-nameopt",
        "oneline,utf8",
    ]
    try:
        done = subprocess.run(
            ["openssl", "x509", "-inform", "DER", *wanted], input=der, capture_output=True, check=False
        )
    except OSError:
        return None
    if done.returncode:
        return None
    subject, names, dates = "", [], {}
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        label, separator, value = line.strip().partition("=")
        if separator and label in ("notBefore", "notAfter"):
            dates[label] = float(calendar.timegm(time.strptime(value, "%Y-%m-%d %H:%M:%SZ")))
        elif separator and label == "subject":
            subject = value.strip()
        elif "DNS:" in line:
            names = [part.strip().removeprefix("DNS:") for part in line.split(",") if part.strip().startswith("DNS:")]
    digest = hashlib.sha256(der).hexdigest()
    return Certificate(port, digest, subject, tuple(names), dates["notBefore"], dates["notAfter"], trust)
