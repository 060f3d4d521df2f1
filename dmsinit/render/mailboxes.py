"""Mailbox directories below /var/mail: made when missing, owned by the vmail user, with users' own Sieve scripts."""

import os
from collections.abc import Iterable
from typing import Final

from dmsinit.problem import Problem
from dmsinit.render.atomic import replace_file
from dmsinit.render.paths import MAIL, VOLUME, Root
from dmsinit.render.processes import Job, run
from dmsinit.volume import Account

_SCRIPT_SUFFIX = ".dovecot.sieve"


def home_below(mailbox_format: str) -> str:
    """Return where the home is below a mailbox (paths-and-ports.tsv): only maildirs keep it apart."""
    return "/home" if mailbox_format == "maildir" else ""


def create(accounts: Iterable[Account], uid: int, gid: int, root: Root, below: str = "/home") -> int:
    """Make the home of each account, `below` its mailbox, where it is missing; return how many were made.

    One look for each account is all that it costs when nothing is missing: ten thousand accounts are usual.
    """
    made = 0
    domains: set[str] = set()
    base = root(MAIL)
    ids = (uid, gid) if os.geteuid() == 0 else None
    for account in accounts:
        mailbox = f"{base}/{account.domain}/{account.local_part}"
        if not os.path.isdir(mailbox + below):
            if account.domain not in domains:
                _make(f"{base}/{account.domain}", ids)
                domains.add(account.domain)
            _make(mailbox, ids)
            if below:
                _make(mailbox + below, ids)
                _bring(mailbox, mailbox + below)
            made += 1
        elif not below and os.path.isdir(f"{mailbox}/home"):
            _bring(f"{mailbox}/home", mailbox)
    return made


_OF_THE_HOME: Final = (".dovecot.sieve", ".dovecot.svbin", "sieve", ".dovecot.lda-dupes")
"""What Dovecot keeps in a home, which was the mailbox itself until docker-mailserver v13."""


def _bring(former: str, home: str) -> None:
    """Move a user's own scripts from a former home into the one of today: else they would rest unseen."""
    for name in _OF_THE_HOME:
        if os.path.lexists(f"{former}/{name}") and not os.path.lexists(f"{home}/{name}"):
            os.rename(f"{former}/{name}", f"{home}/{name}")


def _make(directory: str, ids: tuple[int, int] | None) -> None:
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        return
    if ids:
        os.chown(directory, *ids)


def install_scripts(
    accounts: Iterable[Account], names: frozenset[str], uid: int, gid: int, root: Root, below: str = "/home"
) -> list[str]:
    """Copy `<address>.dovecot.sieve` from the config volume to each account's home, where it differs; return paths."""
    if not any(name.endswith(_SCRIPT_SUFFIX) for name in names):
        return []
    changed = []
    for account in accounts:
        name = account.address + _SCRIPT_SUFFIX
        if name not in names:
            continue
        script = f"{MAIL}/{account.domain}/{account.local_part}{below}/.dovecot.sieve"
        content = root.read(f"{VOLUME}/{name}") or b""
        if root.read(script) != content:
            # A script that ManageSieve activated is a link: the active script itself is replaced, as cp(1) would.
            ids = (uid, gid) if os.geteuid() == 0 else (-1, -1)
            replace_file(os.path.realpath(root(script)), content, mode=0o600, uid=ids[0], gid=ids[1])
            changed.append(script)
    return changed


class OwnershipCheck:
    """A search, beside everything else, for something within three levels of /var/mail that is not vmail's."""

    def __init__(self, uid: int, gid: int, root: Root) -> None:
        self._uid, self._gid, self._directory = uid, gid, root(MAIL)
        self._job: Job | None = None
        if os.geteuid() == 0 and os.path.isdir(self._directory):
            self._job = Job([
                "find", self._directory, "-maxdepth", "3", "(", "!", "-uid", str(uid), "-o", "!", "-gid", str(gid), ")",
                "-print", "-quit",
            ])  # fmt: skip

    def repair(self) -> list[Problem]:
        """Wait for the search, and give all of /var/mail to the vmail user if it found something (behaviour 34)."""
        if self._job is None or not self._job.wait().stdout.strip():
            return []
        outcome = run(["chown", "--recursive", "--no-dereference", f"{self._uid}:{self._gid}", self._directory])
        if outcome.code:
            cause = f"cannot be given to {self._uid}:{self._gid}: {outcome.complaint}"
            return [Problem(MAIL, cause, "mount it writable, with a file system that has owners")]
        return []
