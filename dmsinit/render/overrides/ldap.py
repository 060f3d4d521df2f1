"""Postfix's LDAP tables: the shipped files, or a user's in their place, with the LDAP_* variables written in.

A variable replaces a line `key = …` that is there already (contract: LDAP_* in environment.tsv); keys that a file does
not have are not added. A variable that is not set leaves the file's own value.
"""

import re
from collections.abc import Mapping
from typing import Final

from dmsinit.render.stage import Stage
from dmsinit.settings import Settings

DIRECTORY: Final = "/etc/postfix"
TABLES: Final = ("users", "groups", "aliases", "domains", "senders")

_KEY: Final = re.compile(r"([a-z_]+)\s*=")


def apply(stage: Stage, settings: Settings) -> None:
    """Write the settings into the staged tables."""
    for table in TABLES:
        file = stage.files.get(f"{DIRECTORY}/ldap-{table}.cf")
        if file is not None:
            text = file.content.decode("utf-8", "surrogateescape")
            file.content = rewrite(text, values(settings, table)).encode("utf-8", "surrogateescape")


def values(settings: Settings, table: str) -> dict[str, str]:
    """Return the keys that the variables set in one table."""
    filters = {
        "users": settings.ldap_query_filter_user,
        "groups": settings.ldap_query_filter_group,
        "aliases": settings.ldap_query_filter_alias,
        "domains": settings.ldap_query_filter_domain,
        "senders": settings.ldap_query_filter_senders,
    }
    given = {
        "server_host": settings.ldap_server_host,
        "search_base": settings.ldap_search_base,
        "bind_dn": settings.ldap_bind_dn,
        "bind_pw": settings.ldap_bind_pw,
        "start_tls": "yes" if settings.ldap_start_tls == "yes" else "",
        "query_filter": filters[table],
    }
    return {**settings.ldap_passthrough, **{key: value for key, value in given.items() if value}}


def rewrite(text: str, new: Mapping[str, str]) -> str:
    """Return `text` with these keys replaced, one space on each side of the equals sign of every line.

    A line that begins with a blank continues the one before it, and goes with it (ldap_table(5), as in main.cf).
    """
    lines: list[str] = []
    dropping = False
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            lines.append(line)
            continue
        if line[0] in " \t":
            if not dropping:
                lines.append(line)
            continue
        match = _KEY.match(line)
        dropping = bool(match and match.group(1) in new)
        if match:
            value = new[match.group(1)] if dropping else line[match.end() :].strip()
            line = f"{match.group(1)} = {value}".rstrip()
        lines.append(line)
    return "".join(f"{line}\n" for line in lines)
