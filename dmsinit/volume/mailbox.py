"""The mail storage of an account: /var/mail/DOMAIN/USER."""

import os
from contextlib import suppress
from pathlib import Path

from dmsinit.base import trees
from dmsinit.base.beneath import opened
from dmsinit.volume.errors import EditError
from dmsinit.volume.names import is_mailbox


class MailboxMissing(EditError):
    """There is no mailbox directory to delete."""


def mailbox_path(root: Path, address: str) -> Path:
    """Return the directory of an account's mailbox; raises EditError for what is no login (it could leave `root`)."""
    if not is_mailbox(address):
        raise EditError(f"{address!r} is no address of an account")
    local_part, _, domain = address.rpartition("@")
    return root / domain / local_part


def remove_mailbox(root: Path, address: str) -> None:
    """Delete a mailbox with all mail in it, and the directory of its domain when that is empty then.

    No symbolic link is followed: whoever owns mail could have it lead anywhere. Raises MailboxMissing when there is
    none, EditError when it cannot be deleted.
    """
    path = mailbox_path(root, address)
    try:
        with opened(str(root)) as mail, mail.enter(path.parent.name) as domain:
            if domain.status(path.name) is None:
                raise MailboxMissing(f"cannot delete the mailbox of {address}: {path} does not exist")
            with domain.enter(path.name):
                pass  # a link in its place is an error
            trees.remove(domain, path.name)
        with suppress(OSError), opened(str(root)) as mail:  # others may still have mail there
            os.rmdir(path.parent.name, dir_fd=mail.fd)
    except FileNotFoundError:
        raise MailboxMissing(f"cannot delete the mailbox of {address}: {path} does not exist") from None
    except OSError as error:
        raise EditError(
            f"cannot delete the mailbox of {address}: {error.filename}: {error.strerror}; "
            "the account is kept, run the command again when that is solved"
        ) from error
