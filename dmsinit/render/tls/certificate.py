"""Make the server's own certificate, and check those of users, with the openssl command."""

import os
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from dmsinit.base.atomic import correct, make_directories, rename
from dmsinit.plan import Certificate
from dmsinit.problem import Problem
from dmsinit.render.paths import Root
from dmsinit.render.programs import Job, run_all
from dmsinit.render.tls.ssl_type import Pair

if TYPE_CHECKING:
    from datetime import datetime

VALIDITY_DAYS: Final = 3650
"""Nobody verifies this certificate, and nobody shall have to renew it."""

_COMMON_NAME_LIMIT: Final = 64
"""X.520's upper bound for a common name; longer names stand in subjectAltName alone."""


class Making:
    """A certificate that openssl is making: `finish` puts key and certificate in place."""

    def __init__(self, fqdn: str, cert: str, key: str, root: Root) -> None:
        self._cert, self._key = root(cert), root(key)
        for path in (self._cert, self._key):
            make_directories(os.path.dirname(path))
        name = fqdn if len(fqdn) <= _COMMON_NAME_LIMIT else fqdn.split(".")[0][:_COMMON_NAME_LIMIT]
        previous = os.umask(0o077)
        self._job = Job([
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc",
            "-days", str(VALIDITY_DAYS), "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{fqdn}",
            "-addext", "keyUsage=critical,digitalSignature", "-addext", "extendedKeyUsage=serverAuth",
            "-keyout", f"{self._key}.new", "-out", f"{self._cert}.new",
        ])  # fmt: skip
        os.umask(previous)

    def finish(self) -> list[Problem]:
        """Wait for openssl and install what it made; the key first, so that no certificate stands without one."""
        outcome = self._job.wait()
        if outcome.code:
            remedy = "set SSL_TYPE=manual with files of your own, or report this"
            return [Problem("SSL_TYPE", f"cannot make a certificate: {outcome.complaint}", remedy)]
        try:
            correct(f"{self._cert}.new", -1, -1, 0o644)
            rename(f"{self._key}.new", self._key)
            rename(f"{self._cert}.new", self._cert)
        except OSError as error:
            return [Problem(self._cert, f"cannot be written: {error.strerror}", "make its directory writable")]
        return []


class Expiries:
    """The expiry dates that openssl reads from certificates; a file that cannot be read (yet) has none."""

    def __init__(self, files: Iterable[str], root: Root) -> None:
        self._jobs = {file: Job(["openssl", "x509", "-noout", "-enddate", "-in", root(file)]) for file in files}

    def read(self) -> tuple[Certificate, ...]:
        """Wait for openssl and return what it found."""
        ends = {file: _date(job.wait().stdout.strip().removeprefix("notAfter=")) for file, job in self._jobs.items()}
        return tuple(Certificate(file=file, expires=end.timestamp()) for file, end in ends.items() if end)


def check(pairs: list[Pair], root: Root) -> tuple[list[Problem], list[Problem]]:
    """Return problems and warnings about certificates: unreadable, not belonging to their key, out of date."""
    commands: list[list[str]] = []
    for pair in pairs:
        commands.append(["openssl", "x509", "-noout", "-pubkey", "-dates", "-in", root(pair.cert)])
        commands.append(["openssl", "pkey", "-pubout", "-passin", "pass:", "-in", root(pair.key)])
    outcomes = run_all(commands)
    problems: list[Problem] = []
    warnings: list[Problem] = []
    for index, pair in enumerate(pairs):
        cert, key = outcomes[2 * index], outcomes[2 * index + 1]
        if cert.code:
            problems.append(Problem(pair.cert, "is not a certificate in PEM format", "use the chain file of your CA"))
        if key.code:
            remedy = "use a private key in PEM form without a passphrase"
            problems.append(Problem(pair.key, "is not a readable private key", remedy))
        if cert.code or key.code:
            continue
        if _public_key(cert.stdout) != _public_key(key.stdout):
            remedy = "the server's own certificate must come first in the chain; use the key that it was made with"
            problems.append(Problem(pair.cert, f"does not belong to the key {pair.key}", remedy))
        warnings += _outdated(pair, cert.stdout)
    return problems, warnings


def _public_key(text: str) -> str:
    begin, end = text.find("-----BEGIN PUBLIC KEY"), text.find("-----END PUBLIC KEY")
    return "".join(text[begin:end].split())


def _outdated(pair: Pair, text: str) -> list[Problem]:
    dates = dict(re.findall(r"^(notBefore|notAfter)=(.*)$", text, re.MULTILINE))
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    if (end := _date(dates.get("notAfter", ""))) and end < now:
        return [Problem(pair.cert, f"expired on {end:%Y-%m-%d}, so clients refuse it", "renew it")]
    if (begin := _date(dates.get("notBefore", ""))) and begin > now:
        return [Problem(pair.cert, f"is valid only from {begin:%Y-%m-%d} on", "check the clock, or wait")]
    return []


def _date(text: str) -> "datetime | None":
    """Return the time that openssl prints as `Jun  1 12:00:00 2030 GMT`."""
    from datetime import UTC, datetime

    try:
        return datetime.strptime(text, "%b %d %H:%M:%S %Y %Z").replace(tzinfo=UTC)
    except ValueError:
        return None
