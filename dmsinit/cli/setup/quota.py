"""`setup quota …`: quotas of accounts."""

from dmsinit.cli.setup.session import Session
from dmsinit.cli.setup.verb import Verb
from dmsinit.volume import edit_accounts, edit_quotas


def set_quota(session: Session, arguments: list[str]) -> int:
    address = edit_accounts.check_address(arguments[0])
    edit_accounts.check_account(session.config, address)
    size = arguments[1] if len(arguments) > 1 else session.ask("Enter quota (such as 5G, 0 for no limit): ")
    edit_quotas.set_quota(session.config, address, size.strip(), session.log.info)
    session.take_effect()
    return 0


def delete(session: Session, arguments: list[str]) -> int:
    address = arguments[0].lower()
    edit_accounts.check_account(session.config, address)
    if not edit_quotas.remove_quota(session.config, address, session.log.info):
        session.log.warn(
            f"nothing was deleted: {address} has no quota of its own; `setup email list` shows which holds"
        )
    session.take_effect()
    return 0


VERBS = (
    Verb(
        ("quota", "set"),
        "ADDRESS [SIZE]",
        "set the quota of an account",
        set_quota,
        1,
        2,
        description="SIZE is digits and one of B, k, M, G, T, or 0 for no limit. Without it you are asked.",
        examples=("setup quota set anna@hill.test 5G",),
        edits=True,
    ),
    Verb(
        ("quota", "del"),
        "ADDRESS",
        "let the general quota hold for an account again",
        delete,
        1,
        1,
        examples=("setup quota del anna@hill.test",),
        edits=True,
    ),
)
