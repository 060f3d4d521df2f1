"""Whose line is it? Decided by the program's name alone."""

from pathlib import Path

import pytest

from dmsinit.cli.dmsctl import mail_log

TIME = "2026-11-29T07:08:27.116708+00:00 mail"


@pytest.mark.parametrize(
    ("line", "own"),
    [
        (f"{TIME} postfix/smtpd[66]: connect from x", True),
        (f"{TIME} postfix/submission/smtpd[66]: connect from x", True),
        (f"{TIME} postfix[1]: starting", True),
        (f"{TIME} dovecot: postfix/smtpd[66]: a user named so", False),
        (f"{TIME} postfix-evil[66]: x", False),
        (f"{TIME} amavis[17]: (1) from <postfix/smtpd[1]:>", False),
        ("postfix/smtpd[66]:", False),
        ("", False),
    ],
)
def test_a_line_belongs_to_the_program_that_wrote_it(line: str, own: bool) -> None:
    assert mail_log.is_of(line, ["postfix"]) == own


def test_the_last_lines_are_found_from_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_log, "_BLOCK_BYTES", 50)
    path = tmp_path / "mail.log"
    path.write_text("".join(f"{TIME} {('postfix/qmgr', 'dovecot')[n % 2]}[1]: line {n}\n" for n in range(20)))
    found = mail_log.last_lines(["postfix"], 3, str(path))
    assert [line.rpartition(" ")[2] for line in found] == ["14", "16", "18"]
    assert len(mail_log.last_lines(["dovecot"], 100, str(path))) == 10
    assert mail_log.last_lines(["postfix"], 0, str(path)) == []
    assert mail_log.last_lines(["postfix"], 3, str(tmp_path / "missing")) == []
