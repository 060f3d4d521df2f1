"""The mail name of the server and its domain."""

import re
from typing import Final

from dmsinit.problem import Problem
from dmsinit.settings.field import quoted

_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE | re.ASCII)
"""RFC 1123 section 2.1, and the underscore, which container names often have and Postfix accepts."""

_LONGEST_NAME: Final = 253
"""Characters, RFC 1035 section 2.3.4 without the root label."""


class FqdnMissing(Problem):
    """The server has no fully qualified name: the container ends with status 0, unlike for every other problem."""


def domain_of(fqdn: str) -> str:
    """Return what follows the first dot of a name with more than two labels, else the name itself."""
    return fqdn.partition(".")[2] if fqdn.count(".") > 1 else fqdn


def check_fqdn(fqdn: str, where: str) -> Problem | None:
    """Return what is wrong with a mail name; `where` is the variable it came from, or `hostname`."""
    remedy = "start the container with `--hostname mail.example.com` or set OVERRIDE_HOSTNAME=mail.example.com"
    if "." not in fqdn:
        cause = f"a hostname with a domainname is required, {quoted(fqdn)} has no dot"
        return FqdnMissing(where, cause, remedy)
    labels = fqdn.split(".")
    if len(fqdn) > _LONGEST_NAME or not all(map(_LABEL.fullmatch, labels)) or labels[-1].isdigit():
        return Problem(where, f"{quoted(fqdn)} is not a host name", remedy)
    return None
