"""The mail storage of an account: /var/mail/DOMAIN/USER."""

import shutil
from contextlib import suppress
from pathlib import Path

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

    Raises MailboxMissing when there is none, EditError when it cannot be deleted.
    """
    path = mailbox_path(root, address)
    if not path.is_dir():
        raise MailboxMissing(f"cannot delete the mailbox of {address}: {path} does not exist")
    try:
        shutil.rmtree(path)
    except OSError as error:
        raise EditError(
            f"cannot delete the mailbox of {address}: {error.filename}: {error.strerror}; "
            "the account is kept, run the command again when that is solved"
        ) from error
    with suppress(OSError):
        path.parent.rmdir()
