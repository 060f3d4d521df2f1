"""What daemons complained about, as problems of the lines that caused it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dmsinit.problem import Problem
from dmsinit.render.check.mini_master import Attempt, Said

_WORD: Final = re.compile(r"[\w][\w-]*")
_QUOTED: Final = re.compile(r"[\"']([^\"']+)[\"']")
_NAMED_PATH: Final = re.compile(r"(?:\w+:)?(/[^\s,;:=\"']+)")
_INDEX: Final = re.compile(r"\.(?:db|lmdb|cdb|dbm|dir|pag)$")
_ABOUT_PARAMETER: Final = re.compile(
    r"(?:configuration|length [^:]*): [\w-]+ =|^(?:parameter|invalid) [\w-]+:|^[\w-]+ parameter value"
)
"""It says which parameter it is about: if not a user's, then ours or a default (as of virtual(8))."""
_TABLE_TYPE: Final = re.compile(r"^unsupported dictionary type: ([\w-]+)|^(\w+) requires ")
"""What is said of the type of a table, without its name."""
_RELATIVE: Final = re.compile(r"\bopen (?:database )?([\w.-]+): ")
_UNAVAILABLE: Final = " is unavailable. "
"""How a warning about a table begins from which every lookup fails."""
_NO_TLS: Final = re.compile(
    r"^error (?:opening|loading) (?!DH )|^TLS library problem: |disabling TLS support"
    r"|^cannot (?:get|load) .*(?:cert|key)"
)
"""How warnings begin after which a daemon goes on without TLS."""
_MISSING: Final = re.compile(
    r"\b(?:open(?: database)?|chain file:) (?:\w+:)?(/[^\s:;,]+).*No such file or directory"
    r"|No such file or directory.* fopen\((/[^\s:;,)]+)"
)


@dataclass(frozen=True)
class Line:
    """A line of a user's: where it is, the parameter that it sets, its value, and in which service (or "")."""

    where: str
    name: str
    value: str
    service: str = ""


@dataclass(frozen=True)
class Complaint:
    """What a daemon said about a user's line; a `missing` file is one that does not exist (yet)."""

    problem: Problem
    serious: bool
    missing: str = ""
    deadly: bool = False
    """Whether the daemon ended with it: what else it might have said is unknown."""
    line: Line | None = None


def complaints(attempts: Iterable[Attempt], lines: list[Line], fallback: str) -> list[Complaint]:
    """Return what the daemons said about the user's `lines`, each thing once.

    What names a parameter that no line sets is not the user's doing, and left out. A daemon that died for a reason that
    no line explains is reported at `fallback`.
    """
    found: dict[tuple[str, str], Complaint] = {}
    for attempt in attempts:
        for said in attempt.said:
            complaint = _complaint(said, attempt, lines, fallback)
            if complaint:
                found.setdefault((complaint.problem.where, _heart(said.text)), complaint)
    return list(found.values())


def _complaint(said: Said, attempt: Attempt, lines: list[Line], fallback: str) -> Complaint | None:
    if not said.level or not said.text:
        return None
    if said.level == "warning" and _TABLE_TYPE.search(said.text):
        return None  # it guesses at a package; the error follows
    deadly = said.level in ("fatal", "panic")
    serious = said.level != "warning" or _UNAVAILABLE in said.text or bool(_NO_TLS.search(said.text))
    match = _MISSING.search(said.text)
    missing = (match.group(1) or match.group(2)) if match else ""
    line = cause_of(said.text, f"{attempt.entry.name}/{attempt.entry.kind}", lines)
    if line is not None:
        problem = Problem(line.where, _cause(said, attempt, line), _remedy(missing))
        return Complaint(problem, serious, missing, deadly, line)
    if not deadly or _ABOUT_PARAMETER.search(said.text):
        return None
    cause = f"{attempt.entry.command} does not start, and which line causes it is unknown: {said.text}"
    return Complaint(Problem(fallback, cause, "see the last change of it"), serious, missing)


def cause_of(text: str, service: str, lines: list[Line]) -> Line | None:
    """Return the line that a complaint of a service is about: it names the parameter, or something in its value."""
    # An exception of the service itself comes before what holds for all.
    candidates = sorted(lines, key=lambda line: (line.service != service, bool(line.service)))
    words = set(_WORD.findall(text))
    for line in candidates:
        if line.name in words and line.service in ("", service):
            return line
    for name in [_INDEX.sub("", path) for path in _NAMED_PATH.findall(text)] + _QUOTED.findall(text):
        for line in candidates:
            if name in re.split(r"[\s,:{}]+", line.value) or (len(name) > 3 and name in line.value):
                return line
    return _table(text, candidates)


def _table(text: str, candidates: Iterable[Line]) -> Line | None:
    """Return the line with a table of the type that a complaint is about, or with one of that (relative) name."""
    kind, name = _TABLE_TYPE.search(text), _RELATIVE.search(text)
    if kind:
        pattern = rf"(?<![\w-]){kind.group(1) or kind.group(2)}:"
    elif name:
        pattern = rf":{re.escape(_INDEX.sub('', name.group(1)))}(?![\w.-])"
    else:
        return None
    return next((line for line in candidates if re.search(pattern, line.value)), None)


def _cause(said: Said, attempt: Attempt, line: Line) -> str:
    if said.level in ("fatal", "panic"):
        return f"{attempt.entry.command} does not start with this: {said.text}"
    if said.level == "error" or _UNAVAILABLE in said.text:
        return f"{line.name} cannot be used, and mail would be deferred: {said.text}"
    if _NO_TLS.search(said.text):
        return f"{line.name} cannot be used, and TLS would not work: {said.text}"
    return said.text


def _remedy(missing: str) -> str:
    if not missing:
        return "correct its value, see postconf(5)"
    source = _INDEX.sub("", missing)
    if source != missing:
        return f"provide {source} (postmap(1) makes {missing} from it), or correct the path"
    return f"provide {missing}, or correct the path"


def _heart(text: str) -> str:
    """Return what is the same when several daemons say the same."""
    return re.sub(r"\d+", "", text)
