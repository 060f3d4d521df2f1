"""Which keys sign, and their public halves: real openssl, real keys."""

import subprocess
from base64 import b64decode
from pathlib import Path

from dmsinit.doctor.keys import key_table, public_half, rspamd, tags
from dmsinit.volume import dkim, rspamd_dkim


def test_the_public_half_is_what_was_to_be_published(tmp_path: Path) -> None:
    dkim.make_keys(tmp_path, ("example.test",), selector="mail", bits=1024)
    root = tmp_path / "opendkim"
    table = (root / "KeyTable").read_text().replace(dkim.INSTALLED, str(root / "keys"))
    (key,) = key_table(table)
    assert (key.domain, key.selector, key.signer, key.problem) == ("example.test", "mail", "OpenDKIM", "")
    zone = (root / "keys" / "example.test" / "mail.txt").read_text()
    assert key.public in zone.replace('"', "").replace("\n", "").replace("\t", "").replace(" ", "")


def test_rspamds_keys_of_both_kinds(tmp_path: Path) -> None:
    made = [
        rspamd_dkim.make_key(tmp_path, "example.test", selector="rsa", kind="rsa", bits=1024),
        rspamd_dkim.make_key(tmp_path, "example.test", selector="ed25519", kind="ed25519", bits=1024),
    ]
    selectors = [{"selector": f"s{number}", "path": str(one.private)} for number, one in enumerate(made)]
    found = list(rspamd({"domain": {"example.test": {"selectors": selectors}}}))
    assert [f"p={key.public}" for key in found] == [one.record.rpartition(" ")[2] for one in made]
    assert len(b64decode(found[1].public)) == 32
    (single,) = rspamd({"domain": {"example.test": {"selector": "x", "path": str(made[0].private)}}})
    assert (single.selector, single.public) == ("x", found[0].public)


def test_keys_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    nonsense = tmp_path / "key"
    for content in (b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\nAA\n-----END PRIVATE KEY-----\n", b"\xff\xfe"):
        nonsense.write_bytes(content)
        assert public_half(nonsense) == ""
    (key,) = key_table(f"s._domainkey.x x.test:s:{tmp_path}/missing\n")
    assert key.problem == f"{tmp_path}/missing: its private key cannot be read"


def test_an_encrypted_key_asks_nobody(tmp_path: Path) -> None:
    path = tmp_path / "key"
    command = ["openssl", "genpkey", "-algorithm", "ED25519", "-aes256", "-pass", "pass:test", "-out", str(path)]
    subprocess.run(command, check=True)
    assert public_half(path) == ""


def test_a_key_table_with_comments_and_nonsense() -> None:
    text = "# comment\n\nname\nname a.test\nname a.test:s\nname a.test:s:/x # end\n"
    assert [(key.domain, key.selector) for key in key_table(text)] == [("a.test", "s")]


def test_without_domains_rspamd_has_no_keys() -> None:
    assert list(rspamd({})) == []
    assert list(rspamd({"domain": {"a.test": {"path": "/x"}}})) == []


def test_tags() -> None:
    assert tags("v=DKIM1; k=rsa ;p=AB CD==; t=y") == {"v": "DKIM1", "k": "rsa", "p": "ABCD==", "t": "y"}
