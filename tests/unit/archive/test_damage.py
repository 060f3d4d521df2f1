"""Archives that are not what was written are told from those that are."""

import io
import json
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from dmsinit.archive import ArchiveError, backup, restore, verify
from dmsinit.archive.layout import checksum_line

SUMMARY = {"counts": {"files": 1, "bytes": 1, "directories": 1, "links": 0}}


def whole(place: Path, volumes: dict[str, str]) -> bytes:
    backup(str(place), paths=volumes)
    return place.read_bytes()


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_every_cut_is_noticed(tmp_path: Path, volumes: dict[str, str], suffix: str) -> None:
    place = tmp_path / f"b.tar{suffix}"
    data = whole(place, volumes)
    content = len(data.rstrip(b"\0")) if not suffix else len(data)  # a bare tar ends with zeros that mean nothing
    for share in (0, 1, 30, 60, 90, 99):
        place.write_bytes(data[: content * share // 100])
        with pytest.raises(ArchiveError, match="cannot (read|trust)|zstd failed"):
            verify(str(place))


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_a_changed_byte_is_noticed(tmp_path: Path, volumes: dict[str, str], suffix: str) -> None:
    place = tmp_path / f"b.tar{suffix}"
    data = bytearray(whole(place, volumes))
    at = data.index(b"Subject: seen") if not suffix else len(data) // 2
    data[at] ^= 1
    place.write_bytes(data)
    with pytest.raises(ArchiveError) as raised:
        verify(str(place))
    if not suffix:
        assert str(raised.value).endswith(
            "1 files are not what was backed up: mail/example.test/anna/cur/2.M2.mail:2,S"
        )


def test_no_archive_at_all_is_told(tmp_path: Path) -> None:
    place = tmp_path / "b.tar"
    with pytest.raises(ArchiveError, match="No such file"):
        verify(str(place))
    place.write_text("Dear diary,\n" * 100)
    with pytest.raises(ArchiveError, match="it is damaged or no archive"):
        verify(str(place))


def test_another_tar_is_not_taken_for_a_backup(tmp_path: Path) -> None:
    place = tmp_path / "b.tar"
    with tarfile.open(place, "w") as tar:
        tar.addfile(tarfile.TarInfo("home/anna/letter"))
    with pytest.raises(ArchiveError, match="home/anna/letter: it does not belong to any volume; it was not made by"):
        verify(str(place))


def forged(place: Path, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], None], fmt: int = 1) -> str:
    """Write an archive that is right in all but what `change` does to its members; the checksums are right, too."""
    volumes = {"mail": {"path": "/var/mail", "files": 1, "bytes": 1}}
    manifest = json.dumps({"format": fmt, "volumes": volumes}).encode()
    folder = tarfile.TarInfo("mail")
    folder.type, folder.mode = tarfile.DIRTYPE, 0o755
    members = [
        (tarfile.TarInfo("manifest.json"), manifest),
        (folder, b""),
        (tarfile.TarInfo("mail/x"), b"x"),
        (tarfile.TarInfo("summary.json"), json.dumps(SUMMARY).encode()),
    ]
    change(members)
    sums = b"".join(checksum_line(sha256(data).hexdigest(), info.name) for info, data in members if info.isreg())
    with tarfile.open(place, "w") as tar:
        for info, data in [*members, (tarfile.TarInfo("SHA256SUMS"), sums)]:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return str(place)


def test_the_forgery_without_a_change_is_fine(tmp_path: Path) -> None:
    assert verify(forged(tmp_path / "b.tar", lambda members: None)).counts.files == 1


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


@pytest.mark.parametrize(
    ("extra", "cause"),
    [
        ((tarfile.TarInfo("../etc/passwd"), b"x"), "its name points outside"),
        ((tarfile.TarInfo("/etc/passwd"), b"x"), "its name points outside"),
        (link("mail/etc", "/etc"), "a link that points outside"),
        (link("mail/etc", "/etc/shadow", tarfile.LNKTYPE), "a link that points outside"),
        ((tarfile.TarInfo("manifest.json"), b"{}"), "is not where it belongs"),
    ],
)
def test_an_archive_that_means_harm_is_refused_whole(
    tmp_path: Path, empty: dict[str, str], extra: tuple[tarfile.TarInfo, bytes], cause: str
) -> None:
    place = forged(tmp_path / "b.tar", lambda members: members.insert(3, extra))
    with pytest.raises(ArchiveError, match=cause):
        restore(place, paths=empty, mounted=False)
    assert list(Path(empty["mail"]).iterdir()) == []


def test_a_link_within_the_volume_is_no_way_to_write_elsewhere(tmp_path: Path, empty: dict[str, str]) -> None:
    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        members[2:3] = [link("mail/way", "/tmp/docker-mailserver"), (tarfile.TarInfo("mail/way/x"), b"x")]
        members[-1] = (members[-1][0], json.dumps({"counts": {**SUMMARY["counts"], "links": 1}}).encode())

    place = forged(tmp_path / "b.tar", change)
    with pytest.raises(ArchiveError, match="cannot restore mail/way/x"):
        restore(place, paths=empty, mounted=False)


def test_a_later_format_is_not_guessed_at(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="made by a later release"):
        verify(forged(tmp_path / "b.tar", lambda members: None, fmt=2))


def test_a_missing_member_is_noticed(tmp_path: Path) -> None:
    def change(members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        del members[1]

    with pytest.raises(ArchiveError, match="holds 0 directories and should hold 1"):
        verify(forged(tmp_path / "b.tar", change))


def test_standard_input_is_verified_and_never_restored() -> None:
    with pytest.raises(ArchiveError, match="an archive is proven before it is used"):
        restore("-")
