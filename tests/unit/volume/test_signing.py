"""Which key signs mail of which domain, and that a switch of the signer keeps keys and selectors."""

from pathlib import Path

import pytest

from dmsinit.volume import dkim, rspamd_dkim
from dmsinit.volume.errors import EditError
from dmsinit.volume.signing import of_opendkim, of_rspamd


@pytest.fixture
def opendkim(tmp_path: Path) -> Path:
    dkim.make_keys(tmp_path, ("a.test", "b.test"), selector="mail", bits=1024)
    return tmp_path


@pytest.fixture
def rspamd(tmp_path: Path) -> Path:
    rspamd_dkim.make_key(tmp_path, "a.test", selector="mail", kind="rsa", bits=1024)
    return tmp_path


def pem(directory: Path, domain: str = "a.test") -> bytes:
    return (directory / f"opendkim/keys/{domain}/mail.private").read_bytes()


def test_tables_of_opendkim(opendkim: Path) -> None:
    found = of_opendkim(opendkim)
    assert [key.record for key in found.keys] == ["mail._domainkey.a.test", "mail._domainkey.b.test"]
    assert found.keys[0].pem == pem(opendkim)
    assert found.warnings == []


def test_what_opendkim_signs_in_ways_that_rspamd_does_not_know_is_named(opendkim: Path) -> None:
    senders = opendkim / "opendkim/SigningTable"
    senders.write_text("user@a.test mail._domainkey.a.test\n*@*.b.test mail._domainkey.b.test\n*@c.test nowhere\n")
    found = of_opendkim(opendkim)
    assert found.keys == []
    assert [warning.where for warning in found.warnings] == ["opendkim/SigningTable:1", "opendkim/SigningTable:2"]


def test_a_key_that_is_missing_or_not_one_is_named(opendkim: Path) -> None:
    (opendkim / "opendkim/keys/a.test/mail.private").unlink()
    (opendkim / "opendkim/keys/b.test/mail.private").write_text("root:x:0:0\n")
    found = of_opendkim(opendkim)
    assert found.keys == []
    assert len(found.warnings) == 2


def test_signing_configuration_of_rspamd(rspamd: Path) -> None:
    found = of_rspamd(rspamd)
    assert [key.record for key in found.keys] == ["mail._domainkey.a.test"]
    (rspamd / "rspamd/override.d/dkim_signing.conf").write_text("domain {")
    assert [warning.where for warning in of_rspamd(rspamd).warnings] == ["rspamd/override.d/dkim_signing.conf"]


def test_an_ed25519_key_is_named(tmp_path: Path) -> None:
    rspamd_dkim.make_key(tmp_path, "a.test", selector="ed", kind="ed25519", bits=2048)
    found = of_rspamd(tmp_path)
    assert found.keys == []
    assert "not a private key in PEM form" in found.warnings[0].cause


def test_rspamd_takes_the_key_of_opendkim_with_its_record_and_all_others(opendkim: Path) -> None:
    made = rspamd_dkim.make_key(opendkim, "a.test", selector="mail", kind="rsa", bits=2048)
    assert made.reused
    assert made.brought == ("mail._domainkey.b.test",)
    assert made.private == opendkim / "rspamd/dkim/rsa-1024-mail-a.test.private.txt"
    assert made.private.read_bytes() == pem(opendkim)
    assert made.record.partition("p=")[2] in "".join(
        (opendkim / "opendkim/keys/a.test/mail.txt").read_text().split('"')[1::2]
    )
    assert [(key.record, key.pem) for key in of_rspamd(opendkim).keys] == [
        (key.record, key.pem) for key in of_opendkim(opendkim).keys
    ]


def test_another_selector_gets_a_new_key_beside_the_one_that_signs(opendkim: Path) -> None:
    made = rspamd_dkim.make_key(opendkim, "a.test", selector="new", kind="rsa", bits=1024)
    assert not made.reused
    assert {key.record for key in of_rspamd(opendkim).keys} == {
        "new._domainkey.a.test", "mail._domainkey.a.test", "mail._domainkey.b.test",
    }  # fmt: skip


def test_a_key_of_another_type_under_a_published_selector_needs_force(opendkim: Path) -> None:
    with pytest.raises(EditError, match="choose another selector"):
        rspamd_dkim.make_key(opendkim, "a.test", selector="mail", kind="ed25519", bits=2048)
    made = rspamd_dkim.make_key(opendkim, "a.test", selector="mail", kind="rsa", bits=1024, force=True)
    assert not made.reused
    assert made.private.read_bytes() != pem(opendkim)


def test_opendkim_takes_the_key_of_rspamd(rspamd: Path) -> None:
    told: list[str] = []
    dkim.make_keys(rspamd, ("a.test", "c.test"), selector="mail", bits=1024, created=told.append)
    (key,) = of_rspamd(rspamd).keys
    assert pem(rspamd) == key.pem
    assert [one.record for one in of_opendkim(rspamd).keys] == ["mail._domainkey.a.test", "mail._domainkey.c.test"]
    assert "the published record mail._domainkey.a.test stays" in told[0]
