"""Override files of the config volume."""

from pathlib import Path

from dmsinit.problem import Problem
from dmsinit.render.inputs.context import Inputs, gather
from dmsinit.render.inputs.texts import Findings, read
from dmsinit.render.overrides.files import apply, master_cf
from dmsinit.render.paths import SERVICES, TEMPLATE_CACHE, TEMPLATES
from dmsinit.render.services import facts
from dmsinit.render.services.configured import Configured
from dmsinit.render.stage import Stage
from dmsinit.render.templates.jinja import Templates
from tests.unit.render.conftest import System

MAIN_CF = "/etc/postfix/main.cf"


def inputs(system: System, **environ: str) -> Inputs:
    return gather(system.root, environ)


def applied(system: System, stage: Stage | None = None, **environ: str) -> tuple[Stage, Findings]:
    stage = stage or Stage()
    given = inputs(system, **environ)
    if not system.path(SERVICES).exists():
        system.path(SERVICES).parent.mkdir(parents=True, exist_ok=True)
        system.path(SERVICES).symlink_to(Path(__file__).parents[4] / "services")
    templates = Templates(system.root(TEMPLATES), system.root(TEMPLATE_CACHE), given.context())
    problems: list[Problem] = []
    known = facts.read(system.root, templates, {**given.context(), **Configured(system.root).names()}, problems)
    assert problems == []
    return stage, apply(stage, given, known.overrides, system.root)


def test_without_files_nothing_is_staged(system: System) -> None:
    stage, findings = applied(system)
    assert (stage.files, findings.problems, findings.warnings) == ({}, [], [])


def test_dovecot_cf_becomes_local_conf(system: System) -> None:
    system.volume("dovecot.cf", "mail_max_userip_connections = 50\n")
    stage, _ = applied(system)
    file = stage.files["/etc/dovecot/local.conf"]
    assert file.content == b"mail_max_userip_connections = 50\n"
    assert file.source(1) == "dovecot.cf:1"
    assert applied(system, SMTP_ONLY="1")[0].files == {}


def test_windows_line_endings_and_byte_order_mark_are_read(system: System) -> None:
    system.volume("dovecot.cf", b"\xef\xbb\xbfa = 1\nb = 2\r\nc = 3")
    stage, findings = applied(system)
    assert stage.files["/etc/dovecot/local.conf"].content == b"a = 1\nb = 2\nc = 3\n"
    assert [warning.where for warning in findings.warnings] == ["dovecot.cf:2"]


def test_unreadable_file_is_a_problem(system: System) -> None:
    system.volume("dovecot.cf/x", "an engine made a directory of a missing file")
    findings = Findings([], [])
    assert read(system.root, "dovecot.cf", findings) is None
    assert [problem.where for problem in findings.problems] == ["dovecot.cf"]


def test_main_cf_is_merged_with_the_lines_origin(system: System) -> None:
    system.volume("postfix-main.cf", "# mine\nmax_idle = 600s\n")
    stage = Stage()
    stage.add(MAIN_CF, "max_idle = 100s\nother = 1\n", mode=0o640)
    applied(system, stage)
    file = stage.files[MAIN_CF]
    assert file.mode == 0o640
    lines = file.content.decode().splitlines()
    assert "max_idle = 100s" not in lines
    assert file.source(lines.index("max_idle = 600s") + 1) == "postfix-main.cf:2"
    assert file.source(1) == "/etc/postfix/main.cf:1"


def test_main_cf_that_begins_with_a_continuation_is_refused(system: System) -> None:
    system.volume("postfix-main.cf", "# mine\n\n  permit\n")
    stage = Stage()
    stage.add(MAIN_CF, "a = 1\n")
    _, findings = applied(system, stage)
    assert [problem.where for problem in findings.problems] == ["postfix-main.cf:3"]
    assert stage.files[MAIN_CF].content == b"a = 1\n"


def test_opendkim_tree_needs_a_key_table(system: System) -> None:
    system.volume("opendkim/keys/hill.test/mail.private", "key")
    assert applied(system)[0].files == {}
    system.volume("opendkim/KeyTable", "table")
    stage, _ = applied(system)
    key = stage.files["/etc/opendkim/keys/hill.test/mail.private"]
    assert (key.owner, key.group, key.mode, key.content) == ("opendkim", "opendkim", 0o600, b"key")
    assert stage.files["/etc/opendkim/KeyTable"].mode == 0o644
    assert {path: d.mode for path, d in stage.directories.items()} == {
        "/etc/opendkim": 0o755,
        "/etc/opendkim/keys": 0o700,
        "/etc/opendkim/keys/hill.test": 0o700,
    }
    assert applied(system, ENABLE_OPENDKIM="0")[0].files == {}


def test_permitted_networks_are_signed_for_also_with_a_users_trusted_hosts(system: System) -> None:
    system.volume("opendkim/KeyTable", "")
    system.volume("opendkim/TrustedHosts", "127.0.0.1\n")
    stage, _ = applied(system, PERMIT_DOCKER="network")
    assert stage.files["/etc/opendkim/TrustedHosts"].content == b"127.0.0.1\n172.16.0.0/12\n"
    applied(system, stage, PERMIT_DOCKER="network")
    assert stage.files["/etc/opendkim/TrustedHosts"].content.count(b"172.16") == 1


def test_own_dh_parameters_replace_both_with_a_warning(system: System) -> None:
    system.volume("dhparams.pem", "PEM\n")
    stage, findings = applied(system)
    assert stage.files["/etc/dovecot/dh.pem"].content == stage.files["/etc/postfix/dhparams.pem"].content == b"PEM\n"
    assert [warning.where for warning in findings.warnings] == ["dhparams.pem"]


def test_sieve_programs_are_executable(system: System) -> None:
    system.volume("sieve-pipe/learn.sh", "#!/bin/sh\n")
    system.volume("before.dovecot.sieve", "keep;\n")
    stage, _ = applied(system)
    assert stage.files["/usr/lib/dovecot/sieve-pipe/learn.sh"].mode == 0o755
    assert "/usr/lib/dovecot/sieve-global/before/50-before.dovecot.sieve" in stage.files


def test_blanks_in_master_cf_cost_that_line_only(system: System) -> None:
    system.volume("postfix-master.cf", "submission/inet/a=one two\n")
    stage = Stage()
    stage.add("/etc/postfix/master.cf", "submission inet n - n - - smtpd\n")
    findings = master_cf(stage, str(system.directory), inputs(system), system.root)
    assert findings.problems == []
    assert [warning.where for warning in findings.warnings] == ["postfix-master.cf:1"]
    assert "a=$mua_value" in findings.warnings[0].remedy


def test_master_cf_lines_that_are_none_are_told(system: System) -> None:
    system.volume(
        "postfix-master.cf", "# fine\n\nsubmission/inet/syslog_name\nnosuch/inet/a=b\n  \n submission/inet/a=b\n"
    )
    stage = Stage()
    stage.add("/etc/postfix/master.cf", "submission inet n - n - - smtpd\n  -o a=b\n")
    findings = master_cf(stage, str(system.directory), inputs(system), system.root)
    assert findings.problems == []
    assert [warning.where for warning in findings.warnings] == [f"postfix-master.cf:{line}" for line in (3, 4, 6)]
    assert "master.cf has submission/inet" in findings.warnings[1].remedy
