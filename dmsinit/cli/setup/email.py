"""`setup email …`: accounts in the config volume."""

from dmsinit.cli.setup.delete import delete
from dmsinit.cli.setup.open_sessions import end_sessions
from dmsinit.cli.setup.restrict import RESTRICT
from dmsinit.cli.setup.session import Refused, Session
from dmsinit.cli.setup.usage import account_lines
from dmsinit.cli.setup.verb import Verb
from dmsinit.volume import edit_accounts
from dmsinit.volume.passwords import hash_password


def _address(session: Session, given: str) -> str:
    address = edit_accounts.check_address(given)
    if address != given:
        session.log.warn(f"{given} has capitals; it is stored as {address}")
    return address


def add(session: Session, arguments: list[str]) -> int:
    address = _address(session, arguments[0])
    edit_accounts.check_new_account(session.config, address)
    password = arguments[1] if len(arguments) > 1 else session.ask_password("password")
    edit_accounts.add_account(session.config, address, hash_password(password), session.log.info)
    session.take_effect()
    return 0


def update(session: Session, arguments: list[str]) -> int:
    address = _address(session, arguments[0])
    edit_accounts.check_account(session.config, address)
    if further := edit_accounts.further_fields(session.config, address):
        session.log.warn(f"the third column of {address} is dropped; add it again by hand if it is needed: {further}")
    password = arguments[1] if len(arguments) > 1 else session.ask_password("password")
    edit_accounts.update_account(session.config, address, hash_password(password), session.log.info)
    if session.take_effect():
        end_sessions([address])  # whoever has the old password is out, too
    return 0


def show(session: Session, _: list[str]) -> int:
    if session.setting("ACCOUNT_PROVISIONER", "FILE") != "FILE":
        raise Refused("accounts come from ACCOUNT_PROVISIONER, not from files, so they cannot be listed here")
    for line in account_lines(session):
        print(line)
    return 0


_PROMPT_NOTE = "Without PASSWORD you are asked for it twice, and it is not shown."

VERBS = (
    Verb(
        ("email", "add"),
        "ADDRESS [PASSWORD]",
        "add an account",
        add,
        1,
        2,
        description=f"Stores a SHA512-CRYPT hash. {_PROMPT_NOTE}",
        examples=("setup email add anna@hill.test", "setup email add anna@hill.test 'a long pass phrase'"),
        edits=True,
    ),
    Verb(
        ("email", "update"),
        "ADDRESS [PASSWORD]",
        "change the password of an account",
        update,
        1,
        2,
        description=f"Sessions of IMAP, POP3 and ManageSieve that are open end. {_PROMPT_NOTE}",
        examples=("setup email update anna@hill.test",),
        edits=True,
    ),
    Verb(
        ("email", "del"),
        "[-y | -n] ADDRESS...",
        "delete accounts",
        delete,
        1,
        None,
        options=(("-y", "delete the mailbox too, without asking"), ("-n", "keep the mailbox, without asking")),
        description="Deletes the account, its quota and the address among the recipients of all aliases.\n"
        "You are asked whether to delete the mailbox, too; Enter keeps it.",
        examples=("setup email del anna@hill.test", "setup email del -y anna@hill.test bob@hill.test"),
        edits=True,
    ),
    Verb(
        ("email", "list"),
        "",
        "list accounts",
        show,
        maximum=None,
        has_help=False,
        description="Shows each account with used and allowed storage (~: no limit) and its aliases.",
    ),
    *RESTRICT,
)
