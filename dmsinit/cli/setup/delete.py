"""`setup email del`: first the accounts, then the sessions of their users, then their mail: nothing comes back."""

import re
from dataclasses import dataclass
from typing import Final

from dmsinit.cli.setup.open_sessions import end_sessions
from dmsinit.cli.setup.session import Refused, Session
from dmsinit.volume import edit_accounts, read, reliance
from dmsinit.volume.errors import EditError
from dmsinit.volume.lock import lock_file
from dmsinit.volume.mailbox import MailboxMissing, Removal

LOCK_NAME: Final = "delmailuser.lock"
"""The lock that other containers on the same volume know."""
_MAIL_PATH: Final = re.compile(r"(?:^| )userdb_mail_path=(\S+)")


@dataclass
class _Deletion:
    """One account to be deleted, with its mail if `mailbox` is given; `gone`: it is in no file any more."""

    address: str
    mailbox: Removal | None
    gone: bool = False
    complete: bool = True
    elsewhere: str = ""
    """Where its mail is, if the third column says so; that is for the administrator to delete."""


def delete(session: Session, arguments: list[str]) -> int:
    """Carry out `setup email del`."""
    delete_mail, addresses = _options(arguments)
    if not edit_accounts.has_accounts(session.config):
        return 0
    # People are asked before anything is locked: they may take their time.
    deletions = [one for given in addresses if (one := _chosen(session, given, delete_mail)) is not None]
    with lock_file(session.config, LOCK_NAME, session.log.warn):
        for one in deletions:
            _remove_account(session, one)
    _warn_of_unreachable(session, [one.address for one in deletions if one.gone])
    try:
        if any(one.gone for one in deletions) and session.take_effect():
            end_sessions([one.address for one in deletions if one.gone])
    finally:
        for one in deletions:
            _remove_mail(session, one)
    return 0 if len(deletions) == len(addresses) and all(one.complete for one in deletions) else 1


def _options(arguments: list[str]) -> tuple[bool | None, list[str]]:
    """Return whether mail is deleted (None: ask) and the addresses."""
    delete_mail: bool | None = None
    addresses: list[str] = []
    for argument in arguments:
        if argument in ("-y", "-Y"):
            delete_mail = True
        elif argument in ("-n", "-N"):
            delete_mail = False
        elif argument.startswith("-"):
            raise Refused(f"unknown option {argument}; -y deletes the mailbox, -n keeps it")
        else:
            addresses.append(argument)
    if not addresses:
        raise Refused("no address was given; see `setup email del help`")
    return delete_mail, addresses


def _chosen(session: Session, given: str, delete_mail: bool | None) -> _Deletion | None:
    """Return what to delete of an account, after asking if need be; None, with an error, without that account."""
    try:
        # Also what could not be added: a line that is skipped, and its mailbox from before, have to be got rid of.
        address = given.lower()
        edit_accounts.check_account(session.config, address)
        if delete_mail is None:
            answer = session.ask(f"Delete the mailbox of {address} with all its mail too? [y/N] ")
            delete_mail = answer.strip().lower() in ("y", "yes")
        found = _MAIL_PATH.search(edit_accounts.further_fields(session.config, address)) if delete_mail else None
        removal = Removal(session.mail, address) if delete_mail else None
        return _Deletion(address, removal, elsewhere=found[1] if found else "")
    except EditError as error:
        session.log.error(str(error))
        return None


def _remove_account(session: Session, one: _Deletion) -> None:
    """Delete the account; a mailbox that cannot be deleted keeps its account, one that is missing does not."""
    try:
        if one.mailbox is not None:
            try:
                one.mailbox.begin()
            except MailboxMissing as missing:
                session.log.error(str(missing))
                one.complete = False
        edit_accounts.remove_account(session.config, one.address, session.log.info)
    except EditError as error:
        session.log.error(str(error))
        one.complete = False
        if one.mailbox is not None:
            one.mailbox.undo()
        return
    one.gone = True
    session.log.info(f"the account {one.address} is deleted")


def _warn_of_unreachable(session: Session, deleted: list[str]) -> None:
    """Say so when nobody is left at an address that the server writes to."""
    settings = {name: session.setting(name, "") for name in reliance.VARIABLES}
    relied = {name: address for name, address in reliance.relied_on(settings).items() if address.lower() in deleted}
    if not relied:
        return
    domains = [address.rpartition("@")[2] for address in deleted]
    for name, address in reliance.unreachable(relied, read(session.config), "", ours=domains).items():
        what = f"{name} is {address}, which has no mailbox or alias any more"
        session.log.warn(f"{what}; run: setup alias add {address} ADDRESS")


def _remove_mail(session: Session, one: _Deletion) -> None:
    if one.mailbox is None or not one.gone:
        return
    try:
        if one.mailbox.finish():
            session.log.info(f"the mailbox of {one.address} is deleted")
        if one.elsewhere:
            session.log.warn(
                f"the mail of {one.address} in {one.elsewhere} (userdb_mail_path) is kept; delete it by hand"
            )
    except EditError as error:
        session.log.error(str(error))
        one.complete = False
