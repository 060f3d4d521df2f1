"""Whose line is it that a checker complains of? Lines of staged files as lines of the user's."""

import re
from typing import Final

from dmsinit.problem import Problem
from dmsinit.render.stage import Stage, StagedFile

MAIN_CF: Final = "/etc/postfix/main.cf"
DOVECOT: Final = "/etc/dovecot"
DOVECOT_CONF: Final = f"{DOVECOT}/dovecot.conf"
ALIASES: Final = "/etc/aliases"
RSPAMD_OVERRIDES: Final = "/etc/rspamd/override.d/"
UPGRADE: Final = "see https://doc.dovecot.org/latest/installation/upgrade/2.3-to-2.4.html for settings of Dovecot 2.3"

_PLACE: Final = re.compile(r"(?:file )?(/etc/[^\s:,]+)(?:[:,]? line |:)(\d+)(?:: ?)?")


def placed(text: str, stage: Stage, remedy: str = "") -> Problem | None:
    """Return a complaint that names a file and line as a Problem; a file that comes from the user's is preferred."""
    places = [(match, stage.files[match.group(1)]) for match in _PLACE.finditer(text) if match.group(1) in stage.files]
    if not places:
        return None
    match, file = next((place for place in places if place[1].origin is not None), places[0])
    where = file.source(int(match.group(2)))
    cause = text.replace(match.group(0), "", 1) if match.start() == 0 else text.replace(match.group(0), where)
    cause = re.sub(r"^/etc/\S+: ", "", cause).strip(" :")
    return Problem(where, cause, remedy or "correct this line")


def about_parameter(text: str, stage: Stage) -> Problem:
    """Return postconf's complaint about a parameter, with the line of the user's file that it is about."""
    match = re.search(r"(?:(/etc/postfix/\S+): )?(unused|undefined) parameter: ([^\s=]+)", text)
    if itself := re.fullmatch(r"mentions itself: (\S+)", text):
        line = find(stage.files[MAIN_CF], re.compile(rf"^{re.escape(itself.group(1))}\s*="))
        cause = f"the value of {itself.group(1)} mentions itself, and Postfix cannot read it"
        return Problem(stage.files[MAIN_CF].source(line), cause, "write the value in full (see postconf -d)")
    if not match:
        return Problem(MAIN_CF, text)
    path, kind, name = match.groups()
    if kind == "unused":
        cause, remedy = f"Postfix knows no parameter {name}, and nothing uses it", "check its spelling"
        pattern = re.compile(r"(?:^|/)" + as_shown(name) + r"\s*=")
    else:
        cause, remedy = f"uses ${name}, which is not defined", "define it, or correct its spelling"
        pattern = re.compile(r"\$[{(]?" + as_shown(name) + r"\b")
    edits = stage.files[path].edits if path in stage.files else ()
    where = next((edit.where for edit in reversed(edits) if pattern.search(latin(edit.text))), "")
    return Problem(where or stage.files[MAIN_CF].source(find(stage.files[MAIN_CF], pattern)), cause, remedy)


def as_shown(name: str) -> str:
    """Return a pattern for a name in a complaint, where Postfix shows `?` for each byte that is not ASCII."""
    return re.escape(name).replace(r"\?", ".")


def find(file: StagedFile, pattern: re.Pattern[str]) -> int:
    """Return the last line (from 1) in which `pattern` stands, 0 when it stands nowhere."""
    lines = latin(file.content).split("\n")
    return next((n for n in range(len(lines), 0, -1) if pattern.search(lines[n - 1])), 0)


def latin(text: str | bytes) -> str:
    """Return text with one character for each of its bytes."""
    return (text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")).decode("latin-1")
