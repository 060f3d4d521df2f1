"""The check of getmail: its own `--dump` on each staged file shows types, values and programs that do not work."""

import re
from collections.abc import Iterator
from typing import Final

from dmsinit.problem import Problem
from dmsinit.render.inputs.getmail import RCS
from dmsinit.render.programs import Outcome
from dmsinit.render.stage import Stage

DIRECTORY: Final = f"{RCS}/"
_SCRIPT: Final = """
state=$(mktemp -d) || exit
for rc in "$1"/etc/getmailrc.d/*; do
    echo "file ${rc#"$1"}" >&2
    getmail --getmaildir "$state" --rcfile "$rc" --dump > /dev/null
done
rm -rf "$state"
"""
"""What it shows has passwords: only what it complains of is looked at."""
_WRONG: Final = re.compile(r"^Configuration error: .*?\(([^()]*(?:\([^()]*\))?[^()]*)\)\s*$")
_UNKNOWN: Final = re.compile(r"AttributeError: module 'getmailcore\.(\w+?)s' has no attribute '(\w+)'")
_NO_MAILBOX: Final = re.compile(r'specified directory "[^"]+" does not exist')
"""The mailbox of a new account is made after this check, or by the first message."""
_ABSENT: Final = re.compile(r'specified file "(/[^"]+)" does not exist')
_PARAMETER: Final = re.compile(r"^(?:configuration file \S+ incorrect \()?(?:option )?(\w+)(?::| must)")


def command(directory: str) -> list[str]:
    """Return what reads the files staged in `directory`."""
    return ["sh", "-c", _SCRIPT, "check", directory]


def findings(outcome: Outcome, stage: Stage, directory: str) -> Iterator[Problem]:
    """Yield what getmail would not fetch with; a program that does not exist may come by user-patches.sh."""
    file = None
    for line in outcome.stderr.splitlines():
        if line.startswith("file "):
            file = stage.files.get(line.removeprefix("file "))
            continue
        text = ""
        if unknown := _UNKNOWN.search(line):
            text, word = f"getmail has no {unknown.group(1)} {unknown.group(2)}", unknown.group(2)
        elif wrong := _WRONG.search(line):
            text = re.sub(r"^configuration file \S+ incorrect \(", "", wrong.group(1).replace(directory, "")).rstrip(
                ")"
            )
            parameter = _PARAMETER.match(text)
            word = parameter.group(1) if parameter else ""
            if absent := _ABSENT.search(text):
                text = f"{absent.group(1)} does not exist"
        if _NO_MAILBOX.search(text) or "No section" in text:  # the latter is known by now
            continue
        if text and file is not None:
            lines = file.content.decode("utf-8", "replace").split("\n")
            number = next((number for number, one in enumerate(lines, 1) if word and word in one), 0)
            where = file.source(number) if number or file.origin is None else file.origin.name
            yield Problem(where, text, "see https://getmail6.org/configuration.html")
