"""Whose what is restored is."""

import tarfile

import pytest

from dmsinit.archive.tree import Owners


@pytest.fixture
def owners() -> Owners:
    """This image's users: postfix and postdrop have other numbers than where the backup was made."""
    return Owners({"postfix": 300, "root": 0}.__getitem__, {"postdrop": 301, "postfix": 302, "root": 0}.__getitem__)


def member(name: str, uid: int, uname: str, gname: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.uid, info.gid, info.uname, info.gname = uid, uid, uname, gname
    return info


def test_state_belongs_to_the_service_by_its_name(owners: Owners) -> None:
    assert owners.of(member("mail-state/spool-postfix/maildrop", 102, "postfix", "postdrop")) == (300, 301)
    assert owners.of(member("mail-logs/x", 102, "postfix", "root")) == (300, 0)


def test_all_else_belongs_to_its_number(owners: Owners) -> None:
    assert owners.of(member("mail/example.test", 102, "postfix", "postdrop")) == (102, 102)
    assert owners.of(member("config/x", 5000, "root", "root")) == (5000, 5000)


def test_who_is_no_service_or_not_there_keeps_the_number(owners: Owners) -> None:
    assert owners.of(member("mail-state/x", 1000, "anna", "anna")) == (1000, 1000)
    assert owners.of(member("mail-state/lib-amavis/x", 996, "amavis", "")) == (996, 996)
