"""Edit quotas in dovecot-quotas.cf."""

from pathlib import Path

from dmsinit.volume import files
from dmsinit.volume.document import Document
from dmsinit.volume.errors import EditError
from dmsinit.volume.lock import Tell, exclusive, unheard
from dmsinit.volume.parse import QUOTA_SIZE


def quota_document(directory: Path) -> Document:
    """Return dovecot-quotas.cf for editing; the caller holds the lock."""
    return Document(directory, files.QUOTAS, lambda text: text.partition(":")[0].strip())


def check_size(size: str) -> None:
    """Raise EditError when a size is none."""
    if not QUOTA_SIZE.fullmatch(size):
        raise EditError(
            f"{size!r} is not a size; write digits and one of B, k, M, G, T (such as 5G), or 0 for no limit"
        )


def set_quota(directory: Path, address: str, size: str, tell: Tell = unheard) -> None:
    """Set the quota of an address; that it has an account is for the caller to check."""
    check_size(size)
    with exclusive(directory, tell):
        document = quota_document(directory)
        document.set(address, f"{address}:{size}")
        document.save()


def remove_quota(directory: Path, address: str, tell: Tell = unheard) -> bool:
    """Delete the quota of an address, so that the general one holds; tell whether there was one."""
    with exclusive(directory, tell):
        document = quota_document(directory)
        found = document.discard(address)
        document.save()
    return found
