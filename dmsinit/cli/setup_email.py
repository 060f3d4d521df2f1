"""`setup email …`: accounts in the config volume."""

from dmsinit.cli.setup_restrict import RESTRICT
from dmsinit.cli.setup_session import Refused, Session
from dmsinit.cli.setup_usage import account_lines
from dmsinit.cli.setup_verb import Verb
from dmsinit.volume import edit_accounts, mailbox
from dmsinit.volume.errors import EditError
from dmsinit.volume.lock import lock_file
from dmsinit.volume.passwords import hash_password

LOCK_NAME = "delmailuser.lock"
"""The lock that other containers on the same volume know."""


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
    return 0


def update(session: Session, arguments: list[str]) -> int:
    address = _address(session, arguments[0])
    edit_accounts.check_account(session.config, address)
    password = arguments[1] if len(arguments) > 1 else session.ask_password("password")
    edit_accounts.update_account(session.config, address, hash_password(password), session.log.info)
    return 0


def delete(session: Session, arguments: list[str]) -> int:
    delete_mail, addresses = _deletion(arguments)
    if not edit_accounts.has_accounts(session.config):
        return 0
    # All questions come first: while a person thinks, nobody else is kept waiting.
    mail_too = [_wants_deletion(session, address) if delete_mail is None else delete_mail for address in addresses]
    with lock_file(session.config, LOCK_NAME, session.log.warn):
        results = [_delete_one(session, *one) for one in zip(addresses, mail_too, strict=True)]
    return 0 if all(results) else 1


def _deletion(arguments: list[str]) -> tuple[bool | None, list[str]]:
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


def _delete_one(session: Session, given: str, delete_mail: bool) -> bool:
    """Delete mailbox and account; a mailbox that cannot be deleted keeps its account, one that is missing does not."""
    done = True
    try:
        # Also what could not be added: a line that is skipped, and its mailbox from before, have to be got rid of.
        address = given.lower()
        edit_accounts.check_account(session.config, address)
        if delete_mail:
            try:
                mailbox.remove_mailbox(session.mail, address)
                session.log.info(f"the mailbox of {address} is deleted")
            except mailbox.MailboxMissing as missing:
                session.log.error(str(missing))
                done = False
        edit_accounts.remove_account(session.config, address, session.log.info)
        session.log.info(f"the account {address} is deleted")
    except EditError as error:
        session.log.error(str(error))
        return False
    return done


def _wants_deletion(session: Session, given: str) -> bool:
    address = given.lower()
    if not edit_accounts.has_account(session.config, address):
        return False  # which is reported when it is its turn
    answer = session.ask(f"Delete the mailbox of {address} with all its mail too? [y/N] ")
    return answer.strip().lower() in ("y", "yes")


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
        description=f"Stores a SHA512-CRYPT hash. {_PROMPT_NOTE}\nA running server takes the account within a second.",
        examples=("setup email add anna@hill.test", "setup email add anna@hill.test 'a long pass phrase'"),
    ),
    Verb(
        ("email", "update"),
        "ADDRESS [PASSWORD]",
        "change the password of an account",
        update,
        1,
        2,
        description=_PROMPT_NOTE,
        examples=("setup email update anna@hill.test",),
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
        "Whether the mailbox goes too is asked; Enter keeps it.",
        examples=("setup email del anna@hill.test", "setup email del -y anna@hill.test bob@hill.test"),
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
