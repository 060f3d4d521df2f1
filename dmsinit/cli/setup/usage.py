"""The lines of `setup email list`: accounts, their aliases, and how much storage they use if Dovecot can tell."""

import os
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from typing import Final, NamedTuple

from dmsinit.cli.setup.mailbox_marks import mailbox_mark, remember, remembered
from dmsinit.cli.setup.session import Refused, Session
from dmsinit.volume import files, parse
from dmsinit.volume.files import Findings
from dmsinit.volume.model import Account, Alias

NO_LIMIT: Final = "~"
_QUOTA_GET: Final = ("doveadm", "-f", "tab", "quota", "get", "-F", "/dev/stdin")
_FEW: Final = 50
"""For so few accounts one process is fast enough."""
_KIB: Final = 1024
_UNITS: Final = ("", "K", "M", "G", "T", "P")


class Usage(NamedTuple):
    """Storage in KiB; `limit` is None when there is none."""

    used: int
    limit: int | None
    percent: str


def account_lines(session: Session) -> Iterator[str]:
    """Yield the text for each account, in the order of the file, each followed by an empty line."""
    accounts, aliases = _accounts_and_aliases(session)
    usage = _usage(session, accounts)
    of_account: defaultdict[str, list[str]] = defaultdict(list)
    for alias in aliases:
        for target in dict.fromkeys(target.lower() for target in alias.targets):
            of_account[target].append(alias.address)
    for account in accounts:
        yield f"* {account.address}{_usage_text(usage.get(account.address))}"
        if names := of_account.get(account.address):
            yield f"    [ aliases -> {', '.join(names)} ]"
        yield ""


def _accounts_and_aliases(session: Session) -> tuple[tuple[Account, ...], tuple[Alias, ...]]:
    findings = Findings()
    lines = files.load(session.config, files.ACCOUNTS, findings)
    if lines is None and not findings.errors:
        raise Refused(f"{session.config / files.ACCOUNTS} does not exist; add an account by `setup email add`")
    accounts = parse.accounts(lines or [], findings)
    alias_lines = files.load(session.config, files.ALIASES, findings) or []
    aliases = parse.aliases(files.join_continued(alias_lines), findings)
    for problem in findings.errors:
        session.log.error(str(problem))
    if not accounts and not findings.errors:
        raise Refused(f"{session.config / files.ACCOUNTS} holds no account; add one by `setup email add`")
    return accounts, aliases


def _usage(session: Session, accounts: tuple[Account, ...]) -> dict[str, Usage]:
    """Return what each account uses; nothing is known when Dovecot does not run here or quotas are off.

    Dovecot opens each mailbox that it is asked about, so it is asked about those only that have changed since the last
    listing, and about one of all mailboxes of a kind: it knows the limit of that kind, and the others may be empty.
    """
    if session.setting("ENABLE_QUOTAS", "1") != "1" or session.setting("SMTP_ONLY", "0") == "1":
        return {}
    elsewhere = _mailboxes_elsewhere(session)
    quotas = parse.quotas(files.load(session.config, files.QUOTAS, Findings()) or [], Findings())
    marks = {
        account.address: None if account.extra or elsewhere else mailbox_mark(session.mail, account.address)
        for account in accounts
    }
    kinds = {account.address: f"{quotas.get(account.address)} {account.extra}" for account in accounts}
    first = {kind: address for address, kind in reversed(kinds.items())}
    known = remembered()
    asked = [
        address for address, mark in marks.items()
        if first[kinds[address]] == address or mark is None or (mark and known.get(address, ("", 0))[0] != mark)
    ]  # fmt: skip
    found = _ask(asked)
    if not found:
        return {}
    for address in marks.keys() - set(asked):
        used = known[address][1] if marks[address] else 0
        limit = found[first[kinds[address]]].limit if first[kinds[address]] in found else None
        found[address] = Usage(used, limit, str(used * 100 // limit) if limit else "0")
    remember({address: (mark, found[address].used) for address, mark in marks.items() if mark and address in found})
    return found


def _mailboxes_elsewhere(session: Session) -> bool:
    """Return whether a user's dovecot.cf may put mailboxes elsewhere, or count otherwise: then Dovecot alone knows."""
    try:
        text = (session.config / "dovecot.cf").read_text(errors="replace")
    except OSError:
        return False
    return re.search(r"^\s*(?:mail_|namespace\b|userdb\b|quota)", text, re.MULTILINE) is not None


def _ask(addresses: list[str]) -> dict[str, Usage]:
    """Ask Dovecot, as many processes at a time as there are processors."""
    count = min(os.cpu_count() or 1, -(-len(addresses) // _FEW))
    running = []
    try:
        for number in range(count):
            # doveadm reads the list of users with pread(2), so it must be a file; this one needs no disk.
            with os.fdopen(os.memfd_create("accounts"), "w+") as users:
                users.write("".join(f"{address}\n" for address in addresses[number::count]))
                users.flush()
                running.append(
                    subprocess.Popen(
                        _QUOTA_GET, stdin=users, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
                    )
                )
    except OSError:
        return {}
    # One user's error leaves the rows of the others useful, so the exit code says nothing.
    found: dict[str, Usage] = {}
    for process in running:
        found |= parse_usage(process.communicate()[0])
    return found


def parse_usage(text: str) -> dict[str, Usage]:
    """Return the usage of each user from the table of `doveadm -f tab quota get`."""
    rows = [line.split("\t") for line in text.splitlines()]
    if not rows or not {"Username", "Type", "Value", "Limit", "%"} <= set(rows[0]):
        return {}
    found: dict[str, Usage] = {}
    for fields in rows[1:]:
        row = dict(zip(rows[0], fields, strict=False))
        if row.get("Type") == "STORAGE" and row.get("Value", "").isdigit():
            limit = row.get("Limit", "")
            found[row["Username"].lower()] = Usage(
                int(row["Value"]), int(limit) if limit.isdigit() and limit != "0" else None, row.get("%", "0")
            )
    return found


def _usage_text(usage: Usage | None) -> str:
    if usage is None:
        return ""
    limit = NO_LIMIT if usage.limit is None else iec(usage.limit * _KIB)
    return f" ( {iec(usage.used * _KIB)} / {limit} ) [{usage.percent}%]"


def iec(size: int) -> str:
    """Return bytes in IEC units as numfmt(1) writes them: rounded up, one decimal below ten (`4.0M`, `12K`, `3`)."""
    unit, divisor = 0, 1
    while size >= divisor * _KIB and unit < len(_UNITS) - 1:
        unit, divisor = unit + 1, divisor * _KIB
    if not unit:
        return str(size)
    tenths = -(-size * 10 // divisor)
    if tenths < 100:
        return f"{tenths // 10}.{tenths % 10}{_UNITS[unit]}"
    whole = -(-size // divisor)
    return f"{whole}{_UNITS[unit]}" if whole < _KIB else f"1.0{_UNITS[unit + 1]}"
