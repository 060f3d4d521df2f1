"""`setup`: edit the config volume from the command line, with or without a running server.

Every verb edits files, and returns when that is in force in the server that runs here; without one only the files are
edited. Exit codes: 0 done, 1 not done, 2 no such command, 130 interrupted.
The executables of older images (`addmailuser`, …) are the same program under another name.
"""

import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import PurePath
from typing import Final

from dmsinit.cli.setup.session import Refused, Session, checked_text
from dmsinit.cli.setup.verb import Verb
from dmsinit.volume.errors import EditError

NO_WAIT: Final = "--no-wait"
EXIT_REFUSED: Final = 1
EXIT_INVALID: Final = 2
EXIT_INTERRUPTED: Final = 130

ROOMS: Final[dict[str, tuple[str, ...]]] = {
    "email": ("email",),
    "alias": ("alias",),
    "quota": ("quota",),
    "dovecot-master": ("master",),
    "config": ("dkim",),
    "relay": ("relay",),
    "fail2ban": ("fail2ban",),
    "debug": ("fail2ban", "debug"),
}
"""Where the verbs are that begin with a word: only these modules are imported for one of them."""

LEGACY_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "addmailuser": ("email", "add"),
    "updatemailuser": ("email", "update"),
    "delmailuser": ("email", "del"),
    "listmailuser": ("email", "list"),
    "restrict-access": ("email", "restrict"),
    "addalias": ("alias", "add"),
    "delalias": ("alias", "del"),
    "listalias": ("alias", "list"),
    "setquota": ("quota", "set"),
    "delquota": ("quota", "del"),
    "adddovecotmasteruser": ("dovecot-master", "add"),
    "updatedovecotmasteruser": ("dovecot-master", "update"),
    "deldovecotmasteruser": ("dovecot-master", "del"),
    "listdovecotmasteruser": ("dovecot-master", "list"),
    "open-dkim": ("config", "dkim"),
    "rspamd-dkim": ("config", "dkim"),
    "addsaslpassword": ("relay", "add-auth"),
    "addrelayhost": ("relay", "add-domain"),
    "excluderelaydomain": ("relay", "exclude-domain"),
    "fail2ban": ("fail2ban",),
}
"""Names in /usr/local/bin that call a verb, as `docker exec` recipes out there do."""


def verbs(*firsts: str) -> dict[tuple[str, ...], Verb]:
    """Return the verbs that begin with one of these words, all without any."""
    rooms = [import_module(f"dmsinit.cli.setup.{name}") for first in firsts or ROOMS for name in ROOMS.get(first, ())]
    found = {verb.words: verb for room in rooms for verb in room.VERBS}
    return {words: verb for words, verb in found.items() if not firsts or words[0] in firsts}


def main() -> int:
    """Run as the command that argv[0] names; returns the exit code."""
    # A pipe that is closed early (`setup email list | head`) ends this program as it ends any other.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    words = LEGACY_NAMES.get(PurePath(sys.argv[0]).name, ())
    return run([*words, *sys.argv[1:]], Session())


def run(arguments: Sequence[str], session: Session) -> int:
    """Carry out one command and return its exit code; whatever goes wrong has been told by then."""
    if not arguments or arguments[0] in ("help", "-h", "--help"):
        print(general_usage(), end="")
        return 0
    verb, rest = _find(arguments)
    if verb is None:
        if len(arguments) == 2 and arguments[1] == "help" and (usage := group_usage(arguments[0])):
            print(usage, end="")
            return 0
        session.log.error(f"the command 'setup {' '.join(arguments)}' is invalid\nsee 'setup help' for what there is")
        return EXIT_INVALID
    flags = {flag for names, _ in verb.options for flag in names.split(", ")}
    if verb.has_help and next((word for word in rest if word not in flags), "") in ("help", "-h", "--help"):
        print(verb.manual(), end="")
        return 0
    return _carry_out(verb, rest, session)


def _find(arguments: Sequence[str]) -> tuple[Verb | None, list[str]]:
    known = verbs(arguments[0])
    for count in (2, 1):
        verb = known.get(tuple(arguments[:count]))
        if verb is not None:
            return verb, list(arguments[count:])
    return None, []


def _carry_out(verb: Verb, arguments: list[str], session: Session) -> int:
    if verb.edits and NO_WAIT in arguments:
        session.wait = False
        arguments = [argument for argument in arguments if argument != NO_WAIT]
    if len(arguments) < verb.minimum:
        print(verb.manual(), end="")
        session.log.error(f"`setup {verb.name}` needs {verb.arguments}")
        return EXIT_REFUSED
    if verb.maximum is not None and len(arguments) > verb.maximum:
        session.log.error(f"`setup {verb.name}` takes {verb.arguments}; put what holds blanks in quotes")
        return EXIT_REFUSED
    try:
        for number, argument in enumerate(arguments, 1):
            checked_text(argument, f"argument {number} of `setup {verb.name}`")
        return verb.run(session, arguments)
    except (Refused, EditError) as error:
        session.log.error(str(error))
        return EXIT_REFUSED
    except OSError as error:
        session.log.error(f"cannot carry out `setup {verb.name}`: {error}")
        return EXIT_REFUSED
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        return EXIT_INTERRUPTED


def general_usage() -> str:
    """Return the list of all verbs."""
    lines = [_usage_line(verb) for verb in verbs().values()]
    return (
        "setup - edit accounts, aliases and more of this mail server\n\n"
        "Usage: setup VERB ARGUMENTS...\n       setup VERB help\n\n" + "".join(lines) + "\n"
        "In a running server, a change is in force when the command returns; --no-wait returns at once.\n"
        "Exit codes: 0 done, 1 not done, 2 no such command.\n"
    )


def group_usage(group: str) -> str:
    """Return the list of the verbs that begin with a word; "" when there is none."""
    return "".join(_usage_line(verb) for verb in verbs(group).values())


def _usage_line(verb: Verb) -> str:
    return f"  {f'setup {verb.name} {verb.arguments}'.rstrip():64} {verb.summary}\n"


if __name__ == "__main__":
    sys.exit(main())
