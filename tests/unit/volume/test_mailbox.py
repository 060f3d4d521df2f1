"""Deleting a mailbox takes that mailbox only."""

from pathlib import Path

import pytest

from dmsinit.volume.errors import EditError
from dmsinit.volume.mailbox import MailboxMissing, mailbox_path, remove_mailbox


def test_the_domain_goes_with_its_last_mailbox(tmp_path: Path) -> None:
    for name in ("anna", "bob"):
        (tmp_path / "x.test" / name / "cur").mkdir(parents=True)
    remove_mailbox(tmp_path, "anna@x.test")
    assert [path.name for path in (tmp_path / "x.test").iterdir()] == ["bob"]
    remove_mailbox(tmp_path, "bob@x.test")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(MailboxMissing, match="does not exist"):
        remove_mailbox(tmp_path, "bob@x.test")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "x.test").mkdir()
    (tmp_path / "precious").mkdir()
    (tmp_path / "x.test" / "anna").symlink_to(tmp_path / "precious")
    with pytest.raises(EditError, match="cannot delete the mailbox"):
        remove_mailbox(tmp_path, "anna@x.test")
    assert (tmp_path / "precious").is_dir()


@pytest.mark.parametrize("address", ["..@x.test", "a@..", "a/b@x.test", "anna", ""])
def test_no_address_leads_out_of_the_storage(address: str) -> None:
    with pytest.raises(EditError, match="is no address"):
        mailbox_path(Path("/var/mail"), address)
