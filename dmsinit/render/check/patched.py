"""The check after user-patches.sh: what it has changed in the installed files, and what it was to provide.

Startup continues whatever it did (behaviour 9), so that its mistakes are errors in the log that name it. What the
config volume names and nobody has made is a problem of the config volume.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from dmsinit.problem import Problem
from dmsinit.render.check import dovecot, dovecot_services, fail2ban, master_cf, opendkim, postfix, trial
from dmsinit.render.check.findings import Line
from dmsinit.render.check.trial import MAIN_CF, MASTER_CF, Copy, Texts
from dmsinit.render.paths import RENDERED, Root
from dmsinit.render.programs import Job, Outcome
from dmsinit.render.stage import Stage
from dmsinit.settings import Severe

DOVECOT_CONF: Final = "/etc/dovecot/dovecot.conf"
_DOVECOT_RENDERED: Final = f"{RENDERED}/etc/dovecot/conf.d"
SCRIPT: Final = "user-patches.sh"


@dataclass
class Patched:
    """What user-patches.sh has left behind: `problems` forbid to go on, `warnings` are reported."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)


def check(missing: list[Problem], stage: Stage, root: Root) -> Patched:
    """Check the installed files; `missing` was found before in lines of the config volume: is it there now?"""
    doveconf = Job(["doveconf", "-n", "-c", root(DOVECOT_CONF)]) if root.exists(DOVECOT_CONF) else None
    jails = Job(fail2ban.command(root.prefix)) if any(path in stage.files for path in fail2ban.USERS) else None
    result = _postfix(postfix.lines_of_users(stage, root) if missing else [], root)
    result.problems += [problem for problem in missing if _is_still_absent(problem, root)]
    result.warnings += opendkim.findings(root.read, stage.where)
    if jails is not None:
        problems, errors = fail2ban.findings(jails.wait(), stage, root.prefix, root)
        result.warnings += [*problems, *errors]
    if doveconf is not None:
        _dovecot(doveconf.wait(), missing, result, root)
    return result


def _is_still_absent(problem: Problem, root: Root) -> bool:
    match = re.match(r"(?:the file ')?(/[^\s']+)'? does not exist", problem.cause)
    return match is not None and not root.exists(match.group(1))


def _dovecot(outcome: Outcome, missing: list[Problem], result: Patched, root: Root) -> None:
    if outcome.code not in (0, 127):
        cause = f"Dovecot cannot read its configuration: {outcome.complaint.removeprefix('doveconf: ')}"
        result.warnings.append(_of_script(cause))
    if outcome.code:
        return
    values = dict(postfix.settings(_text(MAIN_CF, root)))
    rendered = [root.read(f"{_DOVECOT_RENDERED}/{name}") or b"" for name in root.listing(_DOVECOT_RENDERED)]
    entries = list(dovecot.settings(outcome.stdout))
    services = [*dovecot_services.unstartable(entries, root), *dovecot_services.absent_files(entries, (), root)]
    for cause in [*dovecot.sentences(outcome.stdout, values, rendered, root), *services]:
        known = [problem for problem in missing if problem.cause == cause]
        result.problems += [problem for problem in known if problem not in result.problems]
        result.warnings += [] if known else [_of_script(cause)]


def _postfix(lines: list[Line], root: Root) -> Patched:
    main, master = _text(MAIN_CF, root), _text(MASTER_CF, root)
    changed = [*_changed_parameters(main, root), *_changed_options(master, root)]
    if not main or not master or not (changed or lines):
        return Patched()
    result = Patched()
    outcome = Job(["postconf", "-c", root(trial.CONFIGURATION), "-n"]).wait()
    if outcome.code:
        result.warnings.append(_of_script(f"Postfix cannot read its configuration: {outcome.complaint}"))
        return result
    files = {path: Copy(b"", 0, 0, 0o644) for path in trial.LISTS}
    places = {line.where for line in lines}
    for complaint in postfix.try_out(Texts(main, master, files), [*changed, *lines], root, SCRIPT):
        problem = complaint.problem
        if problem.where not in places:
            result.warnings.append(_of_script(f"{problem.where}: {problem.cause}", problem.remedy, complaint.serious))
        elif complaint.serious:
            result.problems.append(problem)
    return result


def _of_script(cause: str, remedy: str = "", serious: bool = True) -> Problem:
    return (Severe if serious else Problem)(SCRIPT, cause, remedy or "correct what the script does")


def _changed_parameters(text: str, root: Root) -> list[Line]:
    rendered = postfix.settings(_text(RENDERED + MAIN_CF, root))
    return [Line(MAIN_CF, name, value) for name, value in postfix.settings(text) if (name, value) not in rendered]


def _changed_options(text: str, root: Root) -> list[Line]:
    rendered = {(e.name, e.kind): e for e in master_cf.entries(_text(RENDERED + MASTER_CF, root))}
    found = []
    for entry in master_cf.entries(text):
        before = rendered.get((entry.name, entry.kind))
        if entry == before:
            continue
        known = before.options if before else {}
        options = {name: value for name, value in entry.options.items() if known.get(name) != value}
        # Without an option of its own: the service itself is new, or runs otherwise.
        changed = options or {"": entry.command}
        found += [Line(MASTER_CF, name, value, f"{entry.name}/{entry.kind}") for name, value in changed.items()]
    return found


def _text(path: str, root: Root) -> str:
    return (root.read(path) or b"").decode("utf-8", "surrogateescape")
