"""What is watched, through which links, and what counts as a change."""

from dmsinit.render.inputs import watched
from dmsinit.render.paths import SNAPSHOT
from dmsinit.settings import load
from tests.unit.render.conftest import System

VOLUME = "/tmp/docker-mailserver"
CONTRACT = (
    "postfix-accounts.cf", "postfix-virtual.cf", "postfix-regexp.cf", "postfix-aliases.cf", "postfix-relaymap.cf",
    "postfix-sasl-password.cf", "dovecot-quotas.cf", "dovecot-masters.cf",
)  # fmt: skip


def paths(system: System, *certificates: str, **environ: str) -> tuple[str, ...]:
    return watched.paths(load(environ, fqdn="mail.example.test").settings, certificates, system.root)


def test_the_contracts_files_are_watched_and_no_other_override(system: System) -> None:
    found = paths(system)
    assert {f"{VOLUME}/{name}" for name in CONTRACT} < set(found)
    assert not {f"{VOLUME}/{name}" for name in ("postfix-main.cf", "dovecot.cf", "user-patches.sh", "opendkim")} & set(
        found
    )
    assert f"{VOLUME}/services" in found


def test_rspamd_files_are_watched_when_it_is_on(system: System) -> None:
    system.volume("rspamd/override.d/a.conf", "")
    assert f"{VOLUME}/rspamd/override.d" in paths(system, ENABLE_RSPAMD="1")
    assert not [path for path in paths(system) if "rspamd" in path]


def test_every_link_on_the_way_is_a_place_to_watch(system: System) -> None:
    system.write("/k8s/..2026/tls.crt", "c")
    system.path("/k8s/..data").symlink_to("..2026")
    system.path("/k8s/tls.crt").symlink_to("..data/tls.crt")
    found = watched.places(["/k8s/tls.crt"], system.root)
    assert {"/k8s/tls.crt", "/k8s/..data", "/k8s/..2026/tls.crt"} < set(found)


def test_links_in_a_watched_directory_are_followed(system: System) -> None:
    system.write("/etc/letsencrypt/archive/m/cert1.pem", "c")
    system.path("/etc/letsencrypt/live/m").mkdir(parents=True)
    system.path("/etc/letsencrypt/live/m/cert.pem").symlink_to("../../archive/m/cert1.pem")
    found = watched.places(["/etc/letsencrypt/live/m"], system.root)
    assert {"/etc/letsencrypt/live/m/cert.pem", "/etc/letsencrypt/archive/m/cert1.pem"} < set(found)


def test_a_file_in_a_watched_directory_is_a_place_of_its_own(system: System) -> None:
    system.volume("services/own.toml", "x")
    assert f"{VOLUME}/services/own.toml" in watched.places([f"{VOLUME}/services"], system.root)


def test_links_in_a_circle_end(system: System) -> None:
    system.path("/loop").symlink_to("/loop")
    assert "/loop" in watched.places(["/loop"], system.root)


def test_a_snapshot_tells_what_changed(system: System) -> None:
    observed = [f"{VOLUME}/postfix-accounts.cf", f"{VOLUME}/services"]
    first = watched.snapshot(observed, system.root)
    assert first.endswith(f"  {VOLUME}/postfix-accounts.cf\n")
    assert len(first.split()[0]) == 128
    system.write(SNAPSHOT, first)
    assert watched.changed(first, system.root) == []
    system.volume("services/own.toml", "x")
    with system.path(f"{VOLUME}/postfix-accounts.cf").open("a") as file:
        file.write("\n")
    second = watched.snapshot(observed, system.root)
    assert watched.changed(second, system.root) == [f"{VOLUME}/postfix-accounts.cf", f"{VOLUME}/services/own.toml"]
    system.write(SNAPSHOT, second)
    system.path(f"{VOLUME}/services/own.toml").unlink()
    assert watched.changed(watched.snapshot(observed, system.root), system.root) == [f"{VOLUME}/services/own.toml"]


def test_file_systems_that_send_no_events_are_recognised(system: System) -> None:
    line = "36 35 0:30 / /tmp/docker-mailserver rw,relatime shared:1 - {} host:/x rw\n"
    for kind, expected in (
        ("nfs4", "nfs4 sends no events"),
        ("fuse.grpcfuse", "fuse.grpcfuse sends no events"),
        ("9p", "9p sends no events"),
        ("ext4", ""),
        ("btrfs", ""),
    ):
        system.write("/proc/self/mountinfo", "22 1 0:20 / / rw - overlay overlay rw\n" + line.format(kind))
        assert watched.silence([f"{VOLUME}/postfix-accounts.cf"], system.root) == expected
