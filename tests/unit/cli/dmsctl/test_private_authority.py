"""`dmsctl certificate self-signed`: real openssl, real files."""

import subprocess
from pathlib import Path

import pytest

from dmsinit.base.server_name import NoDomain, full_name
from dmsinit.cli.dmsctl.private_authority import Refused, self_signed

NAME = "mail.example.test"


def openssl(*arguments: object) -> str:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=True)
    return done.stdout


def test_exactly_the_three_files_of_the_contract(tmp_path: Path) -> None:
    made = self_signed(NAME, ["imap.example.test"], rsa=False, days=30, force=False, config=tmp_path)
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {f"ssl/{NAME}-key.pem", f"ssl/{NAME}-cert.pem", "ssl/demoCA/cacert.pem"}
    assert {str(path.relative_to(tmp_path)) for path in made} == found
    key, cert, authority = made
    assert key.stat().st_mode & 0o777 == 0o600
    assert openssl("verify", "-purpose", "sslserver", "-verify_hostname", NAME, "-CAfile", authority, cert).endswith(
        "OK\n"
    )
    assert openssl("pkey", "-in", key, "-pubout") == openssl("x509", "-in", cert, "-noout", "-pubkey")
    assert "DNS:imap.example.test" in openssl("x509", "-in", cert, "-noout", "-ext", "subjectAltName")


def test_nothing_is_replaced_unless_asked(tmp_path: Path) -> None:
    first = self_signed(NAME, [], rsa=False, days=30, force=False, config=tmp_path)[0].read_text()
    with pytest.raises(Refused, match="exists already; add --force"):
        self_signed(NAME, [], rsa=False, days=30, force=False, config=tmp_path)
    assert self_signed(NAME, [], rsa=True, days=30, force=True, config=tmp_path)[0].read_text() != first


def test_a_volume_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "ssl").write_text("a file")
    with pytest.raises(Refused, match="mount the volume writable"):
        self_signed(NAME, [], rsa=False, days=30, force=False, config=tmp_path)


@pytest.mark.parametrize(("given", "expected"), [("Mail.Example.TEST.", NAME), ("a.b", "a.b")])
def test_names(given: str, expected: str) -> None:
    assert full_name(given) == expected


def test_the_servers_other_name_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OVERRIDE_HOSTNAME", "other.example.test")
    assert full_name("") == "other.example.test"
    monkeypatch.setenv("OVERRIDE_HOSTNAME", "short")
    with pytest.raises(NoDomain, match="has no domain"):
        full_name("")
