"""What the daemons' checkers say, as problems of the user's files: texts of Postfix 3.10 and Dovecot 2.4."""

from pathlib import Path

import pytest

from dmsinit.render import programs
from dmsinit.render.check.checkers import BEFORE_SIEVE
from dmsinit.render.check.complaints import (
    read_doveconf,
    read_fetchmail,
    read_postalias,
    read_postconf,
    read_rspamadm,
    read_sievec,
)
from dmsinit.render.check.validate import Checks
from dmsinit.render.check.verdict import Verdict
from dmsinit.render.paths import Root
from dmsinit.render.programs import Outcome
from dmsinit.render.stage import Edit, Origin, Stage
from tests.unit.render.conftest import System

STAGED = "/var/lib/dmsinit/staged"


@pytest.fixture
def stage() -> Stage:
    made = Stage()
    main_cf = made.add("/etc/postfix/main.cf", "ours = 1\n\n# user:\nmax_idle = abc\nmy_thing = $nosuch, permit\n")
    main_cf.origin = Origin(4, "postfix-main.cf")
    made.add("/etc/postfix/master.cf", "")
    made.add("/etc/dovecot/dovecot.conf", "")
    made.add("/etc/dovecot/local.conf", "").origin = Origin(1, "dovecot.cf")
    return made


def outcome(stderr: str, code: int = 1) -> Outcome:
    return Outcome(("x",), code, "", stderr)


@pytest.mark.parametrize(
    ("stderr", "where", "cause"),
    [
        (f'postconf: fatal: {STAGED}/etc/postfix/main.cf, line 5: missing \'=\' after attribute name: "garbage"\n',
         "postfix-main.cf:2", "missing '=' after attribute name"),
        (f"postconf: fatal: file {STAGED}/etc/postfix/master.cf: line 152: bad field count\n",
         "/etc/postfix/master.cf:152", "bad field count"),
        ("postconf: fatal: something nobody foresaw\n", "/etc/postfix/main.cf", "something nobody foresaw"),
        ("", "/etc/postfix/main.cf", "exit code 1"),
    ],
)  # fmt: skip
def test_postconf_errors(stage: Stage, stderr: str, where: str, cause: str) -> None:
    verdict = Verdict()
    read_postconf(outcome(stderr), stage, STAGED, verdict)
    assert [problem.where for problem in verdict.problems] == [where]
    assert cause in verdict.problems[0].cause


def test_postconf_warnings(stage: Stage) -> None:
    verdict = Verdict()
    text = (
        f"/usr/sbin/postconf: warning: {STAGED}/etc/postfix/main.cf: undefined parameter: nosuch\n"
        f"postconf: warning: {STAGED}/etc/postfix/main.cf: unused parameter: my_thing=$nosuch, permit\n"
        f"postconf: warning: {STAGED}/etc/postfix/main.cf, line 4: overriding earlier entry: max_idle=1\n"
    )
    read_postconf(outcome(text, code=0), stage, STAGED, verdict)
    assert verdict.problems == []
    assert [str(warning) for warning in verdict.warnings] == [
        "postfix-main.cf:2: uses $nosuch, which is not defined; define it, or correct its spelling",
        "postfix-main.cf:2: Postfix knows no parameter my_thing, and nothing uses it; check its spelling",
    ]


def test_a_parameter_of_ours_that_is_not_used_any_more_is_no_news(stage: Stage) -> None:
    stage.files["/etc/postfix/main.cf"].content = b"dmarc_milter = inet:localhost:8893\n"
    stage.files["/etc/postfix/main.cf"].origin = Origin(2, "postfix-main.cf")
    verdict = Verdict()
    text = f"postconf: warning: {STAGED}/etc/postfix/main.cf: unused parameter: dmarc_milter=inet:localhost:8893\n"
    read_postconf(outcome(text, code=0), stage, STAGED, verdict)
    assert verdict == Verdict()


def test_names_that_are_not_ascii_are_found_in_the_users_files(stage: Stage) -> None:
    stage.files["/etc/postfix/main.cf"].content += b"m\xfcx_idle = 1\nm\xc3\xa4x = 1\n"
    stage.files["/etc/postfix/master.cf"].edits = (
        Edit("postfix-master.cf:1", "submission/inet/m\udcfcx=1"), Edit("postfix-master.cf:2", "smtp/inet/x=$nosuch"),
    )  # fmt: skip
    text = (
        f"postconf: warning: {STAGED}/etc/postfix/main.cf: unused parameter: m?x_idle=1\n"
        f"postconf: warning: {STAGED}/etc/postfix/main.cf: unused parameter: m??x=1\n"
        f"postconf: warning: {STAGED}/etc/postfix/master.cf: unused parameter: m?x=1\n"
        f"postconf: warning: {STAGED}/etc/postfix/master.cf: undefined parameter: nosuch\n"
    )
    verdict = Verdict()
    read_postconf(outcome(text, code=0), stage, STAGED, verdict)
    assert [warning.where for warning in verdict.warnings] == [
        "postfix-main.cf:3", "postfix-main.cf:4", "postfix-master.cf:1", "postfix-master.cf:2",
    ]  # fmt: skip


