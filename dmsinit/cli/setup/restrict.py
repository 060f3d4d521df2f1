"""`setup email restrict …`: who may not send or receive."""

from dmsinit.cli.setup.session import Session
from dmsinit.cli.setup.verb import Verb
from dmsinit.volume import edit_tables

ACTIONS = ("add", "del", "list")


def restrict(session: Session, arguments: list[str]) -> int:
    action, direction = arguments[0], arguments[1] if len(arguments) > 1 else ""
    if arguments == ["list"]:
        return max(_show(session, direction) for direction in edit_tables.ACCESS_FILES)
    if action not in ACTIONS or direction not in edit_tables.ACCESS_FILES or len(arguments) > 3:
        session.log.info(f"usage: setup email restrict {RESTRICT[0].arguments}")
        return 1
    if action == "list":
        return _show(session, direction)
    address = arguments[2] if len(arguments) > 2 else session.ask("Enter address: ")
    change = edit_tables.deny if action == "add" else edit_tables.allow
    change(session.config, direction, address.strip(), session.log.info)
    session.take_effect()
    return 0


def _show(session: Session, direction: str) -> int:
    lines = edit_tables.denials(session.config, direction)
    for line in lines:
        print(line)
    if not lines:
        print(f"Everyone is allowed to {direction}")
    return 0


RESTRICT = (
    Verb(
        ("email", "restrict"),
        "add|del|list send|receive [ADDRESS]",
        "forbid an address to send or to receive",
        restrict,
        1,
        None,
        description="Without ADDRESS you are asked for it. `list` shows who is forbidden to send or to receive.",
        examples=("setup email restrict add send spam@hill.test", "setup email restrict list receive"),
        edits=True,
    ),
)
