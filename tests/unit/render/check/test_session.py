"""What Dovecot says when a session starts: texts of Dovecot 2.4.1."""

from dmsinit.render.check.session import problems
from dmsinit.render.programs import Outcome
from dmsinit.render.stage import Origin, StagedFile

CONF = b"# x\nquota x {\n  driver = foo\n}\nmail_driver = mbx\n"
SAID = """\
doveadm: Warning: sieve: ignored unknown extension
doveadm(nobody@localhost): Error: cmd mailbox list: quota_root settings (filter=quota/x): Unknown quota_driver: foo
doveadm(nobody@localhost): Error: cmd mailbox list: Namespace inbox: Unknown mail storage driver mbx
doveadm(nobody@localhost): Error: connect(192.0.2.1:143) failed: Connection refused
"""


def test_what_is_unknown_is_a_problem_of_its_line_and_what_is_away_is_not() -> None:
    file = StagedFile("/etc/dovecot/local.conf", CONF, origin=Origin(1, "dovecot.cf"))
    found = problems(Outcome(("doveadm",), 75, "", SAID), file)
    assert [problem.where for problem in found] == ["dovecot.cf:3", "dovecot.cf:5"]
    assert found[1].cause == "no session can start: Namespace inbox: Unknown mail storage driver mbx"
