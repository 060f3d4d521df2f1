"""The check of Postfix: what its daemons say about main.cf, master.cf and the tables that a user's lines name."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from dmsinit.problem import Problem
from dmsinit.render.check import indexes, master_cf, reads, trial
from dmsinit.render.check import values as values_check
from dmsinit.render.check.findings import Complaint, Line, complaints
from dmsinit.render.check.master_cf import Entry
from dmsinit.render.check.trial import MAIN_CF, MASTER_CF, Copy, Texts
from dmsinit.render.inputs import main_cf
from dmsinit.render.paths import RENDERED, Root
from dmsinit.render.stage import Stage

ALIAS_DATABASE: Final = "/etc/aliases.db"
_ROUNDS: Final = 10
"""A user who has more lines that are wrong than this is told of the rest when these are right."""
LINES_OF_USERS: Final = "postfix-main.cf, postfix-master.cf"


@dataclass
class Found:
    """What is wrong. `missing` are problems that vanish if user-patches.sh makes a file."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    missing: list[Problem] = field(default_factory=list)


def staged(stage: Stage, directory: str, root: Root, *, changes_only: bool) -> Found:
    """Try what is staged in `directory`, where a user has a hand in it; `changes_only`: unless it is in force."""
    main, master = _text(MAIN_CF, stage, root), _text(MASTER_CF, stage, root)
    if not main or not master or (changes_only and _is_in_force(stage, root)):
        return Found()
    files = trial.copies(stage.files.values(), root)
    if (database := Root(directory).read(ALIAS_DATABASE)) is not None:
        files[ALIAS_DATABASE] = Copy(database, 0, 0, 0o644)
    return sorted_out(try_out(Texts(main, master, files), lines_of_users(stage, root), root, LINES_OF_USERS))


def lines_of_users(stage: Stage, root: Root) -> list[Line]:
    """Return what users have written into main.cf and master.cf, by the config volume or by mounting one of them."""
    return [
        *_lines_of_main_cf(stage, _text(MAIN_CF, stage, root)),
        *_lines_of_master_cf(stage, _text(MASTER_CF, stage, root)),
    ]


def try_out(texts: Texts, lines: list[Line], root: Root, fallback: str) -> list[Complaint]:
    """Return what the daemons that the users' `lines` concern say about them.

    A daemon says only what it dies of: it is asked again without the lines that were found.
    """
    entries = master_cf.entries(texts.master)
    found: list[Complaint] = []
    for _ in range(_ROUNDS):
        more = _ask(texts, lines, entries, root, fallback)
        found += [complaint for complaint in more if complaint not in found]
        culprits = {complaint.line for complaint in more if complaint.deadly and complaint.line}
        if not culprits:
            break
        lines = [line for line in lines if line not in culprits]
        main = main_cf.without(texts.main, {line.name for line in culprits if not line.service})
        texts = replace(texts, main=main)
        edits = {(line.service, line.name) for line in culprits if line.service}
        entries = [_without_options(entry, edits) for entry in entries]
    values = dict(settings(texts.main))
    problems = values_check.check(lines, values, entries, lambda path: root.read(path) or b"")
    return [*found, *(Complaint(problem, serious=True) for problem in problems)]


def _ask(texts: Texts, lines: list[Line], entries: list[Entry], root: Root, fallback: str) -> list[Complaint]:
    values = dict(settings(texts.main))
    own = {line.name: line.value for line in lines if not line.service}
    names = reads.touched(own, values)
    edited = {line.service for line in lines if line.service}
    wanted = reads.concerned(entries, names, edited, lambda path: root.read(path) or b"")
    wanted += [*reads.of_transports(entries, own), *reads.behind_proxies(wanted, values)]
    tables = indexes.named([*values.items(), *((line.name, line.value) for line in lines)])
    attempts = trial.attempt(texts, wanted, entries, indexes.outdated(tables, root), root) if lines else []
    return complaints(attempts, lines, fallback)


def _without_options(entry: Entry, edits: set[tuple[str, str]]) -> Entry:
    gone = {name for service, name in edits if service == f"{entry.name}/{entry.kind}"}
    arguments: list[str] = []
    for argument in entry.arguments:
        if arguments and arguments[-1] == "-o" and argument.partition("=")[0].strip() in gone:
            arguments.pop()
        else:
            arguments.append(argument)
    return replace(entry, arguments=tuple(arguments))


def sorted_out(found: Iterable[Complaint]) -> Found:
    """Return complaints by what follows from them."""
    result = Found()
    for complaint in found:
        if not complaint.serious:
            result.warnings.append(complaint.problem)
        elif complaint.missing:
            result.missing.append(complaint.problem)
        else:
            result.problems.append(complaint.problem)
    return result


def settings(text: str) -> list[tuple[str, str]]:
    """Return the parameters of a main.cf and their values, in order."""
    lines = text.split("\n")
    return [(parameter.name, _value(lines, parameter)) for parameter in main_cf.parameters(lines) if parameter.name]


def tables(stage: Stage, root: Root) -> list[indexes.Index]:
    """Return the tables whose index has to be made anew before Postfix reads what is staged."""
    main, master = _text(MAIN_CF, stage, root), _text(MASTER_CF, stage, root)
    values = [*settings(main), *(pair for entry in master_cf.entries(master) for pair in entry.options.items())]
    return [index for index in indexes.outdated(indexes.named(values), root) if index.path not in stage.files]


def _text(path: str, stage: Stage, root: Root) -> str:
    """Return the text of a staged file, or of what a user has mounted over it."""
    content = stage.files[path].content if path in stage.files else root.read(path)
    return (content or b"").decode("utf-8", "surrogateescape")


def _is_in_force(stage: Stage, root: Root) -> bool:
    paths = [path for path in (MAIN_CF, MASTER_CF) if path in stage.files]
    return all(root.read(RENDERED + path) == stage.files[path].content for path in paths)


def _lines_of_main_cf(stage: Stage, text: str) -> list[Line]:
    file = stage.files.get(MAIN_CF)
    first = 1 if file is None else file.origin.first if file.origin else None
    if first is None:
        return []
    lines = text.split("\n")
    found = []
    for parameter in main_cf.parameters(lines):
        number = parameter.lines[0] + 1
        if parameter.name and number >= first:
            where = file.source(number) if file else f"{MAIN_CF}:{number}"
            found.append(Line(where, parameter.name, _value(lines, parameter)))
    return found


def _lines_of_master_cf(stage: Stage, text: str) -> list[Line]:
    file = stage.files.get(MASTER_CF)
    if file is None:
        return [
            Line(MASTER_CF, name, value, f"{entry.name}/{entry.kind}")
            for entry in master_cf.entries(text)
            for name, value in entry.options.items()
        ]
    found = []
    for edit in file.edits:
        service, kind, setting = edit.text.split("/", 2)
        name, _, value = setting.partition("=")
        found.append(Line(edit.where, name, value, f"{service}/{kind}"))
    return found


def _value(lines: list[str], parameter: main_cf.Parameter) -> str:
    text = " ".join(lines[number].strip() for number in parameter.lines)
    return text.partition("=")[2].strip()
