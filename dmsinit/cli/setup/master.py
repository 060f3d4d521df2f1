"""`setup dovecot-master …`: users who may log in to every mailbox as USER*NAME."""

from dmsinit.cli.setup.session import Refused, Session
from dmsinit.cli.setup.verb import Verb
from dmsinit.volume import edit_accounts
from dmsinit.volume.passwords import hash_password


def add(session: Session, arguments: list[str]) -> int:
    return _set(session, arguments, new=True)


def update(session: Session, arguments: list[str]) -> int:
    return _set(session, arguments, new=False)


def _set(session: Session, arguments: list[str], *, new: bool) -> int:
    name = arguments[0]
    edit_accounts.check_master(session.config, name, new=new)
    password = arguments[1] if len(arguments) > 1 else session.ask_password("password")
    edit_accounts.set_master(session.config, name, hash_password(password), session.log.info, new=new)
    session.take_effect()
    return 0


def delete(session: Session, arguments: list[str]) -> int:
    for name in arguments:
        if not edit_accounts.remove_master(session.config, name, session.log.info):
            session.log.warn(f"no master user {name} exists; `setup dovecot-master list` shows those that do")
    session.take_effect()
    return 0


def show(session: Session, _: list[str]) -> int:
    document = edit_accounts.master_document(session.config)
    if not document.path.exists():
        raise Refused(f"{document.path} does not exist; add a master user by `setup dovecot-master add`")
    entries = document.entries()
    if not entries:
        raise Refused(f"{document.path} holds no master user; add one by `setup dovecot-master add`")
    for entry in entries:
        print(f"* {entry.text.partition('|')[0].strip()}\n")
    return 0


VERBS = (
    Verb(
        ("dovecot-master", "add"),
        "NAME [PASSWORD]",
        "add a master user",
        add,
        1,
        2,
        description="A master user logs in to any mailbox as ADDRESS*NAME.",
        examples=("setup dovecot-master add admin",),
        edits=True,
    ),
    Verb(
        ("dovecot-master", "update"),
        "NAME [PASSWORD]",
        "change the password of a master user",
        update,
        1,
        2,
        examples=("setup dovecot-master update admin",),
        edits=True,
    ),
    Verb(
        ("dovecot-master", "del"),
        "NAME...",
        "delete master users",
        delete,
        1,
        None,
        examples=("setup dovecot-master del admin",),
        edits=True,
    ),
    Verb(("dovecot-master", "list"), "", "list master users", show, maximum=None, has_help=False),
)
