"""The daemons' own checkers on the staged tree, and their complaints in terms of the user's files.

postconf(1) reads main.cf and master.cf, and Postfix' daemons try them (`check.postfix`); postalias(1) makes the alias
database, doveconf(1) reads everything of Dovecot's, and rspamadm(1) everything of Rspamd's where a user has changed
something. perl(1), fetchmail(1), sievec(1) and spamassassin(1) read a user's own file.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from dmsinit.problem import Problem
from dmsinit.render.check import (
    amavis,
    dovecot,
    dovecot_services,
    fail2ban,
    getmail,
    opendkim,
    postfix,
    postgrey,
    session,
    spamassassin,
)
from dmsinit.render.inputs.fetchmail import RC
from dmsinit.render.paths import VOLUME, Root
from dmsinit.render.programs import Job, Outcome
from dmsinit.render.stage import Stage, StagedFile
from dmsinit.settings import Severe
from dmsinit.volume.files import REGEXP

MAIN_CF: Final = "/etc/postfix/main.cf"
DOVECOT: Final = "/etc/dovecot"
DOVECOT_CONF: Final = "/etc/dovecot/dovecot.conf"
ALIASES: Final = "/etc/aliases"
BARE_POSTFIX: Final = f"{os.path.dirname(__file__)}/bare"
"""A configuration directory of Postfix that sets nothing."""
BEFORE_SIEVE: Final = "/usr/lib/dovecot/sieve-global/before/50-before.dovecot.sieve"
AFTER_SIEVE: Final = "/usr/lib/dovecot/sieve-global/after/50-after.dovecot.sieve"
_UPGRADE: Final = "see https://doc.dovecot.org/latest/installation/upgrade/2.3-to-2.4.html for settings of Dovecot 2.3"


@dataclass
class Verdict:
    """What the checkers said: problems forbid the installation."""

    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    missing: list[Problem] = field(default_factory=list)
    """Problems that are none if user-patches.sh makes a file."""
    absent: list[Problem] = field(default_factory=list)
    """Files that Dovecot does not start without; user-patches.sh may make them, and a check may run where none are."""
    tables: list[Problem] = field(default_factory=list)
    """Entries of OpenDKIM's tables with which mail would be deferred, unless user-patches.sh provides what they name;
    while the server runs, only of tables that have changed."""
    jails: list[Problem] = field(default_factory=list)
    """Jails of Fail2ban that do not work, unless user-patches.sh makes what they name."""


@dataclass(frozen=True)
class _Checker:
    """A program, whether it has to run, and who understands what it says."""

    needs: str
    """A staged file, or a directory (with a slash at its end) in which there has to be one."""
    command: Callable[[str], list[str]]
    read: Callable[[Outcome, Stage, str, Verdict], None]
    users_only: bool = False
    """Whether only a user's own text is worth the question."""
    beside: str = ""
    """A directory (with a slash at its end): the question is worth its time only if something in it has changed."""
    comments_only: bool = True
    """Whether a file of comments is worth the question."""

    always_at_a_start: bool = False
    """Whether `beside` counts only while the server runs."""

    def concerns(self, stage: Stage, root: Root, *, changes_only: bool = True) -> bool:
        """Return whether there is something to check."""
        found = (file for path, file in stage.files.items() if path.startswith(self.needs))
        if not any(file.origin is not None or not self.users_only for file in found):
            return False
        if not self.comments_only and not re.search(rb"^[^#\s]", stage.files[self.needs].content, re.MULTILINE):
            return False
        asked = self.always_at_a_start and not changes_only
        return asked or not self.beside or self._has_changed(stage, root)

    def _has_changed(self, stage: Stage, root: Root) -> bool:
        """Return whether what is staged is not what is installed; what packages left as an example is no file."""
        installed = [self.needs + name for name in root.listing(self.needs) if not name.endswith(".example")]
        staged = (file for path, file in stage.files.items() if path.startswith(self.beside))
        gone = any(path not in stage.files for path in installed)
        return gone or any(root.read(file.path) != file.content for file in staged)


