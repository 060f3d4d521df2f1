"""Lines of the config volume's files → values, with everything that is wrong as a finding.

Line by line as a mail administrator would decide: an *error* where using the line would break a daemon, hand mail
to the wrong place or leave someone without the mailbox that stands there; a *warning* where leaving the line out is
what the daemon would do anyway. A message never quotes anything behind a `|` or a password's key.
"""

import re
from typing import Final

from dmsinit.base import dovecot_fields
from dmsinit.volume.files import ACCOUNTS, ALIASES, MASTERS, QUOTAS, Findings, Line
from dmsinit.volume.model import Account, Alias, Master
from dmsinit.volume.names import why_no_alias, why_no_login, why_no_master, why_no_recipient

_QUOTED_KEY: Final = re.compile(r'"[^"]*"\S*')

_LIKE_A_LOGIN: Final = re.compile(r"(?:[^\s|{$][^\s|]*|[^|{$][^|{$]*)@[^\s|{$:]+")
"""A name in front of the bar, and not a password hash without its name."""

_LIKE_A_MASTER: Final = re.compile(r"[^\s|{$:][^\s|:]*")

QUOTA_SIZE: Final = re.compile(r"[0-9]+[BkMGT]|0")


def accounts(lines: list[Line], findings: Findings) -> tuple[Account, ...]:
    """Parse postfix-accounts.cf: login|hash[|extra]."""
    found: dict[str, Account] = {}
    for number, text in lines:
        account = _account(number, text, findings)
        if account is None:
            continue
        first = found.setdefault(account.address, account)
        if first is not account:
            _warn_of_repetition(ACCOUNTS, number, account.address, first == account, findings)
    return tuple(found.values())


def _account(number: int, text: str, findings: Findings) -> Account | None:
    login, bar, rest = text.partition("|")
    address = login.strip()
    if not _LIKE_A_LOGIN.fullmatch(address):
        # The text may be a hash without its login, so it is not quoted.
        findings.error(ACCOUNTS, number, "does not begin with a login", "write user@domain|{SHA512-CRYPT}hash")
        return None
    if reason := why_no_login(address):
        # It never worked: no daemon finds such an account. The others do.
        cause = f"{address} cannot be the name of an account, so the line is skipped: {reason}"
        findings.warn(ACCOUNTS, number, cause, "choose another name")
        return None
    if address != address.lower():
        address = address.lower()
        findings.warn(ACCOUNTS, number, f"the login has capitals and is read as {address}", "write it in lower case")
    secret, _, extra = rest.partition("|")
    if not _check_hash(ACCOUNTS, number, address, bar, secret.strip(), findings):
        return None
    return Account(address, secret.strip(), _extra(number, address, extra.strip(), findings))


def _extra(number: int, address: str, text: str, findings: Findings) -> str:
    """Return the third column for Dovecot 2.4: what it does not know, it would ignore."""
    if "userdb_" not in text:
        return text
    translation = dovecot_fields.translate(text, address)
    for old, new in translation.changed.items():
        findings.warn(ACCOUNTS, number, f"{old} is Dovecot 2.3 syntax and is read as {new}", "write that instead")
    for old, new in translation.refused.items():
        findings.error(ACCOUNTS, number, f"{old} is Dovecot 2.3 syntax, which Dovecot 2.4 ignores", new)
    return translation.text


def _check_hash(name: str, number: int, login: str, bar: str, secret: str, findings: Findings) -> bool:
    if not bar or not secret:
        remedy = f"set one: setup {'email' if name == ACCOUNTS else 'dovecot-master'} update {login}"
        findings.error(name, number, f"{login} has no password hash", remedy)
        return False
    if ":" in secret or " " in secret or "\t" in secret:
        cause = f"the password hash of {login} holds a colon or a blank, which Dovecot's passwd-file cannot hold"
        findings.error(name, number, cause, "set a password by setup, which stores a SHA512-CRYPT hash")
        return False
    if secret[0] not in "{$":
        cause = f"the password hash of {login} does not name its scheme, so Dovecot takes it as CRYPT"
        findings.warn(name, number, cause, "put {SCHEME} in front of it")
    return True


