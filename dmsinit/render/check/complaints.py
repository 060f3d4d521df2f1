"""What the daemons' own checkers write, in terms of the user's files: a function for each, which fills a Verdict."""

import os
import re
from collections.abc import Iterator
from typing import Final

from dmsinit.problem import Problem
from dmsinit.render.check import (
    amavis,
    dovecot,
    dovecot_services,
    fail2ban,
    getmail,
    postfix,
    postgrey,
    session,
    spamassassin,
)
from dmsinit.render.check.places import (
    ALIASES,
    DOVECOT,
    DOVECOT_CONF,
    MAIN_CF,
    RSPAMD_OVERRIDES,
    UPGRADE,
    about_parameter,
    find,
    placed,
)
from dmsinit.render.check.verdict import Verdict
from dmsinit.render.inputs.fetchmail import RC
from dmsinit.render.paths import Root
from dmsinit.render.programs import Outcome
from dmsinit.render.stage import Stage
from dmsinit.volume.files import REGEXP


def read_postconf(outcome: Outcome, stage: Stage, directory: str, verdict: Verdict) -> None:
    nested: re.Match[str] | None = None
    for line in outcome.stderr.splitlines():
        text = re.sub(r"^\S*postconf: (?:warning|fatal|error): ", "", line).replace(directory, "")
        missing = re.search(r'configuration "([^"]+)": No such file', text)
        if "overriding earlier entry" in text or (missing and missing.group(1) in stage.files):
            continue
        fatal = ": fatal:" in line
        nested = re.search(r'unreasonable macro call nesting: "([^"]+)"', text) or nested
        if nested and "macro processing error" in text:
            text = f"mentions itself: {nested.group(1)}"
        elif nested and "nesting" in text:
            continue
        problem = placed(text, stage) or about_parameter(text, stage)
        if " unused parameter: " in f" {text}" and problem.where.startswith(f"{MAIN_CF}:"):
            continue  # a line of ours, that what the user wrote has no use for
        (verdict.problems if fatal else verdict.warnings).append(problem)
    if outcome.code and not verdict.problems:
        verdict.problems.append(Problem(MAIN_CF, outcome.complaint, "correct postfix-main.cf or postfix-master.cf"))


def read_postalias(outcome: Outcome, stage: Stage, directory: str, verdict: Verdict) -> None:
    for line in outcome.stderr.splitlines():
        text = re.sub(r"^\S*postalias: (?:warning|fatal|error): ", "", line).replace(directory, "")
        if ": fatal:" in line:
            verdict.problems.append(placed(text, stage) or Problem(ALIASES, text, "correct postfix-aliases.cf"))
        else:
            verdict.warnings.append(placed(text, stage) or Problem("postfix-aliases.cf", text))


def read_postmap(outcome: Outcome, stage: Stage, directory: str, verdict: Verdict) -> None:
    """Name lines of postfix-regexp.cf that Postfix cannot read, and therefore ignores."""
    for line in outcome.stderr.splitlines():
        match = re.search(r"warning: pcre map \S+, line (\d+): (.*)", line)
        if match:
            where = f"{REGEXP}:{match.group(1)}"
            cause = f"Postfix cannot read it, and ignores it: {match.group(2)}"
            verdict.warnings.append(Problem(where, cause, "correct the expression, see pcre_table(5)"))


