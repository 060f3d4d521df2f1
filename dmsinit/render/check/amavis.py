"""The check of Amavis: its own `test-config` on the staged files, with the lines of amavis.cf in what it says.

Its configuration is a program in Perl, so that only its run shows a file that does not exist, or a function that there
is not. It is run as Amavis' user, on a copy: that user cannot come into the staged tree. A file without `use strict`
is run once more with it, which names variables that Amavis does not have.
"""

import re
from collections.abc import Iterator
from typing import Final

from dmsinit.problem import Problem
from dmsinit.render.paths import Root
from dmsinit.render.programs import Outcome
from dmsinit.render.stage import Stage, StagedFile

DIRECTORY: Final = "/etc/amavis/conf.d"
USER: Final = f"{DIRECTORY}/50-user"

_SCRIPT: Final = r"""
umask 022
copy=$(mktemp -d) || exit
trap 'rm -rf "$copy"' EXIT
chmod 711 "$copy"
cp -L --no-preserve=all "$1"/etc/amavis/conf.d/* "$copy" || exit
files=()
for file in /usr/share/amavis/conf.d/* "$copy"/*; do
    [[ ! ${file##*/} =~ ^[[:alnum:]_-]+$ ]] || files+=(-c "$file")
done
try() {
    HOME=/var/lib/amavis setpriv --reuid=amavis --regid=amavis --init-groups amavisd "${files[@]}" test-config 2>&1
}
try || exit
! grep -Eq '^\s*use\s+strict' "$copy/50-user" || exit 0
sed -i '1s/^/use strict; /' "$copy/50-user"
try
exit 0
"""
_WHERE: Final = re.compile(r"(.*?) at (/\S+/50-user) line (\d+)(.*)")
_ABSENT: Final = re.compile(r"Can't open file (/\S+) .*No such file or directory")
_UNKNOWN: Final = re.compile(r'(?:Global symbol|(Bareword)) "(\S+)" (?:requires|not allowed)')


_NUMBERS: Final = (
    "max_servers", "max_requests", "child_timeout", "log_level", "inet_socket_port", "MAXLEVELS", "MAXFILES",
    "sa_tag_level_deflt", "sa_tag2_level_deflt", "sa_kill_level_deflt", "sa_mail_body_size_limit",
)  # fmt: skip
_DIRECTORIES: Final = ("MYHOME", "TEMPBASE", "QUARANTINEDIR", "db_home", "helpers_home")
_LITERAL: Final = re.compile(r"""^\s*\$(\w+)\s*=\s*(["'])([^"'$]*)\2\s*;""")


def command(directory: str) -> list[str]:
    """Return what runs the configuration staged in `directory`, as bash(1) finds it."""
    return ["bash", "-c", _SCRIPT, "check", directory]


def findings(outcome: Outcome, stage: Stage) -> tuple[list[Problem], list[Problem], list[Problem]]:
    """Return what keeps Amavis from starting, files that do not exist, and variables that it does not have."""
    user = stage.files[USER]
    problems: list[Problem] = []
    missing: list[Problem] = []
    lines = outcome.stdout.splitlines() if outcome.code == 1 else []
    for line in [text for text in lines if text.startswith(("Error in config file", "Error reading config"))][:1]:
        text = re.sub(r'^Error (?:in|reading) config file "[^"]*": ', "", line)
        if absent := _ABSENT.match(text):
            where = user.source(_line_with(absent.group(1), user))
            cause = f"{absent.group(1)} does not exist, and Amavis would not start"
            missing.append(Problem(where, cause, "provide it, or correct the path"))
        elif place := _WHERE.match(text):
            cause = f"Amavis does not start with this: {place.group(1)}{place.group(4)}".rstrip(".")
            problems.append(Problem(user.source(int(place.group(3))), cause, "correct this line"))
        elif '/50-user"' in line:
            problems.append(Problem(user.source(0), f"Amavis does not start with this: {text}", "correct it"))
    return problems, missing, list(_unknown(outcome, user)) if outcome.code == 0 else []


def values(user: StagedFile, root: Root) -> tuple[list[Problem], list[Problem]]:
    """Return literal values that are no numbers where Amavis counts with them, and directories that do not exist.

    `$max_servers = "many"` gives processes without end; a missing directory is noticed when a message comes.
    """
    problems, missing = [], []
    for number, line in enumerate(user.content.decode("utf-8", "replace").split("\n"), 1):
        match = _LITERAL.match(line)
        name, value = (match.group(1), match.group(3)) if match else ("", "")
        if name in _NUMBERS and not re.fullmatch(r"\s*[-+]?\d+(\.\d*)?\s*", value):
            cause = f"${name} has to be a number, not {value!r}"
            problems.append(Problem(user.source(number), cause, "correct this line"))
        elif name in _DIRECTORIES and value.startswith("/") and not root.exists(value):
            cause = f"{value} does not exist, which Amavis needs as ${name}"
            missing.append(Problem(user.source(number), cause, "provide it, or correct the path"))
    return problems, missing


def _unknown(outcome: Outcome, user: StagedFile) -> Iterator[Problem]:
    named: set[str] = set()
    for line in outcome.stdout.splitlines():
        unknown, place = _UNKNOWN.search(line), _WHERE.search(line)
        if unknown is None or place is None or unknown.group(2) in named:
            continue
        named.add(unknown.group(2))
        kind = "constant" if unknown.group(1) else "variable"
        cause = f"Amavis has no {kind} {unknown.group(2)}, so this has no effect"
        yield Problem(user.source(int(place.group(3))), cause, "correct its name, or declare it with my or our")


def _line_with(text: str, user: StagedFile) -> int:
    lines = user.content.decode("utf-8", "replace").split("\n")
    return next((number for number, line in enumerate(lines, 1) if text in line), 0)
