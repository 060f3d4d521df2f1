"""Backup, verify, restore: real files, all three forms."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from dmsinit.archive import ArchiveError, backup, restore, verify
from tests.unit.archive.conftest import fill


def tree(root: str) -> dict[str, tuple[object, ...]]:
    """Return everything below a directory with what is to be the same after a restore."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted([Path(root), *Path(root).rglob("*")]):
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        attributes = {name: os.getxattr(path, name) for name in os.listxattr(path, follow_symlinks=False)}
        found[str(path.relative_to(root))] = (
            status.st_mode, status.st_uid, status.st_gid, round(status.st_mtime, 5), content, tuple(attributes.items()),
        )  # fmt: skip
    return found


def enrich(volumes: dict[str, str]) -> None:
    """Add what archives get wrong: links, odd names, old times, sparse and empty files, attributes."""
    config, mail = Path(volumes["config"]), Path(volumes["mail"])
    fill(config, {"ümläut \udcff\nline": "x", "empty": "", "a" * 200 + "/" + "b" * 200: b"\0" * 70_000})
    os.link(mail / "example.test/anna/new/1.M1.mail", mail / "example.test/anna/cur/4.M4.mail:2,")
    os.symlink("postfix-accounts.cf", config / "accounts")
    os.symlink("/var/mail/example.test", config / "absolute")
    os.symlink("nowhere", config / "broken")
    (config / "empty").chmod(0o4751)
    os.utime(config / "empty", (1.5, 981173106.25))
    os.utime(config / "opendkim", (1, 1))
    os.setxattr(config / "empty", "user.note", b"\xff\0binary\n")
    if os.geteuid() == 0:
        os.chown(mail / "example.test/anna/new/1.M1.mail", 5000, 5001)
        os.chown(config / "broken", 7, 8, follow_symlinks=False)


@pytest.mark.parametrize("name", ["backup.tar", "backup.tar.gz", "backup.tar.zst"])
def test_everything_comes_back(tmp_path: Path, volumes: dict[str, str], empty: dict[str, str], name: str) -> None:
    enrich(volumes)
    place = str(tmp_path / name)
    written = backup(place, logs=True, paths=volumes)
    assert written.warnings == []
    assert Path(place).stat().st_mode & 0o777 == 0o600
    verified = verify(place)
    assert verified.counts == written.counts
    restored = restore(place, paths=empty, mounted=False)
    assert restored.warnings == []
    for volume in volumes:
        assert tree(empty[volume]) == tree(volumes[volume])
    box = Path(empty["mail"], "example.test", "anna")
    assert (box / "new/1.M1.mail").samefile(box / "cur/4.M4.mail:2,")


def test_the_manifest_comes_first_and_tools_can_check_all(tmp_path: Path, volumes: dict[str, str]) -> None:
    place = tmp_path / "backup.tar"
    manifest = backup(str(place), paths=volumes).manifest
    assert manifest["volumes"]["mail"] == {"path": "/var/mail", "files": 2, "bytes": 29}
    assert "mail-logs" not in manifest["volumes"]
    with tarfile.open(place) as tar:
        names = tar.getnames()
    assert (names[0], names[-1]) == ("manifest.json", "SHA256SUMS")
    work = tmp_path / "unpacked"
    work.mkdir()
    subprocess.run(["tar", "-xf", place], cwd=work, check=True)
    subprocess.run(["sha256sum", "--quiet", "--check", "--strict", "SHA256SUMS"], cwd=work, check=True)


def test_nothing_is_replaced_unless_asked(tmp_path: Path, volumes: dict[str, str]) -> None:
    place = tmp_path / "backup.tar.gz"
    place.write_text("precious")
    with pytest.raises(ArchiveError, match="it exists; choose another name, or add --force"):
        backup(str(place), paths=volumes)
    assert place.read_text() == "precious"
    backup(str(place), force=True, paths=volumes)
    assert verify(str(place)).counts.files == 5


def test_a_backup_that_fails_leaves_nothing_behind(tmp_path: Path, volumes: dict[str, str]) -> None:
    folder = tmp_path / "target"
    folder.mkdir()
    program = (
        "import sys, json, resource, signal; from dmsinit.archive import backup, ArchiveError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "try: backup(sys.argv[1], paths=json.loads(sys.argv[2]))\n"
        "except ArchiveError as error: sys.exit(str(error))\n"
    )
    fill(Path(volumes["mail"]), {"big": os.urandom(300_000)})
    for name in ("x.tar", "x.tar.gz", "x.tar.zst"):
        command = [sys.executable, "-c", program, str(folder / name), json.dumps(volumes)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[3])
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert done.stderr.startswith(("cannot write", "zstd failed: ")), done.stderr
        assert list(folder.iterdir()) == []


