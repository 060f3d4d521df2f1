"""DKIM keys for Rspamd: three files each, a record that belongs to the key, and a configuration made once."""

import stat
import subprocess
from base64 import b64decode
from pathlib import Path

import pytest

from dmsinit.volume.errors import EditError
from dmsinit.volume.rspamd_dkim import SIGNING, KeyType, Made, make_key


def made(directory: Path, domain: str = "a.test", kind: KeyType = "rsa", *, force: bool = False) -> Made:
    return make_key(directory, domain, selector="mail", kind=kind, bits=1024, force=force)


def test_an_rsa_key_and_its_record(tmp_path: Path) -> None:
    key = made(tmp_path)
    assert key.private == tmp_path / "rspamd/dkim/rsa-1024-mail-a.test.private.txt"
    assert stat.S_IMODE(key.private.stat().st_mode) == 0o600
    public = subprocess.run(
        ["openssl", "pkey", "-in", str(key.private), "-pubout"], capture_output=True, text=True, check=True
    )
    assert key.record == f"v=DKIM1; k=rsa; p={''.join(public.stdout.splitlines()[1:-1])}"
    assert (tmp_path / "rspamd/dkim/rsa-1024-mail-a.test.public.dns.txt").read_text() == f"{key.record}\n"
    zone = (tmp_path / "rspamd/dkim/rsa-1024-mail-a.test.public.txt").read_text()
    assert zone.startswith('mail._domainkey IN TXT ( "v=DKIM1; k=rsa; "\n')
    assert "".join(zone.split('"')[1::2]) == key.record


def test_an_ed25519_key_is_32_bytes_each(tmp_path: Path) -> None:
    key = made(tmp_path, kind="ed25519")
    assert key.private.name == "ed25519-mail-a.test.private.txt"
    assert len(b64decode(key.private.read_text())) == 32
    start, _, public = key.record.partition("p=")
    assert start == "v=DKIM1; k=ed25519; "
    assert len(b64decode(public)) == 32


def test_the_configuration_is_made_with_the_first_key_and_never_changed(tmp_path: Path) -> None:
    assert not made(tmp_path).configured_before
    text = (tmp_path / SIGNING).read_text()
    assert 'path = "/tmp/docker-mailserver/rspamd/dkim/rsa-1024-mail-a.test.private.txt";' in text
    assert made(tmp_path, "b.test").configured_before
    assert made(tmp_path, force=True).configured_before
    assert (tmp_path / SIGNING).read_text() == text


@pytest.mark.parametrize(("domain", "esld"), [("hill.test", "true"), ("mail.hill.test", "false")])
def test_mail_of_a_domain_below_another_is_signed_too(tmp_path: Path, domain: str, esld: str) -> None:
    made(tmp_path, domain)
    assert f"use_esld = {esld};" in (tmp_path / SIGNING).read_text()


def test_a_key_is_replaced_only_by_force(tmp_path: Path) -> None:
    first = made(tmp_path)
    private = first.private.read_text()
    with pytest.raises(EditError, match="exists; use --force"):
        made(tmp_path)
    assert first.private.read_text() == private
    assert made(tmp_path, force=True).record != first.record


@pytest.mark.parametrize("domain", ["../x", "a b", ""])
def test_unfit_domains_are_refused(tmp_path: Path, domain: str) -> None:
    with pytest.raises(EditError, match="cannot make a key"):
        made(tmp_path, domain)
