"""Deleting a mailbox takes that mailbox only."""

from pathlib import Path

import pytest

from dmsinit.volume.errors import EditError
from dmsinit.volume.mailbox import MailboxMissing, Removal, mailbox_path


def remove(root: Path, address: str) -> None:
    removal = Removal(root, address)
    removal.begin()
    assert removal.finish()


def test_the_domain_goes_with_its_last_mailbox(tmp_path: Path) -> None:
    for name in ("anna", "bob"):
        (tmp_path / "x.test" / name / "cur").mkdir(parents=True)
    remove(tmp_path, "anna@x.test")
    assert [path.name for path in (tmp_path / "x.test").iterdir()] == ["bob"]
    remove(tmp_path, "bob@x.test")
    assert list(tmp_path.iterdir()) == []
    removal = Removal(tmp_path, "bob@x.test")
    with pytest.raises(MailboxMissing, match="does not exist"):
        removal.begin()
    assert not removal.finish()


def test_what_is_made_in_its_place_meanwhile_goes_too(tmp_path: Path) -> None:
    mailbox = tmp_path / "x.test" / "anna"
    (mailbox / "cur").mkdir(parents=True)
    removal = Removal(tmp_path, "anna@x.test")
    removal.begin()
    assert not mailbox.exists()
    (mailbox / "new").mkdir(parents=True)  # a client that was connected
    removal.finish()
    assert list(tmp_path.iterdir()) == []


def test_a_mailbox_is_back_when_its_account_stays(tmp_path: Path) -> None:
    (tmp_path / "x.test" / "anna" / "cur").mkdir(parents=True)
    removal = Removal(tmp_path, "anna@x.test")
    removal.begin()
    removal.undo()
    assert (tmp_path / "x.test" / "anna" / "cur").is_dir()
    assert [path.name for path in (tmp_path / "x.test").iterdir()] == ["anna"]


@pytest.mark.parametrize("link", ["x.test/anna", "x.test"])
def test_a_link_is_not_followed(tmp_path: Path, link: str) -> None:
    """Mail users can write in both directories."""
    storage, precious = tmp_path / "mail", tmp_path / "precious"
    (precious / "anna" / "cur").mkdir(parents=True)
    (storage / link).parent.mkdir(parents=True, exist_ok=True)
    (storage / link).symlink_to(precious / "anna" if "/" in link else precious)
    with pytest.raises(EditError, match="cannot delete the mailbox"):
        remove(storage, "anna@x.test")
    assert (precious / "anna" / "cur").is_dir()


@pytest.mark.parametrize("address", ["..@x.test", "a@..", "a/b@x.test", "anna", ""])
def test_no_address_leads_out_of_the_storage(address: str) -> None:
    with pytest.raises(EditError, match="is not the address"):
        mailbox_path(Path("/var/mail"), address)