def test_postalias_speaks_of_aliases_only(stage: Stage) -> None:
    verdict = Verdict()
    read_postalias(outcome("postalias: warning: duplicate entry: x\n", code=0), stage, STAGED, verdict)
    read_postalias(outcome("postalias: fatal: cannot write\n"), stage, STAGED, verdict)
    assert [problem.where for problem in verdict.warnings] == ["postfix-aliases.cf"]
    assert [problem.where for problem in verdict.problems] == ["/etc/aliases"]


def test_doveconf_unknown_setting(stage: Stage) -> None:
    verdict = Verdict()
    place = f"{STAGED}/etc/dovecot/local.conf line 2"
    text = f"doveconf: Fatal: Error in configuration file {place}: bla: Unknown setting: bla"
    read_doveconf(outcome(text, code=89), stage, STAGED, verdict)
    assert [(problem.where, problem.cause) for problem in verdict.problems] == [
        ("dovecot.cf:2", "bla: Unknown setting: bla")
    ]
    assert "2.3-to-2.4" in verdict.problems[0].remedy


def test_doveconf_missing_brace_names_where_it_was_opened(stage: Stage) -> None:
    verdict = Verdict()
    text = (
        f"doveconf: Fatal: Error in configuration file {STAGED}/etc/dovecot/dovecot.conf: Missing '}}' "
        f"(section started at {STAGED}/etc/dovecot/local.conf:1)"
    )
    read_doveconf(outcome(text, code=89), stage, STAGED, verdict)
    assert verdict.problems[0].where == "dovecot.cf:1"
    assert verdict.problems[0].cause == "Missing '}' (section started at dovecot.cf:1)"


def test_doveconf_without_a_place_is_told_once(stage: Stage) -> None:
    verdict = Verdict()
    line = f"doveconf: Fatal: Error in configuration file {STAGED}/etc/dovecot/dovecot.conf: Missing this\n"
    read_doveconf(outcome(line * 2, code=89), stage, STAGED, verdict)
    assert [(problem.where, problem.cause) for problem in verdict.problems] == [("dovecot.cf", "Missing this")]


def test_doveconf_warnings_do_not_forbid(stage: Stage) -> None:
    verdict = Verdict()
    read_doveconf(outcome("doveconf: Warning: something is old", code=0), stage, STAGED, verdict)
    assert verdict.problems == []
    assert len(verdict.warnings) == 1


def test_sieve_script_that_does_not_compile_is_left_out(stage: Stage, tmp_path: Path) -> None:
    verdict = Verdict()
    stage.add(BEFORE_SIEVE, "#\nfoo;\n").origin = Origin(1, "before.dovecot.sieve")
    stage.write(str(tmp_path))
    command = ("sievec", "-d", f"{tmp_path}{BEFORE_SIEVE}", "-")
    read_sievec(Outcome(command, 89, "", "sievec: Fatal: Error in configuration file\n"), stage, str(tmp_path), verdict)
    assert BEFORE_SIEVE in stage.files
    text = "50-before.dovecot: line 2: error: unknown command 'foo' (only reported once at first occurrence).\n"
    read_sievec(Outcome(command, 89, "", text), stage, str(tmp_path), verdict)
    assert BEFORE_SIEVE not in stage.files
    assert not Path(f"{tmp_path}{BEFORE_SIEVE}").exists()
    assert verdict.problems == []
    assert [warning.where for warning in verdict.warnings] == ["before.dovecot.sieve:2"]
    assert "left out: unknown command 'foo'" in verdict.warnings[0].cause


RSPAMADM_REFUSES = f"""\
failed to load config: ucl parser error: error while parsing {STAGED}/etc/rspamd/override.d/greylist.conf: \
line: 3, column: 6 - 'key must begin with a letter', character: ';'
"""


def bad(errors: str) -> Outcome:
    return Outcome(("rspamadm",), 1, "syntax BAD\n", errors)


def test_rspamadm_names_the_line_of_the_user(stage: Stage) -> None:
    verdict = Verdict()
    origin = Origin(1, "rspamd/override.d/greylist.conf")
    stage.add("/etc/rspamd/override.d/greylist.conf", "").origin = origin
    read_rspamadm(bad(RSPAMADM_REFUSES), stage, STAGED, verdict)
    assert [(problem.where, problem.cause) for problem in verdict.problems] == [
        ("rspamd/override.d/greylist.conf:3", "cannot be read: key must begin with a letter")
    ]


@pytest.mark.parametrize("errors", ["rcl parse error: cannot convert string to double in option timeout\n", "what?\n"])
def test_other_complaints_of_rspamadm_are_told_as_they_are(stage: Stage, errors: str) -> None:
    verdict = Verdict()
    read_rspamadm(bad(f"address resolution for fuzzy1.rspamd.com failed\n{errors}"), stage, STAGED, verdict)
    assert [problem.cause for problem in verdict.problems] == [errors.strip()]


