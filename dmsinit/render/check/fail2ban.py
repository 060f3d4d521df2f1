"""The check of Fail2ban: what its client makes of the jails, and whether filters, expressions and programs are there.

A jail that cannot work keeps nothing else from working: it is an error in the log. What Fail2ban cannot read at all
keeps it from starting, and is a problem, and so is a value that its server cannot take (`maxretry = x`).
"""

import ast
import re
from collections.abc import Iterator
from typing import Any, Final

from dmsinit.problem import Problem
from dmsinit.render.paths import Root
from dmsinit.render.programs import Outcome
from dmsinit.render.stage import Stage, StagedFile
from dmsinit.settings import Severe

DIRECTORY: Final = "/etc/fail2ban"
USERS: Final = (f"{DIRECTORY}/jail.d/user-jail.local", f"{DIRECTORY}/fail2ban.local")
_BAD_TIME: Final = "dmsinit cannot count "
_BAD_EXPRESSION: Final = "dmsinit cannot compile "
_BAD_VALUE: Final = "dmsinit cannot set "
_COMPILE: Final = f"""
import ast, sys
from fail2ban.server.failregex import Regex, RegexException
from fail2ban.server.mytime import MyTime
from fail2ban.server.server import Server
tell = Server(False)._Server__transm._Transmitter__commandHandler
dead = set()
read_elsewhere = ("addaction", "action", "addlogpath", "addfailregex", "addignoreregex", "prefregex")
times = ("bantime", "findtime", "dbpurgeage")
for line in sys.stdin:
    print(line, end="")
    entry = ast.literal_eval(line) if line.startswith(("['set'", "['multi-set'", "['add'")) else []
    jail = entry[1] if len(entry) > 2 else ""
    is_value = len(entry) > 3 and entry[0] == "set" and entry[2] not in read_elsewhere + times and jail not in dead
    if is_value or entry[:1] == ["add"]:
        try:
            tell(entry)
        except Exception as error:  # whatever Fail2ban's own handlers raise here ends its start
            dead |= {{jail}} if entry[0] == "add" else set()
            name, value = ("backend", entry[2]) if entry[0] == "add" else entry[2:4]
            print(repr(["{_BAD_VALUE}", jail, name, value, str(error)]))
    if entry and entry[0] == "set" and entry[-2] in times:
        try:
            MyTime.str2seconds(entry[-1])
        except Exception:  # it evaluates the text as an expression, which may raise anything
            print(repr(["{_BAD_TIME}", entry[1] if len(entry) == 4 else "", entry[-2], entry[-1]]))
    if len(entry) > 3 and entry[2] in ("addfailregex", "addignoreregex", "prefregex"):
        for text in entry[3] if isinstance(entry[3], list) else [entry[3]]:
            try:
                Regex(text)
            except RegexException as error:
                print(repr(["{_BAD_EXPRESSION}", entry[1], str(error)]))
"""
_PIPELINE: Final = 'fail2ban-client -c "$1" -d | python3 -I -c "$2"'
_PATH: Final = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_SHELLS_OWN: Final = frozenset(
    (
        *(
            "if",
            "then",
            "else",
            "elif",
            "fi",
            "for",
            "do",
            "done",
            "case",
            "esac",
            "while",
            "until",
            "in",
            "!",
            "[[",
            "[",
        ),
        *(
            "test",
            "echo",
            "printf",
            "true",
            "false",
            ":",
            "cd",
            "set",
            "export",
            "eval",
            "read",
            "exit",
            "return",
            "shift",
        ),
        *("trap", "unset", "local", "command", "exec", ".", "type", "wait"),
    )
)
_TAG: Final = re.compile(r"<([\w/-]+)>")
_COMMAND: Final = re.compile(r"(?:^|(?<!\\)[;|&({\n]|\b(?:then|else|do|if|while|!)\s)\s*([\w./+-]+)(?=\s|$)")


def command(directory: str) -> list[str]:
    """Return what prints all that the client would tell the server (Python literals), and expressions that are none."""
    return ["sh", "-c", _PIPELINE, "check", directory + DIRECTORY, _COMPILE]


def findings(outcome: Outcome, stage: Stage, directory: str, root: Root) -> tuple[list[Problem], list[Problem]]:
    """Return problems, and errors about single jails."""
    said = [line for line in outcome.stdout.splitlines() if not line.startswith("[")]
    text = "\n".join([outcome.stderr, *said]).replace(directory, "")
    unreadable = re.search(r"Source contains parsing errors|contains no section headers|invalid syntax", text)
    if unreadable:
        return [_unreadable(text, stage)], []
    times = [*_wrong_times(outcome.stdout, stage), *_wrong_values(outcome.stdout, stage)]
    jails = [*_skipped(text, stage), *_wrong_expressions(outcome.stdout, stage), *_no_programs(outcome, stage, root)]
    return times, list(dict.fromkeys(jails))


def _unreadable(text: str, stage: Stage) -> Problem:
    match = re.search(r"(?:'|file: ')(/etc/fail2ban/[^']+)'(?:, line: (\d+)|\s*\[line +(\d+)\])", text)
    file = stage.files.get(match.group(1)) if match else None
    number = int(match.group(2) or match.group(3) or 0) if match else 0
    where = file.source(number) if file else match.group(1) if match else DIRECTORY
    return Problem(
        where, "Fail2ban cannot read it, and would not start", "write sections and name = value, see jail.conf(5)"
    )