def test_an_archive_in_a_volume_does_not_hold_itself(volumes: dict[str, str]) -> None:
    place = f"{volumes['config']}/backup.tar"
    backup(place, paths=volumes)
    with tarfile.open(place) as tar:
        assert not [name for name in tar.getnames() if "backup.tar" in name]


def test_links_out_of_the_volumes_are_told(tmp_path: Path, volumes: dict[str, str]) -> None:
    os.symlink("/etc/letsencrypt/live/x.pem", f"{volumes['config']}/cert.pem")
    result = backup(str(tmp_path / "b.tar"), paths=volumes)
    assert result.warnings == [
        "links that point outside the volumes are not in the backup: /tmp/docker-mailserver/cert.pem"
    ]
    verify(str(tmp_path / "b.tar"))


def test_without_a_state_volume_that_is_told(tmp_path: Path, volumes: dict[str, str]) -> None:
    shutil.rmtree(volumes["mail-state"])
    (warning,) = backup(str(tmp_path / "b.tar"), paths=volumes).warnings
    assert "is not mounted: the mail queue" in warning


def test_volumes_with_something_in_them_are_refused(
    tmp_path: Path, volumes: dict[str, str], empty: dict[str, str]
) -> None:
    place = str(tmp_path / "b.tar")
    backup(place, paths=volumes)
    fill(Path(empty["mail"]), {"example.test/anna/new/1.M1.mail": "other", "example.test/bob/new/5.M5": "bob's"})
    with pytest.raises(ArchiveError, match="is not empty; use an empty volume, or add --force"):
        restore(place, paths=empty, mounted=False)
    restore(place, force=True, paths=empty, mounted=False)
    assert Path(empty["mail"], "example.test/anna/new/1.M1.mail").read_text() == "Subject: new\n\n"
    assert Path(empty["mail"], "example.test/bob/new/5.M5").read_text() == "bob's"


def test_a_directory_that_is_no_volume_is_refused(
    tmp_path: Path, volumes: dict[str, str], empty: dict[str, str]
) -> None:
    place = str(tmp_path / "b.tar")
    backup(place, paths=volumes)
    missing = {**empty, "mail": str(tmp_path / "missing")}
    with pytest.raises(ArchiveError, match="missing is not a volume: what is restored there would be lost"):
        restore(place, paths=missing, mounted=False)


def test_links_in_the_volumes_are_never_followed(
    tmp_path: Path, volumes: dict[str, str], empty: dict[str, str]
) -> None:
    place = str(tmp_path / "b.tar")
    backup(place, paths=volumes)
    outside = tmp_path / "outside"
    outside.mkdir()
    os.symlink(outside, f"{empty['mail']}/example.test")
    with pytest.raises(ArchiveError, match="half restored: remove the cause"):
        restore(place, force=True, paths=empty, mounted=False)
    assert list(outside.iterdir()) == []


def test_a_server_that_runs_elsewhere_is_noticed(
    tmp_path: Path, volumes: dict[str, str], empty: dict[str, str]
) -> None:
    place = str(tmp_path / "b.tar")
    backup(place, paths=volumes)
    fill(Path(empty["mail-state"]), {"spool-postfix/pid/master.pid": "1\n"})
    lock = f"{empty['mail-state']}/spool-postfix/pid/master.pid"
    program = (
        "import fcntl, sys; f = open(sys.argv[1], 'r+'); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); input()"
    )
    command = [sys.executable, "-c", program, lock]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as master:
        assert master.stdout is not None
        master.stdout.readline()
        with pytest.raises(ArchiveError, match="a server in another container runs on"):
            restore(place, force=True, paths=empty, mounted=False)
        master.communicate(b"\n")
    restore(place, force=True, paths=empty, mounted=False)


def test_a_server_that_runs_here_is_noticed(
    tmp_path: Path, volumes: dict[str, str], empty: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = str(tmp_path / "b.tar")
    backup(place, paths=volumes)
    monkeypatch.setenv("DMSINIT_SOCKET", str(tmp_path / "control.sock"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "control.sock"))
        listener.listen()
        with pytest.raises(ArchiveError, match="cannot restore while the server runs; stop its container"):
            restore(place, paths=empty, mounted=False)