def read_doveconf(outcome: Outcome, stage: Stage, directory: str, verdict: Verdict) -> None:
    for line in outcome.stderr.splitlines():
        text = re.sub(r"^doveconf: (\w+): ", "", line).replace(directory, "")
        text = re.sub(r"^Error in configuration file ", "", text)
        serious = outcome.code != 0 and not line.startswith("doveconf: Warning")
        remedy = UPGRADE if "Unknown s" in text else "correct it, see https://doc.dovecot.org/2.4/"
        problem = placed(text, stage, remedy) or _about_name(text.removeprefix(f"{DOVECOT_CONF}: "), stage, remedy)
        found = verdict.problems if serious else verdict.warnings
        found += [] if problem in found else [problem]
    if outcome.code and not outcome.stderr.strip():
        verdict.problems.append(Problem(DOVECOT_CONF, outcome.complaint, "correct dovecot.cf"))
    if outcome.code == 0:
        main_cf = stage.files[MAIN_CF].content if MAIN_CF in stage.files else Root().read(MAIN_CF) or b""
        values = dict(postfix.settings(main_cf.decode("utf-8", "surrogateescape")))
        texts = [file.content for path, file in stage.files.items() if path.startswith(f"{DOVECOT}/conf.d/")]
        entries = list(dovecot.settings(outcome.stdout))
        services = dovecot_services.unstartable(entries, Root())
        for text in [*dovecot.sentences(outcome.stdout, values, texts, Root()), *services]:
            verdict.missing.append(_about_name(text, stage, "correct it, or provide what it names"))
            if where := _of_postfix(text, stage):
                verdict.missing[-1] = Problem(where, text, verdict.missing[-1].remedy)
        for text in dovecot_services.absent_files(entries, stage.files, Root()):
            verdict.absent.append(_about_name(text, stage, "mount it, or correct the path"))


def _of_postfix(text: str, stage: Stage) -> str:
    """Return the line of the user's that makes Postfix expect Dovecot somewhere else, or ""."""
    named, file = re.search(r", where (\w+) of Postfix", text), stage.files.get(MAIN_CF)
    if named is None or file is None or file.origin is None:
        return ""
    line = find(file, re.compile(rf"^{named.group(1)}\s*="))
    return file.source(line) if line >= file.origin.first else ""


_NAMED_BY: Final = {"lmtp": ("protocols",), "65265": ("policy", "quota-status"), "sasl-auth.sock": ("auth",)}
"""Words of a line that closes a socket without its name."""


def _about_name(text: str, stage: Stage, remedy: str) -> Problem:
    """Return Dovecot's complaint about what it quotes, with the line of the user's file that says it."""
    file = stage.files.get("/etc/dovecot/local.conf")
    if file is None:
        return Problem(DOVECOT_CONF, text, remedy)
    quoted = re.search(r"'(?:port |/(?:\S*/)?)?([^'/]+)'", text)
    words = [quoted.group(1), *_NAMED_BY.get(quoted.group(1), ())] if quoted else []
    lines = [find(file, re.compile(rf"^[^#]*(?<![\w-]){re.escape(word)}(?![\w-])")) for word in words]
    return Problem(file.source(next(filter(None, lines), 0)), text, remedy)


def read_session(outcome: Outcome, stage: Stage, directory: str, verdict: Verdict) -> None:
    said = session.problems(outcome, stage.files[session.LOCAL_CONF])
    known = {problem.where for problem in (*verdict.problems, *verdict.missing)}
    verdict.missing += [problem for problem in said if problem.where not in known]


def read_rspamadm(outcome: Outcome, stage: Stage, directory: str, verdict: Verdict) -> None:
    if "syntax BAD" not in outcome.stdout:
        verdict.warnings += _rules_left_out(f"{outcome.stdout}\n{outcome.stderr}", stage)
        return  # it is content, or could not say (it asks name servers, too)
    for line in outcome.stderr.splitlines():
        match = _UCL_ERROR.search(line.replace(directory, ""))
        if match:
            path, number, complaint = match.group(1), int(match.group(2)), match.group(3)
            file = stage.files.get(path)
            where = file.source(number) if file else f"{path}:{number}"
            verdict.problems.append(Problem(where, f"cannot be read: {complaint}", _UCL))
        elif line.startswith(("failed to load config", "rcl parse error")):
            text = re.sub(r"^failed to load config: ucl parser error: ", "", line.replace(directory, "")).rstrip("; ")
            verdict.problems.append(placed(text, stage, _UCL) or Problem(RSPAMD_OVERRIDES, text, _UCL))
    if not verdict.problems:
        verdict.problems.append(Problem(RSPAMD_OVERRIDES, outcome.complaint, _UCL))


