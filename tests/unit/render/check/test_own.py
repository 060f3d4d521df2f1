"""Services' own checkers, and what they say in terms of the user's files."""

import re

from dmsinit.render.check.own import Check, Checks
from dmsinit.render.stage import Origin, Stage

COMPLAINT = re.compile(r"^x: (?P<file>[^:]+):(?P<line>\d+): (?P<cause>.*)")


def found(script: str, complaint: re.Pattern[str] | None = COMPLAINT) -> list[str]:
    stage = Stage()
    stage.add("/etc/x.conf", "a\nb\n").origin = Origin(1, "x.cf")
    checks = Checks([Check("x", ("sh", "-c", script), complaint, "correct x.cf")], "/staged")
    return [str(problem) for problem in checks.problems(stage)]


def test_complaints_lead_to_the_line_of_the_user() -> None:
    said = "echo x: /staged/etc/x.conf:2: no b; echo other >&2; echo x: /staged/etc/x.conf:1: no a >&2; exit 1"
    assert found(said) == ["x.cf:2: no b; correct x.cf", "x.cf:1: no a; correct x.cf"]
    assert found("echo x: /elsewhere:2: no b; exit 1") == ["/elsewhere:2: no b; correct x.cf"]


def test_one_that_fails_otherwise_is_quoted() -> None:
    expected = ["services/x.toml: cannot read /etc/x.conf; correct x.cf"]
    assert found("echo cannot read /staged/etc/x.conf >&2; exit 2") == expected
    assert found("echo cannot read /staged/etc/x.conf >&2; exit 2", None) == expected
    assert found("exit 2", None) == ["services/x.toml: exit code 2; correct x.cf"]


def test_one_that_is_content_is_not_read() -> None:
    assert found("echo x: /staged/etc/x.conf:2: note") == []
