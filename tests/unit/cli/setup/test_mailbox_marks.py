"""A mark changes whenever a message comes or goes."""

import os
from pathlib import Path

import pytest

from dmsinit.cli.setup import mailbox_marks as marks


@pytest.fixture
def mailbox(tmp_path: Path) -> Path:
    path = tmp_path / "x.test" / "anna"
    (path / "home").mkdir(parents=True)
    return path


def mark(mailbox: Path) -> str | None:
    return marks.mailbox_mark(mailbox.parents[1], "anna@x.test")


def test_a_mailbox_without_mail_is_empty(mailbox: Path, tmp_path: Path) -> None:
    assert mark(mailbox) == marks.EMPTY
    assert marks.mailbox_mark(tmp_path, "bob@x.test") == marks.EMPTY


def test_every_message_that_comes_or_goes_changes_it(mailbox: Path) -> None:
    for folder in ("", ".Junk"):
        for part in ("cur", "new"):
            place = mailbox / folder / part
            place.mkdir(parents=True)
            before = mark(mailbox)
            os.utime(place, ns=(0, 0))
            (place / "1.mail").touch()
            came = mark(mailbox)
            os.utime(place, ns=(0, 0))
            (place / "1.mail").unlink()
            assert len({before, came, mark(mailbox)}) == 3


@pytest.mark.parametrize("name", ["mailboxes", "storage", "dbox-Mails"])
def test_nothing_is_known_of_other_formats(mailbox: Path, name: str) -> None:
    (mailbox / name).mkdir()
    assert mark(mailbox) is None


def test_what_is_no_mailbox_has_no_mark(tmp_path: Path) -> None:
    assert marks.mailbox_mark(tmp_path, "../x@y") is None


def test_a_memory_that_is_damaged_knows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marks, "MEMORY", str(tmp_path / "usage.json"))
    assert marks.remembered() == {}
    marks.remember({"anna@x.test": (":1:2", 5)})
    assert marks.remembered() == {"anna@x.test": (":1:2", 5)}
    assert os.stat(marks.MEMORY).st_mode & 0o777 == 0o600
    Path(marks.MEMORY).write_text('{"anna@x.test": 5}')
    assert marks.remembered() == {}
