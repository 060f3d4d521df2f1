"""A mounted /etc/dovecot/dovecot-ldap.conf.ext, in the syntax of Dovecot 2.3: each line as the variable of its name.

docker-mailserver wrote DOVECOT_<KEY> into the line `key = …` of that file, so that a line and a variable mean the same,
and a variable wins. Dovecot 2.4 does not know the file any more.
"""

import re
from collections.abc import Mapping
from typing import Final

from dmsinit.problem import Problem
from dmsinit.render.paths import Root

PATH: Final = "/etc/dovecot/dovecot-ldap.conf.ext"
_LINE: Final = re.compile(r"\s*([a-z_]+)\s*=\s*(.*?)\s*")


def with_file(environ: Mapping[str, str], root: Root) -> tuple[Mapping[str, str], list[Problem]]:
    """Return the environment with what the file says besides, and a warning that names the file, if it is there."""
    try:
        data = root.read(PATH)
    except OSError as error:
        return environ, [Problem(PATH, f"cannot be read: {error.strerror}", "make it a file that root can read")]
    if data is None:
        return environ, []
    if environ.get("ACCOUNT_PROVISIONER", "FILE") != "LDAP":
        return environ, [Problem(PATH, "is not read", "set ACCOUNT_PROVISIONER=LDAP, or do not mount it")]
    given = variables(data.decode("utf-8", "replace"))
    cause = f"is in the syntax of Dovecot 2.3; read as {', '.join(given)}" if given else "has no line `key = value`"
    remedy = "set these variables instead; one that is set wins over the file"
    return {**given, **environ}, [Problem(PATH, cause, remedy)]


def variables(text: str) -> dict[str, str]:
    """Return the variables that the lines of the file mean."""
    found = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line)
        if match and (key := match.group(1)) == "hosts":
            found["DOVECOT_URIS"] = " ".join(f"ldap://{host}" for host in match.group(2).split())
        elif match:
            found[f"DOVECOT_{key.upper()}"] = match.group(2)
    return found
