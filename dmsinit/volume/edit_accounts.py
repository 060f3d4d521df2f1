"""Edit logins: mailboxes in postfix-accounts.cf and master users in dovecot-masters.cf.

Every function locks the volume, checks, and replaces the file at once; refusals are EditErrors. Other lines of the
file may be wrong: an edit does not need a valid volume.
"""

from pathlib import Path

from dmsinit.base.dovecot_fields import translate
from dmsinit.volume import files
from dmsinit.volume.document import Document
from dmsinit.volume.edit_aliases import alias_document, remove_recipient
from dmsinit.volume.edit_quotas import quota_document
from dmsinit.volume.errors import EditError
from dmsinit.volume.lock import Tell, exclusive, unheard
from dmsinit.volume.names import LONGEST_LOCAL_PART, why_no_login, why_no_master

_SECRET_MODE = 0o600


def account_document(directory: Path) -> Document:
    """Return postfix-accounts.cf for editing; the caller holds the lock."""
    return Document(directory, files.ACCOUNTS, _login_of, new_mode=_SECRET_MODE)


def check_address(address: str) -> str:
    """Return an address as a login is stored (lower-case); raises EditError when it cannot be one."""
    if address.find("@") < 1 or address.endswith("@"):
        raise EditError(f"cannot use {address!r} as an account: it has no local part or domain; write user@domain")
    if reason := why_no_login(address.lower()):
        raise EditError(f"cannot use {address!r} as an account: {reason}; choose another name")
    return address.lower()


def has_account(directory: Path, address: str) -> bool:
    """Tell whether an address has an account."""
    return bool(account_document(directory).find(address))


def check_new_account(directory: Path, address: str) -> None:
    """Raise EditError when an address is an account or an alias already, or longer than other servers send to."""
    length = len(address.rpartition("@")[0])
    if length > LONGEST_LOCAL_PART:
        cause = f"its local part has {length} characters, and other servers send to {LONGEST_LOCAL_PART} at most"
        raise EditError(f"cannot add {address}: {cause}; choose a shorter name")
    if has_account(directory, address):
        raise EditError(f"cannot add {address}: the account exists; use `setup email update` to change its password")
    if alias_document(directory).find(address):
        raise EditError(
            f"cannot add {address}: it is an alias; delete it by `setup alias del` or choose another address"
        )


def check_account(directory: Path, address: str) -> None:
    """Raise EditError when an address has no account."""
    if not has_account(directory, address):
        raise EditError(f"no account {address} exists; `setup email list` shows those that do")


def add_account(directory: Path, address: str, password_hash: str, tell: Tell = unheard) -> None:
    """Add an account, which must be new and no alias."""
    address = check_address(address)
    with exclusive(directory, tell):
        check_new_account(directory, address)
        document = account_document(directory)
        document.append(f"{address}|{password_hash}")
        document.save()


def update_account(directory: Path, address: str, password_hash: str, tell: Tell = unheard) -> None:
    """Give an account a new password; further fields of its line are dropped."""
    address = check_address(address)
    with exclusive(directory, tell):
        check_account(directory, address)
        document = account_document(directory)
        document.set(address, f"{address}|{password_hash}")
        document.save()


def further_fields(directory: Path, address: str) -> str:
    """Return the third column of an account, in the words of Dovecot 2.4; an empty string when there is none."""
    found = account_document(directory).find(address)
    extra = found[0].text.split("|", 2)[2:] if found else []
    return translate(extra[0], address).text if extra else ""


def remove_account(directory: Path, address: str, tell: Tell = unheard) -> None:
    """Delete an account, its quota, and the address from the recipients of all aliases."""
    with exclusive(directory, tell):
        check_account(directory, address)
        aliases = alias_document(directory)
        for entry in aliases.entries():
            remove_recipient(aliases, entry, address)
        quotas = quota_document(directory)
        quotas.discard(address)
        accounts = account_document(directory)
        accounts.discard(address)
        # The account goes last, so that after a failure in between the command can simply be run again.
        for document in (aliases, quotas, accounts):
            document.save()


def has_accounts(directory: Path) -> bool:
    """Tell whether postfix-accounts.cf exists and holds an entry."""
    return bool(account_document(directory).entries())


def master_document(directory: Path) -> Document:
    """Return dovecot-masters.cf for editing; the caller holds the lock."""
    return Document(directory, files.MASTERS, _login_of, new_mode=_SECRET_MODE)


def check_master(directory: Path, name: str, *, new: bool) -> None:
    """Raise EditError when a name cannot be a master user, or exists though it should be `new`, or the other way."""
    if reason := why_no_master(name):
        raise EditError(f"cannot use {name!r} as a master user: {reason}; choose another name")
    if bool(master_document(directory).find(name)) == new:
        hint = "use `setup dovecot-master update`" if new else "use `setup dovecot-master add`"
        raise EditError(f"the master user {name} {'exists' if new else 'does not exist'}; {hint}")


def set_master(directory: Path, name: str, password_hash: str, tell: Tell = unheard, *, new: bool) -> None:
    """Add a master user, or give an existing one another password."""
    with exclusive(directory, tell):
        check_master(directory, name, new=new)
        document = master_document(directory)
        document.set(name, f"{name}|{password_hash}")
        document.save()


def remove_master(directory: Path, name: str, tell: Tell = unheard) -> bool:
    """Delete a master user; tell whether there was one."""
    with exclusive(directory, tell):
        document = master_document(directory)
        found = document.discard(name)
        document.save()
    return found


def _login_of(text: str) -> str:
    return text.partition("|")[0].strip()
