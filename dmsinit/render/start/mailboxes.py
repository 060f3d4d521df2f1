"""Mailbox directories below /var/mail: made when missing, owned by the vmail user, with users' own Sieve scripts."""

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Final

from dmsinit.base import trees
from dmsinit.base.acting import acting_as
from dmsinit.base.atomic import replace_in
from dmsinit.base.beneath import Directory, administrators, opened
from dmsinit.problem import Problem
from dmsinit.render.paths import MAIL, VOLUME, Root
from dmsinit.render.programs import Job
from dmsinit.volume import Account
from dmsinit.volume.mailbox import make_mailbox

_SCRIPT: Final = ".dovecot.sieve"
MOST_AT_ONCE: Final = 500
"""Mailboxes that a run makes while others wait for it: a tenth of a second's work."""
_MOST_TOLD: Final = 10
"""Of many files that keep their owner, a few show what it is about."""


def home_below(mailbox_format: str) -> str:
    """Return where the home is below a mailbox (paths-and-ports.tsv): only maildirs keep it apart."""
    return "/home" if mailbox_format == "maildir" else ""


class Report:
    """What is worth telling of single accounts.

    What cannot be done for one keeps nobody else's from being done, and is told once for each domain.
    """

    def __init__(self, root: Root) -> None:
        self._prefix = root.prefix
        self._refused: dict[str, Problem] = {}
        self._moved: list[Problem] = []

    @property
    def warnings(self) -> list[Problem]:
        """What was refused, and where scripts went: of many the first."""
        left = len(self._moved) - _MOST_TOLD
        more = [Problem(MAIL, f"scripts of {left} more mailboxes were moved like these")] if left > 0 else []
        return [*self._refused.values(), *self._moved[:_MOST_TOLD], *more]

    def moved(self, source: str, target: str) -> None:
        """Take note of a user's script that was moved into the home of today."""
        cause = f"was moved to {target.removeprefix(self._prefix)}, where Dovecot looks for it"
        self._moved.append(Problem(source.removeprefix(self._prefix), cause))

    @contextmanager
    def of(self, account: Account) -> Iterator[None]:
        """Take note of an OSError."""
        try:
            yield
        except OSError as error:
            cause = f"a mailbox cannot be made: {error.strerror} ({error.filename})"
            remedy = "make the mail volume writable for the vmail user"
            self._refused.setdefault(account.domain, Problem(f"{MAIL}/{account.domain}", cause, remedy))


def create(
    accounts: Iterable[Account],
    uid: int,
    gid: int,
    root: Root,
    below: str = "/home",
    report: Report | None = None,
    most: int = MOST_AT_ONCE,
) -> int:
    """Make the home of each account, `below` its mailbox, where it is missing; return how many were made.

    One look for each account is all that it costs when nothing is missing: ten thousand accounts are usual. After
    `most` new mailboxes no more are made: Dovecot makes its own when mail comes, and the service `mailboxes` those that
    a start left. All is done with the rights of the vmail user, who can put links anywhere in /var/mail.
    """
    made, base = 0, root(MAIL)
    report = report or Report(root)
    with _as_vmail(uid, gid, root):
        for account in accounts:
            domain = f"{base}/{account.domain}"
            if below and os.path.isdir(f"{domain}/{account.local_part}{below}"):
                continue
            # An older layout has a mailbox and no home: users' scripts move there before mail comes.
            if made < most or os.path.isdir(f"{domain}/{account.local_part}"):
                with report.of(account):
                    made += make_mailbox(domain, account.local_part, below, report.moved)
    return made


def with_scripts(accounts: Iterable[Account], names: frozenset[str]) -> list[Account]:
    """Return the accounts that have an `<address>.dovecot.sieve` among the names of the config volume."""
    if not any(name.endswith(_SCRIPT) for name in names):
        return []
    return [account for account in accounts if account.address + _SCRIPT in names]


def install_scripts(
    accounts: Iterable[Account],
    uid: int,
    gid: int,
    root: Root,
    below: str = "/home",
    report: Report | None = None,
) -> list[str]:
    """Copy `<address>.dovecot.sieve` from the config volume to each account's home, where it differs; return paths."""
    changed = []
    report = report or Report(root)
    for account in accounts:
        content = root.read(f"{VOLUME}/{account.address}{_SCRIPT}") or b""
        home = f"{MAIL}/{account.domain}/{account.local_part}{below}"
        with report.of(account), _as_vmail(uid, gid, root), _opened(root(home)) as directory:
            if _install_script(directory, content):
                changed.append(f"{home}/{_SCRIPT}")
    return changed


def _install_script(home: Directory, content: bytes) -> bool:
    """Replace a user's active script, with that user's rights; return whether it differed."""
    link = home.link(_SCRIPT)
    if link is not None:
        # A script that ManageSieve activated is a link: the active script itself is replaced, as cp(1) would.
        parent, _, name = os.path.join(home.path, link).rpartition("/")
        with suppress(OSError), _opened(parent) as directory:
            return _replace(directory, name, content)
    return _replace(home, _SCRIPT, content)


def _replace(directory: Directory, name: str, content: bytes) -> bool:
    with suppress(OSError):  # something else than a file that can be read is replaced
        if directory.read(name) == content:
            return False
    replace_in(directory, name, content, mode=0o600)
    return True


def _as_vmail(uid: int, gid: int, root: Root) -> AbstractContextManager[None]:
    """Act as the vmail user; below another root, whose users are not those of this system, as before."""
    return nullcontext() if root.prefix else acting_as(uid, gid)


@contextmanager
def _opened(path: str) -> Iterator[Directory]:
    """Open a directory as the vmail user, for whom links are no danger."""
    with Directory(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), path, administrators()) as directory:
        yield directory


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

    def repair(self, *, quiet: bool = False) -> list[Problem]:
        """Wait for the search, and give all of /var/mail to the vmail user if it found something (behaviour 34).

        `quiet`: no daemon runs yet.
        """
        if self._job is None or not self._job.wait().stdout.strip():
            return []
        owning = trees.Owning(self._uid, self._gid, quiet=quiet)
        try:
            with opened(self._directory) as mail:
                mail.own(".", self._uid, self._gid)
                owning.below(mail)
        except OSError as error:
            cause = f"cannot be given to {self._uid}:{self._gid}: {error.strerror} ({error.filename})"
            return [Problem(MAIL, cause, "mount it writable, with a file system that has owners")]
        remedy = "restart the container, which knows whether all of them are mail; else give it away yourself"
        return [Problem(MAIL, f"{text}; it keeps its owner", remedy) for text in owning.refused[:_MOST_TOLD]]
