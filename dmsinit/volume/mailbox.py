"""The mail storage of an account: /var/mail/DOMAIN/USER. Whoever owns mail can write there, so no link is followed."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from dmsinit.base import trees
from dmsinit.base.beneath import Directory, opened
from dmsinit.volume.errors import EditError
from dmsinit.volume.names import is_mailbox

_OF_THE_HOME: Final = (".dovecot.sieve", ".dovecot.svbin", "sieve", ".dovecot.lda-dupes")
"""What Dovecot keeps in a home, which was the mailbox itself until docker-mailserver v13."""
_LONGEST_PART: Final = 200
"""Characters of a name that fit into another one (NAME_MAX is 255 bytes)."""

_SCRIPTS: Final = (".dovecot.sieve", "sieve")


class MailboxMissing(EditError):
    """There is no mailbox directory to delete."""


class Removal:
    """A mailbox that is deleted together with its account, so that nobody who is still connected keeps it.

    `begin` moves it aside before the account goes: what is impossible fails then, and the account is kept. `finish`,
    when nobody can log in or deliver any more, deletes it, and what was made in its place meanwhile.
    """

    def __init__(self, root: Path, address: str) -> None:
        self._address = address
        self._root = root
        self._path = mailbox_path(root, address)
        # It stays on its file system; no login holds a blank.
        self._aside = f". deleted {self._path.name[:_LONGEST_PART]} {secrets.token_hex(4)}"
        self._moved = False

    def begin(self) -> None:
        """Move the mailbox aside. Raises MailboxMissing when there is none, EditError when it cannot be moved."""
        try:
            with self._domain() as domain:
                with domain.enter(self._path.name):
                    pass  # a link in its place is an error
                domain.rename(self._path.name, self._aside)
        except FileNotFoundError:
            cause = f"cannot delete the mailbox of {self._address}: {self._path} does not exist"
            raise MailboxMissing(cause) from None
        except OSError as error:
            raise EditError(
                f"cannot delete the mailbox of {self._address}: {error.filename}: {error.strerror}; "
                "the account is kept, run the command again when that is solved"
            ) from error
        self._moved = True

    def undo(self) -> None:
        """Put the mailbox back, because its account stays."""
        if self._moved:
            with suppress(OSError), self._domain() as domain:
                domain.rename(self._aside, self._path.name)

    def finish(self) -> bool:
        """Delete what was moved aside and what was made since, and the directory of the domain when that is empty.

        Return whether there was something to delete. Raises EditError, which names what is left, when something cannot
        be deleted.
        """
        if not self._moved:
            return False
        for name in (self._aside, self._path.name):
            try:
                with self._domain() as domain:
                    trees.remove(domain, name)
            except OSError as error:
                raise EditError(
                    f"cannot delete all mail of {self._address}: {error.filename}: {error.strerror}; "
                    f"the account is deleted, delete {str(self._path.with_name(name))!r} by hand"
                ) from error
        with suppress(OSError), opened(str(self._root)) as mail:  # others may still have mail there
            os.rmdir(self._path.parent.name, dir_fd=mail.fd)
        return True

    @contextmanager
    def _domain(self) -> Iterator[Directory]:
        with opened(str(self._root)) as mail, mail.enter(self._path.parent.name) as domain:
            yield domain


def mailbox_path(root: Path, address: str) -> Path:
    """Return the directory of an account's mailbox; raises EditError for what is no login (it could leave `root`)."""
    if not is_mailbox(address):
        raise EditError(f"{address!r} is not the address of an account")
    local_part, _, domain = address.rpartition("@")
    return root / domain / local_part


Moved = Callable[[str, str], None]
"""Hears from where to where a user's script was moved."""


def unheard(_: str, __: str) -> None:
    """Tell nobody."""


def make_mailbox(domain: str, local_part: str, below: str = "/home", moved: Moved = unheard) -> bool:
    """Make a mailbox in a domain's directory, with the home `below` it, where it is missing; return whether it was.

    To be called with the rights of the vmail user: links are followed. Others may be at it as well. Raises OSError.
    """
    mailbox = f"{domain}/{local_part}"
    if os.path.isdir(mailbox + below):
        if not below and os.path.isdir(f"{mailbox}/home"):
            _bring(f"{mailbox}/home", mailbox, moved)
        return False
    for directory in dict.fromkeys((domain, mailbox, mailbox + below)):
        with suppress(FileExistsError):
            os.mkdir(directory, 0o700)
    if below:
        _bring(mailbox, mailbox + below, moved)
    return True


def _bring(former: str, home: str, moved: Moved) -> None:
    """Move a user's own scripts from a former home into the one of today: else they would rest unseen."""
    for name in _OF_THE_HOME:
        if os.path.lexists(f"{former}/{name}") and not os.path.lexists(f"{home}/{name}"):
            os.rename(f"{former}/{name}", f"{home}/{name}")
            if name in _SCRIPTS:
                moved(f"{former}/{name}", f"{home}/{name}")