def test_what_rspamadm_says_of_braces_and_rules_has_the_line_of_the_user(stage: Stage) -> None:
    verdict = Verdict()
    path = "/etc/rspamd/override.d/multimap.conf"
    stage.add(path, '# ours\nA { type = "frm"; }\n').origin = Origin(1, "rspamd/override.d/multimap.conf")
    brace = f"failed to load config: ucl parser error: {STAGED}{path}:2 unmatched open brace at 2; \n"
    read_rspamadm(bad(brace), stage, STAGED, verdict)
    assert [(problem.where, problem.cause) for problem in verdict.problems] == [
        ("rspamd/override.d/multimap.conf:2", "unmatched open brace at 2")
    ]
    rules = "cannot add rule A: invalid type frm\ncannot add rule NOT_OURS: no map\n"
    read_rspamadm(Outcome(("rspamadm",), 0, "syntax OK\n", rules), stage, STAGED, verdict)
    assert [(warning.where, warning.cause) for warning in verdict.warnings] == [
        ("rspamd/override.d/multimap.conf:2", "Rspamd leaves the rule A out: invalid type frm")
    ]


def test_an_rspamadm_that_cannot_say_forbids_nothing(stage: Stage) -> None:
    verdict = Verdict()
    read_rspamadm(Outcome(("rspamadm",), 124, "", "took more than 60 s"), stage, STAGED, verdict)
    read_rspamadm(Outcome(("rspamadm",), 0, "syntax OK\n", "address resolution failed\n"), stage, STAGED, verdict)
    assert verdict == Verdict()


def test_fetchmail_names_the_line_and_not_the_word(stage: Stage) -> None:
    verdict = Verdict()
    stage.add("/etc/fetchmailrc", "set syslog\npoll a.test user x pass two words\n").origin = Origin(2, "fetchmail.cf")
    warning = "fetchmail: WARNING: Running as root is discouraged.\n"
    complaint = f"fetchmail:{STAGED}/etc/fetchmailrc:2: syntax error at words\n"
    read_fetchmail(outcome(warning + complaint), stage, STAGED, verdict)
    assert [(problem.where, problem.cause) for problem in verdict.problems] == [
        ("fetchmail.cf:1", "fetchmail cannot read it")
    ]
    read_fetchmail(outcome(warning, code=0), stage, STAGED, verdict)
    assert len(verdict.problems) == 1


def test_rspamd_is_asked_only_about_what_has_changed(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its checker asks name servers, for half a minute where none answers: an alias must not wait for that."""
    system.write("/bin/rspamadm", "#!/bin/sh\necho syntax BAD\n", 0o755)
    monkeypatch.setitem(programs._ENVIRONMENT, "PATH", system.root("/bin"))
    stage = Stage()
    for path in ("/etc/rspamd/override.d/own.conf", "/etc/rspamd/local.d/actions.conf"):
        stage.add(path, "x")
        assert Checks(stage, system.root(STAGED), system.root).verdict().problems
        system.write(path, "x")
    system.write("/etc/rspamd/override.d/module.conf.example", "")
    assert not Checks(stage, system.root(STAGED), system.root).verdict().problems
    system.write("/etc/rspamd/override.d/gone.conf", "")
    assert Checks(stage, system.root(STAGED), system.root).verdict().problems


def test_only_what_is_staged_is_checked(system: System) -> None:
    stage = Stage()
    stage.add("/etc/other", "x")
    stage.write(system.root(STAGED))
    assert Checks(stage, system.root(STAGED), system.root).verdict() == Verdict()


AMAVIS = "/etc/amavis/conf.d/50-user"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("use strict;\n$log_level = 1;\n@x = (;\n1;\n", "amavis.cf:3"),
        ("my $open = {\n", "amavis.cf"),
        ('use strict;\n@local_domains_maps = (".");\n$final_spam_destiny = D_PASS;\n1;\n', ""),
        ('$virus_quarantine_to = "q\\@hill.test";\n1;\n', ""),
        ("@score_sender_maps = (read_hash '/tmp/senders');\n1;\n__END__\nnotes }\n", ""),
        ("1;\n\n=pod\n\nnotes }\n", ""),
    ],
)
def test_perl_compiles_amavis_cf_of_a_user(tmp_path: Path, text: str, where: str) -> None:
    stage = Stage()
    stage.add(AMAVIS, text).origin = Origin(1, "amavis.cf")
    stage.write(str(tmp_path / "staged"))
    found = Checks(stage, str(tmp_path / "staged"), Root(str(tmp_path))).verdict().problems
    assert [problem.where.startswith(where) for problem in found] == ([True] if where else [])


def test_our_own_amavis_file_is_not_asked_about() -> None:
    stage = Stage()
    stage.add(AMAVIS, "this is no Perl (")
    assert Checks(stage, "/nonexistent", Root("/nonexistent")).verdict().problems == []