class Checks:
    """All checkers, started at once on the tree staged in `directory`."""

    def __init__(self, stage: Stage, directory: str, root: Root, *, changes_only: bool = False) -> None:
        """`changes_only`: what takes long is asked about what is not in force only."""
        self.stage, self._directory, self._root, self._changes_only = stage, directory, root, changes_only
        self._jobs = [
            (c, Job(c.command(directory))) for c in _CHECKERS if c.concerns(stage, root, changes_only=changes_only)
        ]

    def verdict(self) -> Verdict:
        """Wait for all of them, and return what they said."""
        verdict = Verdict()
        self._read(verdict, first=True)
        if MAIN_CF in self.stage.files and not verdict.problems:  # else all daemons would say the same
            found = postfix.staged(self.stage, self._directory, self._root, changes_only=self._changes_only)
            verdict.problems += found.problems
            verdict.warnings += found.warnings
            verdict.missing += found.missing
        self._read(verdict, first=False)
        self._read_tables(verdict)
        return verdict

    def _read_tables(self, verdict: Verdict) -> None:
        files, root = self.stage.files, self._root
        tables = [path for path in files if path.startswith(f"{opendkim.DIRECTORY}/")]
        if self._changes_only and all(root.read(path) == files[path].content for path in tables):
            return
        for problem in opendkim.findings(lambda path: read_staged(path, self.stage, root), self.stage.where):
            (verdict.tables if isinstance(problem, Severe) else verdict.warnings).append(problem)

    def _read(self, verdict: Verdict, *, first: bool) -> None:
        for checker, job in self._jobs:
            if (checker.needs in (MAIN_CF, ALIASES)) is first:
                checker.read(job.wait(), self.stage, self._directory, verdict)


def read_staged(path: str, stage: Stage, root: Root) -> bytes | None:
    """Return the bytes of a file as it is staged, or installed where it is not."""
    return stage.files[path].content if path in stage.files else root.read(path)


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
        problem = _placed(text, stage) or _about_parameter(text, stage)
        if " unused parameter: " in f" {text}" and problem.where.startswith(f"{MAIN_CF}:"):
            continue  # a line of ours, that what the user wrote has no use for
        (verdict.problems if fatal else verdict.warnings).append(problem)
    if outcome.code and not verdict.problems:
        verdict.problems.append(Problem(MAIN_CF, outcome.complaint, "correct postfix-main.cf or postfix-master.cf"))


def read_postalias(outcome: Outcome, stage: Stage, directory: str, verdict: Verdict) -> None:
    for line in outcome.stderr.splitlines():
        text = re.sub(r"^\S*postalias: (?:warning|fatal|error): ", "", line).replace(directory, "")
        if ": fatal:" in line:
            verdict.problems.append(_placed(text, stage) or Problem(ALIASES, text, "correct postfix-aliases.cf"))
        else:
            verdict.warnings.append(_placed(text, stage) or Problem("postfix-aliases.cf", text))


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
        remedy = _UPGRADE if "Unknown s" in text else "correct it, see https://doc.dovecot.org/2.4/"
        problem = _placed(text, stage, remedy) or _about_name(text.removeprefix(f"{DOVECOT_CONF}: "), stage, remedy)
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
    line = _find(file, re.compile(rf"^{named.group(1)}\s*="))
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
    lines = [_find(file, re.compile(rf"^[^#]*(?<![\w-]){re.escape(word)}(?![\w-])")) for word in words]
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
            verdict.problems.append(_placed(text, stage, _UCL) or Problem(_RSPAMD_OVERRIDES, text, _UCL))
    if not verdict.problems:
        verdict.problems.append(Problem(_RSPAMD_OVERRIDES, outcome.complaint, _UCL))


def _rules_left_out(text: str, stage: Stage) -> Iterator[Problem]:
    """Yield what Rspamd says of rules in files of the user's, which it leaves out and goes on."""
    own = [file for path, file in stage.files.items() if path.startswith(_RSPAMD_OVERRIDES) and file.origin is not None]
    for name, why in dict.fromkeys(re.findall(r"cannot add rule (\w+): (.+)", text)):
        for file in own:
            if line := _find(file, re.compile(rf"^\s*[\"']?{name}[\"']?\s*[={{]")):
                yield Problem(file.source(line), f"Rspamd leaves the rule {name} out: {why}", _UCL)


