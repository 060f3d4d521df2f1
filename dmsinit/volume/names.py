"""Which names an account, or a master user, can have: those with which login, delivery and doveadm all work.

Each limit was tried on the daemons. Dovecot is told to take every character of `ALLOWED` (10-auth.conf), and to look
names up without escaping them (auth-passwdfile.conf.ext). What is not in it fails somewhere: Postfix refuses it from
outside, or Dovecot does not find it after Postfix has accepted the mail, so that it bounces.
"""

import re
import string
from typing import Final

ALLOWED: Final = frozenset(string.ascii_letters + string.digits + ".-_" + "#$&'=^`{}~")
"""Characters of a local part: RFC 5322's atext without those below."""

LONGEST_LOCAL_PART: Final = 64
"""Octets (RFC 5321, section 4.5.3.1.1): other servers may refuse to send to longer ones, though all works here."""

_LONGEST_FILE_NAME: Final = 255
"""Bytes (NAME_MAX): the local part is a directory."""
_LONGEST_DOMAIN: Final = 253
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE | re.ASCII)

_QUOTED: Final = re.compile(r'"(?:[ !#-\[\]-~]|\\[ -~])*"')
"""RFC 5321's quoted string."""

_USUAL: Final = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}@(?:[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?\.){1,5}[a-z]{2,20}"
)
"""What nearly all addresses look like; a hundred thousand are usual, and none of the limits concerns them."""

_REASONS: Final = {
    "+": "'+' separates a tag from a name: mail to it is delivered to the name in front (recipient_delimiter)",
    "%": "'%' routes mail to another server, which Postfix refuses (allow_untrusted_routing)",
    "!": "'!' routes mail to another server, which Postfix refuses (allow_untrusted_routing)",
    "*": "'*' separates the name of a master user in a login",
    "?": "'?' matches any character in the commands of doveadm",
    "/": "'/' separates directories",
    "|": "'|' separates the fields of this file",
    ":": "':' separates the fields of Dovecot's file of users",
}


def why_no_login(address: str) -> str:
    """Return why an address cannot be the login of a mailbox, as a clause; an empty string if it can."""
    if _USUAL.fullmatch(address):
        return ""
    local_part, at, domain = address.rpartition("@")
    if not (local_part and at and domain):
        return "it is not user@domain"
    return _why_no_local_part(local_part) or _why_no_domain(domain)


def is_login(address: str) -> bool:
    """Return whether an address can be the login of a mailbox."""
    return not why_no_login(address)


def why_no_master(name: str) -> str:
    """Return why a name cannot be that of a master user, whose login is USER*NAME; an empty string if it can."""
    if not name:
        return "it is empty"
    wrong = next((char for char in name if char not in ALLOWED | {"@", "+"}), "")
    if wrong:
        return f"Dovecot takes no {wrong!r} in it"
    return f"it begins with {name[0]!r}" if name[0] in "#{$" else ""


def why_no_alias(alias: str) -> str:
    """Return why no mail reaches an alias (`user@domain`, `@domain`, `user`), as a clause; an empty string if it does.

    Postfix resolves aliases before Dovecot is asked, so that more names are possible than for accounts.
    """
    local_part, at, domain = alias.rpartition("@") if "@" in alias else (alias, "", "")
    if at and (reason := _why_no_domain(domain)) and domain.lower() != "localhost":
        return reason
    if not local_part or _QUOTED.fullmatch(local_part):
        return "" if at or local_part else "it is empty"
    if not local_part.isascii():
        return _why_no_local_part(local_part)
    wrong = next((char for char in local_part if char not in ALLOWED | set("+?*/|")), "")
    if wrong:
        return _REASONS.get(wrong, f"it holds {wrong!r}, which needs quotation marks in an address")
    return _begins_badly(local_part)


def why_no_recipient(recipient: str) -> str:
    """Return why Postfix cannot send to the recipient of an alias, as a clause; an empty string if it can."""
    if recipient.lstrip('"')[:1] in ("|", "/", ":"):
        return "only an alias of postfix-aliases.cf leads to a command, a file or a list; name that alias"
    if recipient.isascii():
        return ""
    local_part, _, domain = recipient.rpartition("@")
    return _why_no_local_part(local_part) if not local_part.isascii() else _why_no_domain(domain)


def is_mailbox(address: str) -> bool:
    """Return whether the mailbox of an address is below the directory of its domain, whatever else is in the name."""
    local_part, at, domain = address.rpartition("@")
    parts = (local_part, domain)
    return bool(at) and all(part not in ("", ".", "..") and "/" not in part and part.isprintable() for part in parts)


def ascii_domain(domain: str) -> str:
    """Return a domain as DNS has it (RFC 5890, A-label); an empty string when there is no such form."""
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return ""


def _why_no_local_part(name: str) -> str:
    if name in (".", ".."):
        return f"{name!r} is a directory"
    if not name.isascii():
        letter = next(char for char in name if not char.isascii())
        return f"it holds {letter!r}, and mail is delivered to names of ASCII letters only (SMTPUTF8 is off)"
    for char in name:
        if char not in ALLOWED:
            return _REASONS.get(char, f"it holds {char!r}, which would need quotation marks in an address")
    if name[0] in "{$":
        return f"it begins with {name[0]!r}, as a password hash does"
    if reason := _begins_badly(name):
        return reason
    if len(name) > _LONGEST_FILE_NAME:
        return f"its local part has {len(name)} characters, and a directory's name at most {_LONGEST_FILE_NAME}"
    return ""


def _begins_badly(name: str) -> str:
    if name[0] == "-":
        return "it begins with '-', which Postfix refuses (allow_min_user)"
    return "it begins with '#', which makes the line a comment" if name[0] == "#" else ""


def _why_no_domain(domain: str) -> str:
    if domain.lower() == "localhost":
        return "localhost is this container, whose mail goes to aliases and not to mailboxes"
    if not domain.isascii():
        other = ascii_domain(domain)
        return f"its domain has to be written as in DNS{': ' + other if other else ''}"
    labels = domain.split(".")
    if len(domain) > _LONGEST_DOMAIN or not all(map(_LABEL.fullmatch, labels)) or labels[-1].isdigit():
        return f"{domain!r} is not the name of a domain"
    return ""
