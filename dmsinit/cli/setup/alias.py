"""`setup alias …`: virtual aliases in the config volume."""

from dmsinit.cli.setup.session import Refused, Session
from dmsinit.cli.setup.verb import Verb
from dmsinit.volume import edit_accounts, edit_aliases, files
from dmsinit.volume.parse import split_key, split_targets


def add(session: Session, arguments: list[str]) -> int:
    alias = arguments[0]
    if edit_accounts.has_account(session.config, alias):
        raise Refused(f"cannot add the alias {alias}: it is an account; delete that by `setup email del` first")
    edit_aliases.add_alias(session.config, alias, split_targets(arguments[1]), session.log.info)
    session.take_effect()
    return 0


def delete(session: Session, arguments: list[str]) -> int:
    alias, recipients = arguments[0], split_targets(arguments[1])
    if not recipients:
        raise Refused(f"cannot delete a recipient of the alias {alias}: none was given; see `setup alias del help`")
    unknown = edit_aliases.remove_alias(session.config, alias, recipients, session.log.info)
    if unknown is None:
        session.log.warn(f"nothing was deleted: no alias {alias} exists; `setup alias list` shows those that do")
    elif unknown:
        named = ", ".join(unknown)
        session.log.warn(f"not a recipient of the alias {alias}: {named}; `setup alias list` shows those that are")
    session.take_effect()
    return 0


def show(session: Session, _: list[str]) -> int:
    path = session.config / files.ALIASES
    if not path.exists():
        raise Refused(f"{path} does not exist; add an alias by `setup alias add`")
    entries = edit_aliases.alias_document(session.config).entries()
    if not entries:
        raise Refused(f"{path} holds no alias; add one by `setup alias add`")
    for entry in entries:
        key, value = split_key(entry.text)
        print(f"* {key} {value}\n")
    return 0


VERBS = (
    Verb(
        ("alias", "add"),
        "ALIAS RECIPIENT",
        "add an alias, or recipients to it",
        add,
        2,
        2,
        description="ALIAS is user@domain, @domain (everything that has no alias line of its own) or user.\n"
        "RECIPIENT is an address, or several with commas between them.",
        examples=(
            "setup alias add sales@hill.test anna@hill.test",
            "setup alias add all@hill.test a@hill.test,b@x.test",
        ),
        edits=True,
    ),
    Verb(
        ("alias", "del"),
        "ALIAS RECIPIENT",
        "delete a recipient of an alias",
        delete,
        2,
        2,
        description="The alias goes with its last recipient.",
        examples=("setup alias del sales@hill.test anna@hill.test",),
        edits=True,
    ),
    Verb(("alias", "list"), "", "list aliases", show, maximum=None, has_help=False),
)
