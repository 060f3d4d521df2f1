"""Names that nobody knows: which of them are slips of the pen, and which belong to others."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from dmsinit.problem import Problem
from dmsinit.settings.files import SUFFIX
from dmsinit.settings.former import FORMER
from dmsinit.settings.model import FIELDS

LEAST_RATIO: Final = 0.85
"""difflib's similarity from which an unknown name counts as a slip: one or two letters in a name of ten."""

LDAP_KEYS: Final = frozenset({
    "server_host", "server_port", "timeout", "search_base", "domain", "query_filter", "result_format",
    "result_filter", "result_attribute", "special_result_attribute", "leaf_result_attribute",
    "terminal_result_attribute", "scope", "bind", "bind_dn", "bind_pw", "cache", "recursion_limit",
    "expansion_limit", "size_limit", "dereference", "chase_referrals", "version", "debuglevel", "sasl_mechs",
    "sasl_realm", "sasl_authz_id", "sasl_minssf", "start_tls", "tls_ca_cert_dir", "tls_ca_cert_file", "tls_cert",
    "tls_key", "tls_require_cert", "tls_random_file", "tls_cipher_suite",
})  # fmt: skip
"""Parameters of ldap_table(5) of Postfix: any may be passed as LDAP_<KEY>."""

_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]*", re.ASCII)

_KEYWORDS: Final = ("export", "set", "declare", "typeset", "readonly", "local", "setenv", "env", "ENV", "SET")
"""Words with which shells and other programs begin such a line."""

_CLUSTER_SUFFIXES: Final = ("_SERVICE_HOST", "_SERVICE_PORT", "_PORT", "_TCP", "_UDP", "_PROTO", "_ADDR")
"""Kubernetes and container links name variables after services, which may be called like ours."""


def known(name: str) -> bool:
    """Return whether a name is in the table, now or formerly."""
    return name in FIELDS or name in FORMER


def is_ours(name: str) -> bool:
    """Return whether a name is in the table, or is a parameter that is passed through to Postfix' LDAP tables."""
    return known(name) or (name.startswith("LDAP_") and name.removeprefix("LDAP_").lower() in LDAP_KEYS)


def bare_name(variable: str) -> str:
    """Return a name without what an env file for a shell, or of another system, has around it.

    An env file given to `docker run` knows no `export`, no blanks around the equals sign and no byte order mark.
    """
    words = variable.removeprefix("\ufeff").replace(",", " ").split()
    while len(words) > 1 and (words[0] in _KEYWORDS or words[0].startswith("-")):
        del words[0]
    return " ".join(words).strip("'\"$:")


def passthrough(environ: Mapping[str, str], prefix: str) -> dict[str, str]:
    """Return the variables beginning with a prefix that are not in the table, by key in lower case."""
    return {
        name.removeprefix(prefix).lower(): text
        for name, text in environ.items()
        if name.startswith(prefix)
        and name != prefix
        and _NAME.fullmatch(name)
        and not known(name)
        and not name.endswith(SUFFIX)
    }


def unknown_names(environ: Iterable[str]) -> list[Problem]:
    """Return a warning for each name that looks like a misspelt one of ours, and for unknown POSTFIX_ names."""
    warnings = []
    for variable in sorted(environ):
        name = variable.removesuffix(SUFFIX)
        meant = bare_name(variable)
        if meant != variable and is_ours(meant.upper().removesuffix(SUFFIX)):
            cause = f"{variable!r} is not a valid name of a variable, so it has no effect"
            warnings.append(Problem("environment", cause, f"write {meant.upper()}=… at the beginning of the line"))
            continue
        if known(name) or name.removeprefix("LDAP_").lower() in LDAP_KEYS or name.endswith(_CLUSTER_SUFFIXES):
            continue
        guess = nearest(name)
        if guess:
            suffix = variable.removeprefix(name)
            warnings.append(Problem(variable, "is not known and has no effect", f"did you mean {guess}{suffix}?"))
        elif name.startswith("POSTFIX_"):
            remedy = "set parameters of Postfix in postfix-main.cf"
            warnings.append(Problem(variable, "is not known and has no effect", remedy))
    return warnings


def nearest(name: str) -> str:
    """Return the variable that a name was probably meant to be, or an empty string."""
    if name.upper() in FIELDS:
        return name.upper()
    candidates = [other for other in FIELDS if _alike(name, other)]
    if not candidates:
        return ""
    # Misspelt names are rare; without them no start pays for the import.
    from difflib import get_close_matches

    return next(iter(get_close_matches(name.upper(), candidates, n=1, cutoff=LEAST_RATIO)), "")


def _alike(name: str, other: str) -> bool:
    """Return quickly whether a comparison is worthwhile: a foreign environment may hold hundreds of names."""
    if abs(len(name) - len(other)) > 2 or "_" not in other:
        return False
    shout = name.upper()
    return shout[:3] == other[:3] or shout[-4:] == other[-4:]