_RSPAMD_OVERRIDES: Final = "/etc/rspamd/override.d/"
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


_PLACE: Final = re.compile(r"(?:file )?(/etc/[^\s:,]+)(?:[:,]? line |:)(\d+)(?:: ?)?")


def _placed(text: str, stage: Stage, remedy: str = "") -> Problem | None:
    """Return a complaint that names a file and line as a Problem; a file that comes from the user's is preferred."""
    places = [(match, stage.files[match.group(1)]) for match in _PLACE.finditer(text) if match.group(1) in stage.files]
    if not places:
        return None
    match, file = next((place for place in places if place[1].origin is not None), places[0])
    where = file.source(int(match.group(2)))
    cause = text.replace(match.group(0), "", 1) if match.start() == 0 else text.replace(match.group(0), where)
    cause = re.sub(r"^/etc/\S+: ", "", cause).strip(" :")
    return Problem(where, cause, remedy or "correct this line")


def _about_parameter(text: str, stage: Stage) -> Problem:
    """Return postconf's complaint about a parameter, with the line of the user's file that it is about."""
    match = re.search(r"(?:(/etc/postfix/\S+): )?(unused|undefined) parameter: ([^\s=]+)", text)
    if itself := re.fullmatch(r"mentions itself: (\S+)", text):
        line = _find(stage.files[MAIN_CF], re.compile(rf"^{re.escape(itself.group(1))}\s*="))
        cause = f"the value of {itself.group(1)} mentions itself, and Postfix cannot read it"
        return Problem(stage.files[MAIN_CF].source(line), cause, "write the value in full (see postconf -d)")
    if not match:
        return Problem(MAIN_CF, text)
    path, kind, name = match.groups()
    if kind == "unused":
        cause, remedy = f"Postfix knows no parameter {name}, and nothing uses it", "check its spelling"
        pattern = re.compile(r"(?:^|/)" + _as_shown(name) + r"\s*=")
    else:
        cause, remedy = f"uses ${name}, which is not defined", "define it, or correct its spelling"
        pattern = re.compile(r"\$[{(]?" + _as_shown(name) + r"\b")
    edits = stage.files[path].edits if path in stage.files else ()
    where = next((edit.where for edit in reversed(edits) if pattern.search(_latin(edit.text))), "")
    return Problem(where or stage.files[MAIN_CF].source(_find(stage.files[MAIN_CF], pattern)), cause, remedy)


def _as_shown(name: str) -> str:
    """Return a pattern for a name in a complaint, where Postfix shows `?` for each byte that is not ASCII."""
    return re.escape(name).replace(r"\?", ".")


def _find(file: StagedFile, pattern: re.Pattern[str]) -> int:
    """Return the last line (from 1) in which `pattern` stands, 0 when it stands nowhere."""
    lines = _latin(file.content).split("\n")
    return next((n for n in range(len(lines), 0, -1) if pattern.search(lines[n - 1])), 0)