def _skipped(text: str, stage: Stage) -> Iterator[Problem]:
    """Name jails that the client leaves out, with what it said just before."""
    cause = ""
    for line in text.splitlines():
        said = re.search(r"ERROR\s+(.*)", line)
        if not said:
            continue
        jail = re.fullmatch(r"Errors in jail '([^']+)'\. Skipping\.\.\.", said.group(1))
        if jail:
            yield _jail(stage, jail.group(1), cause or "cannot be read")
            cause = ""
        elif missing := re.search(r"config files for '(filter|action)\.d/([^']+)'", said.group(1)):
            cause = f"there is no {missing.group(1)} {missing.group(2)}"
        else:
            cause = cause or said.group(1)


def _wrong_times(text: str, stage: Stage) -> Iterator[Problem]:
    """Name each line with a time that Fail2ban cannot read: it ends with it."""
    found: dict[str, Problem] = {}
    for entry in _entries(text):
        if entry[0] == _BAD_TIME:
            _, jail, name, value = entry
            where = _line_of(stage, name, str(value)) or _place(stage, jail or "DEFAULT")
            cause = f"{name} = {value} is not a time, and Fail2ban does not start with it"
            found.setdefault(where, Problem(where, cause, "write a number of seconds, or for example 10m, 1h, 1d"))
    yield from found.values()


def _wrong_values(text: str, stage: Stage) -> Iterator[Problem]:
    """Name each line with another value that Fail2ban's server cannot take: it ends with it.

    The client says None for what should be a number and is not.
    """
    found: dict[str, Problem] = {}
    for entry in _entries(text):
        if entry[0] == _BAD_VALUE:
            _, jail, name, value, error = entry
            pattern = r"(?!\d+\s*$).*" if value is None else re.escape(str(value))
            where = _line_like(stage, name, pattern) or _place(stage, jail)
            said = "not a number" if value is None else f"not a value that it can have ({error})"
            cause = f"{name} of the jail {jail} is {said}, and Fail2ban does not start with it"
            found.setdefault(where, Problem(where, cause, "correct it, see jail.conf(5)"))
    yield from found.values()


def _line_of(stage: Stage, name: str, value: str) -> str:
    """Return where a user's file sets `name` to `value`, or ""."""
    return _line_like(stage, name, re.escape(value))


def _line_like(stage: Stage, name: str, value: str) -> str:
    """Return where a user's file sets `name` to what the expression `value` matches, or ""."""
    pattern = re.compile(rf"\s*{re.escape(name)}\s*[=:]\s*{value}\s*")
    for file in (stage.files[path] for path in USERS if path in stage.files):
        for number, line in enumerate(file.content.decode("utf-8", "replace").splitlines(), 1):
            if pattern.fullmatch(line):
                return file.source(number)
    return ""


def _wrong_expressions(text: str, stage: Stage) -> Iterator[Problem]:
    for entry in _entries(text):
        if entry[0] == _BAD_EXPRESSION:
            yield _jail(stage, entry[1], f"an expression of its filter cannot be read: {entry[2]}")


def _no_programs(outcome: Outcome, stage: Stage, root: Root) -> Iterator[Problem]:
    for entry in _entries(outcome.stdout):
        if len(entry) != 5 or entry[2] != "action":
            continue
        jail, action, properties = entry[1], entry[3], dict(entry[4])
        for name in ("actionstart", "actionban"):
            for program in programs(properties.get(name, ""), properties):
                if not _exists(program, root):
                    yield _jail(stage, jail, f"its action {action} cannot ban: program not found: {program}")


def programs(script: str, properties: dict[str, str]) -> list[str]:
    """Return the programs that an action's script runs, its <tags> replaced by the action's `properties`."""
    for _ in range(5):
        script = _TAG.sub(lambda match: str(properties.get(match.group(1), match.group(0))), script)
    script = re.sub(r"'[^']*'|\"[^\"]*\"", "''", script)
    return [word for word in dict.fromkeys(_COMMAND.findall(script)) if word not in _SHELLS_OWN and not word.isdigit()]


def _exists(program: str, root: Root) -> bool:
    return root.exists(program) if "/" in program else any(root.exists(f"{place}/{program}") for place in _PATH)


def _entries(text: str) -> Iterator[list[Any]]:
    for line in text.splitlines():
        if line.startswith("[") and ("'action'" in line or line.startswith("['dmsinit cannot ")):
            yield ast.literal_eval(line)


def _jail(stage: Stage, jail: str, cause: str) -> Problem:
    sentence = f"the jail {jail} does not work: {cause}"
    return Severe(_place(stage, jail), sentence, "correct it, or provide what it names")


def _place(stage: Stage, jail: str) -> str:
    """Return where the user's file speaks of the jail, or of all of them."""
    file = stage.files.get(USERS[0])
    if file is None:
        return f"{DIRECTORY} ({jail})"
    for section in (jail, "DEFAULT"):
        if number := _section(file, section):
            return file.source(number)
    return file.source()


def _section(file: StagedFile, name: str) -> int:
    lines = file.content.decode("utf-8", "replace").splitlines()
    return next((number for number, line in enumerate(lines, 1) if line.strip() == f"[{name}]"), 0)
