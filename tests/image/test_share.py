"""A config volume on a file system that sends no events (FUSE here, as NFS and desktop shares): it is looked at."""

from pathlib import Path

from tests.image.harness import DOMAIN, IMAGE, Containers, Server, account

FUSE = Path(__file__).parent / "fuse"
FUSE_IMAGE = "localhost/dmsinit-test-fuse:latest"


def test_changes_on_a_share_are_found_by_looking(containers: Containers, tmp_path: Path) -> None:
    built = containers.call(
        "build", "--network=host", "--build-arg", f"IMAGE={IMAGE}", "--tag", FUSE_IMAGE, str(FUSE), timeout=300
    )
    assert built.code == 0, built.output
    tmp_path.joinpath("postfix-accounts.cf").write_text(account(f"anna@{DOMAIN}"))
    name = containers.new_name()
    containers.checked(
        "run", "--detach", "--name", name, "--no-healthcheck", "--network=bridge", "--hostname", "mail.example.test",
        "--device", "/dev/fuse", "--cap-add", "SYS_ADMIN", "--security-opt", "apparmor=unconfined",
        "--env", "DMS_CONFIG_POLL=0.2", "--volume", f"{tmp_path}:/share", FUSE_IMAGE,
    )  # fmt: skip
    server = Server(containers, name, tmp_path).wait_until_up()
    assert "fuse sends no events" in server.checked("cat", "/var/log/supervisor/changedetector.log")
    tmp_path.joinpath("postfix-virtual.cf").write_text(f"sales@{DOMAIN} anna@{DOMAIN}\n")
    server.wait_for_log("configuration applied")
    server.send(f"sales@{DOMAIN}", "By the new alias")
    server.receive(f"anna@{DOMAIN}", "By the new alias")

    # The share hangs, as NFS does when its server is gone: all goes on but what needs it, also PID 1.
    server.checked("pkill", "-STOP", "bindfs")
    server.checked("touch", "/run/dmsinit/config-changed")
    server.checked("timeout", "20", "dmsctl", "restart", "cron")
    assert server.services()["cron"]["state"] == "ready"
    server.send(f"anna@{DOMAIN}", "While the share hangs")
    server.receive(f"anna@{DOMAIN}", "While the share hangs")
    server.checked("pkill", "-CONT", "bindfs")
    tmp_path.joinpath("postfix-virtual.cf").write_text(f"shop@{DOMAIN} anna@{DOMAIN}\n")
    server.wait_for_log("configuration applied", count=2)
    server.checked("pkill", "-STOP", "bindfs")
    server.checked("touch", "/run/dmsinit/config-changed")
    assert server.stop() < 20
    server.remove()
