"""DKIM keys: made once, with tables that name them once, and a record that holds the public half."""

import re
import stat
import subprocess
from pathlib import Path

import pytest

from dmsinit.volume.dkim import make_keys
from dmsinit.volume.errors import EditError


def test_keys_and_tables_are_made_once(tmp_path: Path) -> None:
    made: list[str] = []
    make_keys(tmp_path, ("a.test", "b.test"), selector="mail", bits=2048, created=made.append)
    assert len(made) == 2
    root = tmp_path / "opendkim"
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    make_keys(tmp_path, ("a.test", "b.test"), selector="mail", bits=1024, created=made.append)
    assert len(made) == 2
    assert before == {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert (root / "KeyTable").read_text() == (
        "mail._domainkey.a.test a.test:mail:/etc/opendkim/keys/a.test/mail.private\n"
        "mail._domainkey.b.test b.test:mail:/etc/opendkim/keys/b.test/mail.private\n"
    )
    signing = "*@a.test mail._domainkey.a.test\n*@b.test mail._domainkey.b.test\n"
    assert (root / "SigningTable").read_text() == signing
    assert (root / "TrustedHosts").read_text() == "127.0.0.1\nlocalhost\n"


def test_the_record_holds_the_public_key_in_strings_that_dns_can_carry(tmp_path: Path) -> None:
    make_keys(tmp_path, ("a.test",), selector="s", bits=4096)
    private = tmp_path / "opendkim" / "keys" / "a.test" / "s.private"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    public = subprocess.run(
        ["openssl", "pkey", "-in", str(private), "-pubout"], capture_output=True, text=True, check=True
    )
    key = "".join(public.stdout.splitlines()[1:-1])
    strings = re.findall(r'"([^"]*)"', private.with_suffix(".txt").read_text())
    assert max(map(len, strings)) <= 255
    assert "".join(strings) == f"v=DKIM1; h=sha256; k=rsa; p={key}"


@pytest.mark.parametrize(
    ("domain", "selector", "bits"), [("../x", "s", 2048), ("a.test", "a/b", 2048), ("a.test", "s", 64)]
)
def test_unfit_names_and_sizes_are_refused(tmp_path: Path, domain: str, selector: str, bits: int) -> None:
    with pytest.raises(EditError, match="cannot make a key"):
        make_keys(tmp_path, (domain,), selector=selector, bits=bits)
    assert list(tmp_path.iterdir()) == []
