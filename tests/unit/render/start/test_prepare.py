"""What a start repairs."""

import os

import pytest

from dmsinit.render.services.logs import LogFile, Rotation
from dmsinit.render.start import prepare
from dmsinit.settings import exports
from tests.unit.render.conftest import System


def test_time_zone_is_a_link(system: System) -> None:
    system.write("/usr/share/zoneinfo/Asia/Jakarta", "zone")
    system.write("/etc/localtime", "UTC")
    for _ in range(2):
        assert prepare.time_zone("Asia/Jakarta", system.root) == []
        assert os.readlink(system.path("/etc/localtime")) == "/usr/share/zoneinfo/Asia/Jakarta"
    assert system.read("/etc/timezone") == "Asia/Jakarta\n"


@pytest.mark.parametrize("name", ["Mars/Base", "../../../etc/passwd"])
def test_unknown_time_zone_is_a_warning(system: System, name: str) -> None:
    system.write("/etc/localtime", "UTC")
    assert [warning.where for warning in prepare.time_zone(name, system.root)] == ["TZ"]
    assert system.read("/etc/localtime") == "UTC"


def test_empty_time_zone_touches_nothing(system: System) -> None:
    system.write("/etc/localtime", "mounted")
    before = system.tree()
    assert prepare.time_zone("", system.root) == []
    assert system.tree() == before


def test_mounted_directories_can_be_entered(system: System) -> None:
    volume = system.path("/tmp/docker-mailserver")
    volume.chmod(0o700)
    assert prepare.enterable(system.root) == []
    assert volume.stat().st_mode & 0o777 == 0o711


def test_logs_get_their_modes(system: System) -> None:
    log = system.write("/var/log/mail/mail.log", "x", mode=0o666)
    system.path("/var/log/mail").chmod(0o700)
    assert prepare.logs(system.root) == []
    assert log.stat().st_mode & 0o777 == 0o640
    assert system.path("/var/log/mail").stat().st_mode & 0o777 == 0o755


def test_logs_of_services_are_made(system: System) -> None:
    rotated = system.write("/var/log/mail/a.log.1", "x", mode=0o666)
    known = [
        LogFile("a", "/var/log/mail/a.log", Rotation("a"), create=True),
        LogFile("b", "/var/log/b/b.log", Rotation("b"), create=True),
        LogFile("c", "/var/log/mail/c.log", Rotation("c")),
        LogFile("d", "/var/log/mail/d.log", Rotation("d"), create=True, owner="nosuch"),
    ]
    assert prepare.logs(system.root, known) == []
    assert sorted(path.name for path in system.path("/var/log/mail").iterdir()) == ["a.log", "a.log.1"]
    for path in (system.path("/var/log/mail/a.log"), rotated, system.path("/var/log/b/b.log")):
        assert path.stat().st_mode & 0o777 == 0o640


def test_a_log_that_has_a_second_name_is_renamed(system: System) -> None:
    other = system.write("/etc/other", "x", mode=0o600)
    os.link(other, system.write("/var/log/mail/x", "").with_name("a.log"))
    known = [LogFile("a", "/var/log/mail/a.log", Rotation("a"), create=True)]
    (warning,) = [text for text in map(str, prepare.logs(system.root, known)) if "renamed to a.log.aside.1" in text]
    assert "has 2 names (hard links)" in warning
    assert (system.read("/var/log/mail/a.log"), other.read_text()) == ("", "x")


def test_an_id_that_another_account_has_is_named(system: System) -> None:
    system.write("/etc/passwd", "root:x:0:0::/:/bin/sh\ndocker:x:999:999::/:/bin/sh\nsyslog:x:999:999::/:/bin/sh\n")
    (warning,) = prepare.shared_id(999, system.root)
    assert "999 is also the user syslog of the image" in str(warning)
    assert prepare.shared_id(5000, system.root) == []


def test_stale_pid_files_go_and_dmsinits_own_stay(system: System) -> None:
    for name in ("a.pid", "dovecot/master.pid", "dovecot/socket", "dmsinit/own.pid"):
        system.write(f"/run/{name}", "1")
    assert prepare.stale_pid_files(system.root) == 2
    assert system.path("/run/dovecot/socket").exists()
    assert system.path("/run/dmsinit/own.pid").exists()


def test_pid_files_of_others_stay(system: System) -> None:
    lines = (f"36 35 98:0 /x {path} rw - ext4 /dev/root rw\n" for path in ("/run/mysqld", "/run/app/app.pid"))
    system.write("/proc/self/mountinfo", "".join(lines))
    for name in ("mysqld/mysqld.pid", "app/app.pid", "app/other.pid"):
        system.write(f"/run/{name}", "1")
    assert prepare.stale_pid_files(system.root) == 1
    assert not system.path("/run/app/other.pid").exists()


def test_mark_of_the_first_start_stays(system: System) -> None:
    prepare.mark_started(system.root, "2026-01-01")
    prepare.mark_started(system.root, "2027-01-01")
    assert system.read("/CONTAINER_START") == "2026-01-01\n"


def test_exports_replace_those_of_the_last_start() -> None:
    first = prepare.bashrc("alias x=y", exports({"A": "1"}))
    assert first.startswith("alias x=y\n")
    second = prepare.bashrc(first + "export OWN=1\n", exports({"A": "2"}))
    assert "export A='1'" not in second
    assert "export A='2'\n" in second
    assert second.endswith("export OWN=1\n")
    assert prepare.bashrc(second, exports({"A": "2"})) == second


def test_ids_of_the_real_system_are_not_touched_from_a_test_root(system: System) -> None:
    assert prepare.vmail_ids(9042, 9042, system.root) == []
    assert "9042" not in system.read("/etc/passwd")


def test_mail_directory_is_made_for_the_vmail_user(system: System) -> None:
    assert prepare.mail_directory(system.root, os.getuid(), os.getgid()) == []
    assert system.path("/var/mail").is_dir()
