"""Values of main.cf that several daemons share: what a user sets for Postfix holds for the others too."""

from dataclasses import dataclass

from dmsinit.render.inputs import main_cf
from dmsinit.settings import Settings


@dataclass(frozen=True)
class Limits:
    """The largest message and mailbox in bytes (0: no limit), and the characters that may separate an extension.

    `given`: the parameters that postfix-main.cf sets, for what depends on whether it does.
    """

    message: int
    mailbox: int
    delimiter: str
    given: frozenset[str] = frozenset()


def of(settings: Settings, text: str) -> Limits:
    """Return the values in force: those of postfix-main.cf (`text`), else of the environment.

    A value that is no number is Postfix' to complain about; one that names other parameters cannot be known here.
    """
    lines = text.split("\n")
    user = {}
    for parameter in main_cf.parameters(lines):
        whole = " ".join(lines[number].strip() for number in parameter.lines)
        user[parameter.name] = whole.partition("=")[2].strip()
    message = _number(user.get("message_size_limit", ""), settings.postfix_message_size_limit)
    mailbox = _number(user.get("virtual_mailbox_limit", ""), settings.postfix_mailbox_size_limit)
    return Limits(message, mailbox, user.get("recipient_delimiter", "+"), frozenset(user))


def _number(text: str, otherwise: int) -> int:
    return int(text) if text.isascii() and text.isdigit() else otherwise