def _latin(text: str | bytes) -> str:
    """Return text with one character for each of its bytes."""
    return (text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")).decode("latin-1")


_COMPILE: Final = r"""
local $/; open(my $file, '<', $ARGV[0]) or die; my $text = <$file>;
$text =~ s/^\s*use\s+strict\b[^;]*;/;/mg; $text =~ s/^__(END|DATA)__\b.*//ms;
eval "sub read_hash; sub new_RE; sub read_text; sub read_array; sub {\n#line 1 \"AMAVIS\"\n$text\n\n=pod\n\n=cut\n\n}";
print STDERR $@; exit($@ ? 1 : 0);
"""
"""Compiles a file without running it. Amavis declares the variables: which names there are cannot be told here."""


def _sievec(script: str) -> _Checker:
    """Compile a script of the user's; `-d … -` writes to the standard output instead of beside it."""
    return _Checker(
        script,
        lambda directory: [
            "sievec",
            "-x",
            _global_extensions(directory),
            "-c",
            directory + DOVECOT_CONF,
            "-d",
            directory + script,
            "-",
        ],  # fmt: skip
        read_sievec,
        True,
    )


def _global_extensions(directory: str) -> str:
    """Return what lets sievec(1) compile as Dovecot does: `sieve_global_extensions` is nothing that it reads."""
    texts = []
    for name in ("conf.d/90-sieve.conf", "local.conf"):
        try:
            with open(f"{directory}/etc/dovecot/{name}", encoding="utf-8", errors="replace") as file:
                texts.append(file.read())
        except FileNotFoundError:
            continue
    found = re.findall(r"^\s*editheader\s*=\s*(\w+)", "\n".join(texts), re.MULTILINE)
    return "+vnd.dovecot.pipe +vnd.dovecot.filter" + (" +editheader" if found and found[-1] == "yes" else "")


def read_fail2ban(outcome: Outcome, stage: Stage, directory: str, verdict: Verdict) -> None:
    problems, jails = fail2ban.findings(outcome, stage, directory, Root())
    verdict.problems += problems
    verdict.jails += jails


_REGEXP_FILE: Final = "/etc/postfix/regexp"

_CHECKERS: Final = (
    _Checker(MAIN_CF, lambda directory: ["postconf", "-c", f"{directory}/etc/postfix", "-n"], read_postconf),
    _Checker(
        ALIASES,
        # Without main.cf: what is wrong there has nothing to do with aliases.
        lambda directory: ["postalias", "-c", BARE_POSTFIX, f"hash:{directory}{ALIASES}"],
        read_postalias,
    ),
    # The user's own file, whose lines he knows; a key that no expression matches makes postmap(1) read all of them.
    _Checker(
        _REGEXP_FILE,
        lambda directory: ["postmap", "-c", BARE_POSTFIX, "-q", "", f"pcre:{VOLUME}/{REGEXP}"],
        read_postmap,
        comments_only=False,
    ),
    _Checker(amavis.USER, lambda directory: ["perl", "-e", _COMPILE, directory + amavis.USER], read_perl, True),
    _Checker(
        amavis.USER,
        amavis.command,
        read_amavis,
        True,
        f"{amavis.DIRECTORY}/",
        always_at_a_start=True,
        comments_only=False,
    ),
    _Checker(postgrey.DIRECTORY, postgrey.command, read_postgrey, True),
    _Checker(getmail.DIRECTORY, getmail.command, read_getmail, True, getmail.DIRECTORY, always_at_a_start=True),
    _Checker(spamassassin.RULES, spamassassin.command, read_spamassassin, True),
    _Checker(RC, lambda directory: ["fetchmail", "--version", "--fetchmailrc", directory + RC], read_fetchmail, True),
    _Checker(
        f"{fail2ban.DIRECTORY}/",
        fail2ban.command,
        read_fail2ban,
        True,
        f"{fail2ban.DIRECTORY}/",
        always_at_a_start=True,
    ),
    _sievec(BEFORE_SIEVE),
    _sievec(AFTER_SIEVE),
    _Checker(DOVECOT_CONF, lambda directory: ["doveconf", "-n", "-c", f"{directory}{DOVECOT_CONF}"], read_doveconf),
    _Checker(session.LOCAL_CONF, session.command, read_session, users_only=True, comments_only=False),
    _Checker(
        _RSPAMD_OVERRIDES,
        lambda directory: [
            "rspamadm",
            f"--var=CONFDIR={directory}/etc/rspamd",
            f"--var=LOCAL_CONFDIR={directory}/etc/rspamd",
            "configtest",
            "--config",
            f"{directory}/etc/rspamd/rspamd.conf",
        ],
        read_rspamadm,
        beside="/etc/rspamd/",  # it asks name servers: where those are silent, it takes half a minute
    ),
)


def alias_database(directory: str) -> bytes | None:
    """Return the alias database that checking made in `directory`, and remove it there; None when there is none."""
    path = f"{directory}{ALIASES}.db"
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        return None
    os.unlink(path)
    return content
