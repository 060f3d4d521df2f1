"""Lines of the files that are Postfix tables of their own: regular expressions, local aliases, relays, access."""

import re
from typing import Final

from dmsinit.base.next_hop import next_hop
from dmsinit.volume.files import LOCAL_ALIASES, REGEXP, RELAY_MAP, SASL_PASSWORDS, Findings, Line
from dmsinit.volume.model import AccessRule, RelayRoute, SaslPassword
from dmsinit.volume.parse import split_key

_LOCAL_ALIAS: Final = re.compile(r'(?:"[^"]+"|[^\s:"]+)\s*:\s*\S')
_CONDITION: Final = re.compile(r"(?:if\s|endif\b)")


def regexp_lines(lines: list[Line], findings: Findings) -> tuple[str, ...]:
    """Check postfix-regexp.cf (pcre_table(5)) for its form; whether an expression compiles only Postfix can tell.

    A line that is no expression with a target stays, because Postfix skips it by itself.
    """
    for number, text in lines:
        pattern = text.lstrip(" \t!")
        if _CONDITION.match(pattern):
            continue
        delimiter = pattern[:1]
        end = pattern.rfind(delimiter) if delimiter else 0
        if delimiter.isalnum() or end < 1 or len(pattern[end:].split(None, 1)) < 2:
            findings.warn(
                REGEXP, number, "is not /expression/ target, so Postfix ignores it", "write /expression/ target"
            )
    return tuple(text for _, text in lines)


def local_aliases(lines: list[Line], findings: Findings) -> tuple[str, ...]:
    """Check postfix-aliases.cf (aliases(5), logical lines): name: target."""
    kept: list[str] = []
    for number, text in lines:
        if not _LOCAL_ALIAS.match(text):
            findings.warn(
                LOCAL_ALIASES, number, "is not name: target and is skipped", "write for example devnull: /dev/null"
            )
        elif text.partition(":")[0].strip().lower() == "root":
            findings.warn(
                LOCAL_ALIASES,
                number,
                "root goes to POSTMASTER_ADDRESS, so this line is skipped",
                "set POSTMASTER_ADDRESS",
            )
        else:
            kept.append(text)
    return tuple(kept)


def relay_map(lines: list[Line], findings: Findings) -> tuple[RelayRoute, ...]:
    """Parse postfix-relaymap.cf: sender relay, or @domain alone, which opts out of RELAY_HOST."""
    found: dict[str, RelayRoute] = {}
    for number, text in lines:
        fields = text.split()
        if len(fields) > 2 or (len(fields) == 1 and not fields[0].startswith("@")):
            findings.warn(RELAY_MAP, number, "is not sender [host]:port and is skipped", "write @domain [host]:port")
            continue
        if len(fields) == 2 and (cause := next_hop(fields[1])):
            findings.error(RELAY_MAP, number, f"{cause}; mail would be deferred", "write @domain [host]:port")
            continue
        if "@" not in fields[0]:
            cause = f"{fields[0]} is not a sender, so the line is never used"
            findings.warn(RELAY_MAP, number, cause, f"write @{fields[0]} for a domain, user@domain for a sender")
        route = RelayRoute(fields[0].lower(), fields[1] if len(fields) == 2 else "")
        if found.setdefault(route.sender, route) is not route:
            findings.warn(
                RELAY_MAP, number, f"{route.sender} is a duplicate entry; only the first is used", "delete one"
            )
    return tuple(found.values())


def sasl_passwords(lines: list[Line], findings: Findings) -> tuple[SaslPassword, ...]:
    """Parse postfix-sasl-password.cf: key user:password; the password is the rest of the line."""
    found: dict[str, SaslPassword] = {}
    for number, text in lines:
        key, value = split_key(text)
        user, colon, password = value.partition(":")
        if not user or not colon or not password:
            findings.warn(
                SASL_PASSWORDS, number, "is not key user:password and is skipped", "write @domain user:password"
            )
            continue
        entry = SaslPassword(key.lower(), user, password)
        if found.setdefault(entry.key, entry) is not entry:
            findings.warn(
                SASL_PASSWORDS, number, f"{entry.key} is a duplicate entry; only the first is used", "delete one"
            )
    return tuple(found.values())


def access_rules(name: str, lines: list[Line], findings: Findings) -> tuple[AccessRule, ...]:
    """Parse an access(5) table: pattern action."""
    found: dict[str, AccessRule] = {}
    for number, text in lines:
        pattern, action = split_key(text)
        if not action:
            findings.warn(name, number, f"{pattern} has no action and is skipped", f"write: {pattern} REJECT")
            continue
        rule = AccessRule(pattern.lower(), action)
        if found.setdefault(rule.pattern, rule) is not rule:
            findings.warn(name, number, f"{rule.pattern} is a duplicate entry; only the first is used", "delete one")
    return tuple(found.values())