def _warn_of_repetition(name: str, number: int, key: str, same: bool, findings: Findings) -> None:
    if same:
        findings.warn(name, number, f"repeats the line of {key} and is skipped", "delete it")
    else:
        findings.warn(name, number, f"{key} is a duplicate entry; only the first is used", "delete one of the two")


def masters(lines: list[Line], findings: Findings) -> tuple[Master, ...]:
    """Parse dovecot-masters.cf: name|hash."""
    found: dict[str, Master] = {}
    for number, text in lines:
        name, bar, secret = (part.strip() for part in text.partition("|"))
        if not _LIKE_A_MASTER.fullmatch(name):
            findings.error(
                MASTERS, number, "does not begin with the name of a master user", "write name|{SHA512-CRYPT}hash"
            )
            continue
        if reason := why_no_master(name):
            cause = f"{name} cannot be the name of a master user, so the line is skipped: {reason}"
            findings.warn(MASTERS, number, cause, "choose another name")
            continue
        name = name.lower()  # as Dovecot compares it
        secret, bar_again, more = secret.partition("|")
        secret = secret.strip()
        if bar_again and more.strip():
            findings.warn(MASTERS, number, f"the fields behind the hash of {name} have no effect", "delete them")
        if not _check_hash(MASTERS, number, name, bar, secret, findings):
            continue
        master = Master(name, secret)
        first = found.setdefault(name, master)
        if first is not master:
            _warn_of_repetition(MASTERS, number, name, first == master, findings)
    return tuple(found.values())


_OTHER_NAME: Final = "choose another name"


def aliases(lines: list[Line], findings: Findings) -> tuple[Alias, ...]:
    """Parse postfix-virtual.cf (virtual(5), logical lines): alias target[,target …]."""
    found: dict[str, Alias] = {}
    for number, text in lines:
        key, value = split_key(text)
        alias = Alias(key.lower(), split_targets(value))
        if not alias.targets:
            findings.warn(ALIASES, number, f"the alias {key} has no recipient and is skipped", "write: alias recipient")
        elif key.endswith("@"):
            findings.warn(ALIASES, number, f"the alias {key} has no domain and is skipped", "write: user@domain target")
        elif (first := found.setdefault(alias.address, alias)) is not alias:
            _warn_of_repetition(ALIASES, number, alias.address, first == alias, findings)
        elif not key.isascii() and (reason := why_no_alias(key)):
            findings.warn(ALIASES, number, f"the alias {key} cannot be reached by other servers: {reason}", _OTHER_NAME)
        elif reason := next(filter(None, map(why_no_recipient, alias.targets)), ""):
            findings.warn(ALIASES, number, f"the alias {key}: {reason}", _OTHER_NAME)
    return tuple(found.values())


def split_key(text: str) -> tuple[str, str]:
    """Split a logical line of a postmap(1) table into key and value; blanks inside double quotes belong to the key."""
    if text.startswith('"') and (quoted := _QUOTED_KEY.match(text)):
        return quoted.group(), text[quoted.end() :].strip()
    parts = text.split(None, 1)
    return parts[0], parts[1] if len(parts) > 1 else ""


def split_targets(value: str) -> tuple[str, ...]:
    """Split a list of recipients at commas and blanks outside of double quotes."""
    if '"' not in value:
        return tuple(value.replace(",", " ").split())
    return tuple(re.findall(r'(?:"(?:[^"\\]|\\.)*"?|[^\s,"])+', value))


def quotas(lines: list[Line], findings: Findings) -> dict[str, str]:
    """Parse dovecot-quotas.cf: address:size."""
    found: dict[str, str] = {}
    for number, text in lines:
        key, _, value = text.partition(":")
        address, size = key.strip().lower(), value.strip()
        if not address or ":" in size:
            findings.warn(QUOTAS, number, "is not address:size and is skipped", "write for example anna@hill.test:5G")
        elif not QUOTA_SIZE.fullmatch(size):
            cause = f"{size or 'nothing'} is not a size, so the quota of {address} is skipped"
            findings.warn(QUOTAS, number, cause, "write digits and one of B, k, M, G, T, or 0 for no limit")
        elif found.setdefault(address, size) != size:
            _warn_of_repetition(QUOTAS, number, address, False, findings)
    return found