def _rules_left_out(text: str, stage: Stage) -> Iterator[Problem]:
    """Yield what Rspamd says of rules in files of the user's, which it leaves out and goes on."""
    own = [file for path, file in stage.files.items() if path.startswith(RSPAMD_OVERRIDES) and file.origin is not None]
    for name, why in dict.fromkeys(re.findall(r"cannot add rule (\w+): (.+)", text)):
        for file in own:
            if line := find(file, re.compile(rf"^\s*[\"']?{name}[\"']?\s*[={{]")):
                yield Problem(file.source(line), f"Rspamd leaves the rule {name} out: {why}", _UCL)


_UCL: Final = "correct rspamd/override.d or rspamd/custom-commands.conf, see https://docs.rspamd.com/configuration/ucl"
_UCL_ERROR: Final = re.compile(r"error while parsing (/\S+): line: (\d+), column: \d+ - '(.*)', character")


def read_perl(outcome: Outcome, stage: Stage, directory: str, verdict: Verdict) -> None:
    """Take Perl's first complaint; the ones behind it usually follow from it."""
    if outcome.code == 0:
        return
    match = re.search(r"^(.*?) at AMAVIS line (\d+)(.*)", outcome.stderr, re.MULTILINE)
    cause = f"{match.group(1)}{match.group(3)}".rstrip(".") if match else outcome.complaint
    where = stage.files[amavis.USER].source(int(match.group(2)) if match else 0)
    verdict.problems.append(Problem(where, f"Perl cannot read it: {cause}", "correct this line, see perlsyn(1)"))


def read_amavis(outcome: Outcome, stage: Stage, directory: str, verdict: Verdict) -> None:
    problems, missing, unknown = amavis.findings(outcome, stage)
    known = {problem.where for problem in verdict.problems}
    verdict.problems += [problem for problem in problems if problem.where not in known]
    more, absent = amavis.values(stage.files[amavis.USER], Root())
    verdict.problems += more
    verdict.missing += [*missing, *absent]
    verdict.warnings += unknown


def read_getmail(outcome: Outcome, stage: Stage, directory: str, verdict: Verdict) -> None:
    verdict.missing += getmail.findings(outcome, stage, directory)


def read_postgrey(outcome: Outcome, stage: Stage, directory: str, verdict: Verdict) -> None:
    for deadly, problem in postgrey.findings(outcome, stage, directory):
        (verdict.problems if deadly else verdict.warnings).append(problem)


def read_fetchmail(outcome: Outcome, stage: Stage, directory: str, verdict: Verdict) -> None:
    """Take the line; the word at which fetchmail stumbled may be a password, and stays untold."""
    for number in re.findall(r"^fetchmail:\S+:(\d+): ", outcome.stderr, re.MULTILINE):
        where = stage.files[RC].source(int(number))
        verdict.problems.append(Problem(where, "fetchmail cannot read it", "correct this line, see fetchmail(1)"))


def read_sievec(outcome: Outcome, stage: Stage, directory: str, verdict: Verdict) -> None:
    """Leave a script out that does not compile: with it, Dovecot would run none of those that come behind it."""
    script = outcome.argv[-2].removeprefix(directory)
    match = re.search(r"^\S+: line (\d+): error: (.*?)\.?$", outcome.stderr, re.MULTILINE)
    if outcome.code == 0 or not match:
        return  # it is content, or could not say, as with a dovecot.cf that doveconf refuses
    where, cause = stage.files.pop(script).source(int(match.group(1))), match.group(2)
    os.unlink(directory + script)
    verdict.warnings.append(Problem(where, f"Sieve cannot read it, so it is left out: {cause}", "correct this line"))


def read_spamassassin(outcome: Outcome, stage: Stage, directory: str, verdict: Verdict) -> None:
    plugins = "/etc/spamassassin/v320.pre" in stage.files
    verdict.warnings += spamassassin.complaints(outcome.stderr, stage.files[spamassassin.RULES], directory, plugins)


def read_fail2ban(outcome: Outcome, stage: Stage, directory: str, verdict: Verdict) -> None:
    problems, jails = fail2ban.findings(outcome, stage, directory, Root())
    verdict.problems += problems
    verdict.jails += jails
