"""Names, links and checksums of an archive."""

import subprocess
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmsinit.archive.layout import PATHS, checksum_line, link_leads_out, objection, split


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize(
    "one",
    [
        member("manifest.json"),
        member("SHA256SUMS"),
        member("mail", tarfile.DIRTYPE),
        member("mail/example.test/anna/cur/1.M1:2,S"),
        member("config/ssl/cert.pem", tarfile.SYMTYPE, "../keys/cert.pem"),
        member("config/link", tarfile.SYMTYPE, "/var/mail-state/x"),
        member("mail/b", tarfile.LNKTYPE, "mail/a"),
        member("mail/..a/...b"),
    ],
    ids=lambda one: one.name,
)
def test_what_backup_writes_may_be_restored(one: tarfile.TarInfo) -> None:
    assert objection(one) == ""


@pytest.mark.parametrize(
    "one",
    [
        member("/etc/passwd"),
        member("mail/../../etc/passwd"),
        member("mail/a/./b"),
        member("mail//etc/passwd"),
        member(".."),
        member(""),
        member("etc/passwd"),
        member("mail"),
        member("manifest.json", tarfile.SYMTYPE, "mail/x"),
        member("mail", tarfile.SYMTYPE, "/var/mail/x"),
        member("mail/x", tarfile.SYMTYPE, "/etc/passwd"),
        member("mail/x", tarfile.SYMTYPE, "../../etc"),
        member("mail/x", tarfile.SYMTYPE, "/var/mail-other"),
        member("mail/x", tarfile.SYMTYPE, "/var/mail/../../etc"),
        member("mail/x", tarfile.LNKTYPE, "/etc/shadow"),
        member("mail/x", tarfile.LNKTYPE, "mail/../etc/shadow"),
        member("mail/x", tarfile.LNKTYPE, "config/postfix-accounts.cf"),
        member("mail/x", tarfile.LNKTYPE, "mail"),
        member("mail/x", tarfile.CHRTYPE),
        member("mail/x", tarfile.BLKTYPE),
        member("mail/x", tarfile.FIFOTYPE),
    ],
    ids=lambda one: f"{one.name}-{one.linkname}",
)
def test_what_leads_out_is_refused(one: tarfile.TarInfo) -> None:
    assert objection(one)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_name_that_passes_leaves_its_volume(name: str) -> None:
    one = member(f"mail/{name}")
    if not objection(one):
        place = Path(PATHS["mail"], split(one.name)[1])
        assert ".." not in place.parts
        assert place.is_relative_to(PATHS["mail"])
        assert place != Path(PATHS["mail"])


def test_links_within_and_between_the_volumes_stay() -> None:
    assert not link_leads_out("mail", "a/b", "../c")
    assert not link_leads_out("mail", "a/b", "/tmp/docker-mailserver/sieve")
    assert link_leads_out("config", "ssl/cert.pem", "/etc/letsencrypt/live/x/cert.pem")


@pytest.mark.parametrize("name", ["plain", "with  spaces", "back\\slash", "new\nline", "return\r", "ümläut", "\udcff"])
def test_sha256sum_understands_the_checksums(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"content")
    (tmp_path / "SHA256SUMS").write_bytes(checksum_line(sha256(b"content").hexdigest(), name))
    done = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr
