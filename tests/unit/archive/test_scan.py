"""What goes into an archive while mail moves."""

import os
import stat
from pathlib import Path

import pytest

from dmsinit.archive.scan import Scan, key, wanted
from tests.unit.archive.conftest import fill


def paths(scan: Scan) -> list[str]:
    return [found.path for found in scan.every()]


def test_directories_come_before_what_they_hold(volumes: dict[str, str]) -> None:
    assert paths(Scan("mail", volumes["mail"])) == [
        "", "example.test", "example.test/anna", "example.test/anna/cur", "example.test/anna/cur/2.M2.mail:2,S",
        "example.test/anna/new", "example.test/anna/new/1.M1.mail", "example.test/anna/tmp",
    ]  # fmt: skip


def test_deliveries_that_are_not_finished_are_left_out(volumes: dict[str, str]) -> None:
    fill(Path(volumes["mail"]), {"example.test/anna/tmp/3.M3.mail": "Subj"})
    assert "example.test/anna/tmp/3.M3.mail" not in paths(Scan("mail", volumes["mail"]))
    fill(Path(volumes["config"]), {"tmp/note": "text"})
    assert "tmp/note" in paths(Scan("config", volumes["config"]))


def test_a_message_that_moved_past_the_reader_is_found_once(volumes: dict[str, str]) -> None:
    box = Path(volumes["mail"], "example.test", "anna")
    scan = Scan("mail", volumes["mail"])
    seen = []
    for found in scan.every():
        if found.path.endswith("new/1.M1.mail"):  # read by its owner meanwhile: cur/ has been passed already
            (box / "new" / "1.M1.mail").rename(box / "cur" / "1.M1.mail:2,S")
            scan.forget(found)
        elif found.path.endswith("2.M2.mail:2,S"):  # taken, then replied to
            (box / "cur" / "2.M2.mail:2,S").rename(box / "cur" / "2.M2.mail:2,RS")
            seen.append(found.path)
    assert [found.path for found in scan.again()] == ["example.test/anna/cur/1.M1.mail:2,S"]
    assert list(scan.again()) == []
    assert scan.vanished == 1
    assert seen == ["example.test/anna/cur/2.M2.mail:2,S"]


def test_folders_that_appear_meanwhile_are_found(volumes: dict[str, str]) -> None:
    scan = Scan("mail", volumes["mail"])
    list(scan.every())
    fill(Path(volumes["mail"]), {"example.test/anna/.Archive/cur/9.M9.mail:2,": "Subject: moved\n\n"})
    assert [found.path for found in scan.again()][-1] == "example.test/anna/.Archive/cur/9.M9.mail:2,"


def test_a_queued_message_is_taken_once_wherever_it_is(volumes: dict[str, str]) -> None:
    spool = Path(volumes["mail-state"], "spool-postfix")
    scan = Scan("mail-state", volumes["mail-state"])
    list(scan.every())
    (spool / "active").mkdir()
    (spool / "deferred" / "A" / "ABC123").rename(spool / "active" / "ABC123")
    assert [found.path for found in scan.again()] == ["spool-postfix/active"]


@pytest.mark.parametrize("queue", ["incoming", "maildrop", "active", "deferred/A", "hold"])
def test_a_queue_file_counts_when_postfix_has_all_of_it(queue: str) -> None:
    path = f"spool-postfix/{queue}/ABC123"
    assert not wanted("mail-state", path, stat.S_IFREG | 0o600)
    assert wanted("mail-state", path, stat.S_IFREG | 0o700)
    assert wanted("mail-state", "spool-postfix/defer/A/ABC123", stat.S_IFREG | 0o600)


def test_sockets_and_pipes_are_left_out(volumes: dict[str, str]) -> None:
    os.mkfifo(f"{volumes['mail-state']}/pipe")
    assert "pipe" not in paths(Scan("mail-state", volumes["mail-state"]))
    assert not wanted("mail-state", "spool-postfix/private/smtp", stat.S_IFSOCK | 0o666)


def test_the_key_of_a_message_outlives_its_names() -> None:
    assert key("mail", "d/u/new/1.M1") == key("mail", "d/u/cur/1.M1:2,S")
    assert key("mail", "d/u/new/1.M1") != key("mail", "d/u/.Sent/new/1.M1")
    assert key("config", "d/u/new/1") != key("config", "d/u/cur/1")
    assert key("mail-state", "spool-postfix/active/A") == key("mail-state", "spool-postfix/deferred/A/A")
    assert key("mail-state", "spool-postfix/defer/A") != key("mail-state", "spool-postfix/deferred/A")
