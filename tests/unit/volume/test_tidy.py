"""Line endings of the config volume's files at a start."""

from pathlib import Path

from dmsinit.volume.tidy import Tidied, create_empty, tidy


def test_windows_line_endings_are_replaced_and_told(tmp_path: Path) -> None:
    accounts = tmp_path / "postfix-accounts.cf"
    accounts.write_bytes(b"# accounts\na@b.test|{PLAIN}x\r\nc@d.test|{PLAIN}\xfc")
    accounts.chmod(0o640)
    tidied = tidy(tmp_path)
    assert [problem.where for problem in tidied.warnings] == ["postfix-accounts.cf:2"]
    assert accounts.read_bytes() == b"# accounts\na@b.test|{PLAIN}x\nc@d.test|{PLAIN}\xfc\n"
    assert accounts.stat().st_mode & 0o777 == 0o640
    assert tidy(tmp_path) == Tidied([], [])


def test_a_last_line_without_an_end_gets_one(tmp_path: Path) -> None:
    commands = tmp_path / "rspamd" / "custom-commands.conf"
    commands.parent.mkdir()
    commands.write_text("disable-module chartable")
    tidied = tidy(tmp_path)
    assert tidied.warnings == []
    assert [note.partition(":")[0] for note in tidied.notes] == ["rspamd/custom-commands.conf"]
    assert commands.read_text() == "disable-module chartable\n"


def test_an_empty_file_is_made_only_where_there_is_none(tmp_path: Path) -> None:
    assert create_empty(tmp_path, "dovecot-quotas.cf")
    assert (tmp_path / "dovecot-quotas.cf").read_bytes() == b""
    (tmp_path / "dovecot-quotas.cf").write_text("a@b.test:5M\n")
    assert not create_empty(tmp_path, "dovecot-quotas.cf")
    assert (tmp_path / "dovecot-quotas.cf").read_text() == "a@b.test:5M\n"
    assert not create_empty(tmp_path / "none", "dovecot-quotas.cf")


def test_what_is_well_or_not_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "postfix-virtual.cf").write_text("")
    (tmp_path / "postfix-regexp.cf").mkdir()
    before = (tmp_path / "postfix-virtual.cf").stat()
    assert tidy(tmp_path) == tidy(tmp_path / "none") == Tidied([], [])
    assert (tmp_path / "postfix-virtual.cf").stat() == before
    assert not (tmp_path / "none").exists()
