"""Volumes on file systems that others serve (FUSE here, as NFS and desktop shares).

They send no events, so that the config volume is looked at; and they hang, which PID 1 must not.
"""

from pathlib import Path

from tests.image.harness import DOMAIN, IMAGE, Containers, Server, account

FUSE = Path(__file__).parent / "fuse"
FUSE_IMAGE = "localhost/dmsinit-test-fuse:latest"
OFTEN = '[health]\ninterval = "1s"\ntimeout = "1s"\nfailures = 100\n'


def test_changes_on_a_share_are_found_by_looking(containers: Containers, tmp_path: Path) -> None:
    built = containers.call(
        "build", "--network=host", "--build-arg", f"IMAGE={IMAGE}", "--tag", FUSE_IMAGE, str(FUSE), timeout=300
    )
    assert built.code == 0, built.output
    tmp_path.joinpath("postfix-accounts.cf").write_text(account(f"anna@{DOMAIN}"))
    tmp_path.joinpath("services").mkdir()
    tmp_path.joinpath("services/postfix.toml").write_text(OFTEN)
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
    server.checked("pkill", "-STOP", "-f", "bindfs /share")
    server.checked("touch", "/run/dmsinit/config-changed")
    server.checked("dmsctl", "restart", "cron")
    assert server.services()["cron"]["state"] == "ready"
    server.send(f"anna@{DOMAIN}", "While the share hangs")
    server.receive(f"anna@{DOMAIN}", "While the share hangs")
    server.checked("pkill", "-CONT", "-f", "bindfs /share")
    tmp_path.joinpath("postfix-virtual.cf").write_text(f"shop@{DOMAIN} anna@{DOMAIN}\n")
    server.wait_for_log("configuration applied", count=2)

    # The service logs hang: PID 1 goes on, and what it could not write is written later.
    server.checked("pkill", "-STOP", "-f", "bindfs /logs")
    server.checked("pkill", "-KILL", "-x", "cron")
    server.wait_for_log("cron ended after")
    server.checked("timeout", "20", "dmsctl", "restart", "cron")
    assert server.services()["cron"]["state"] == "ready"
    server.wait_for_log("cannot write log files in /var/log/supervisor")
    server.checked("pkill", "-CONT", "-f", "bindfs /logs")
    server.wait_for_log("log files in /var/log/supervisor are written again; 0 bytes are missing")
    assert "cron ended: killed by SIGKILL" in server.checked("cat", "/var/log/supervisor/cron.log")

    # The state volume hangs, and with it Postfix's sockets, which are asked for ever.
    server.checked("pkill", "-STOP", "-f", "bindfs /state")
    follow = "timeout 60 dmsctl events --follow | grep --line-buffered -m1 'postfix.*unhealthy'"
    server.checked("bash", "-c", follow)
    server.checked("timeout", "20", "dmsctl", "restart", "cron")
    assert server.services()["cron"]["state"] == "ready"
    server.checked("pkill", "-CONT", "-f", "bindfs /state")
    server.send(f"anna@{DOMAIN}", "After the state volume hung")
    server.receive(f"anna@{DOMAIN}", "After the state volume hung")

    server.checked("pkill", "-STOP", "bindfs")
    server.checked("touch", "/run/dmsinit/config-changed")
    server.stop()
    assert server.exit_code() == 0
    server.remove()
