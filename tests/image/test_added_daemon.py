"""A daemon that is files only: its TOML file, its template and its program, put into a server that runs, and taken out.

Nothing in dmsinit knows of it. What a service may say in its file is tried here on one that says all of it.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from smtplib import SMTPSenderRefused

import pytest

from tests.image.harness import DOMAIN, HOSTNAME, Containers, Server, account

ANNA = f"anna@{DOMAIN}"
FILES = Path(__file__).parent / "greeter"
SHARE = "/usr/share/dmsinit"
LOG = "/var/log/mail/greeter.log"
MILTERS = "smtpd_milters = inet:127.0.0.1:8899\n"
OFF = "enabled = false\n"


def put(server: Server, name: str, place: str) -> None:
    """Copy one of the daemon's files into the image's place for it."""
    script = 'install -D -m "$1" /dev/stdin "$2"'
    mode = "755" if name == "greeter" else "644"
    result = server.run("sh", "-c", script, "sh", mode, f"{SHARE}/{place}", stdin=(FILES / name).read_text())
    assert result.code == 0, result.output


@pytest.fixture(scope="module")
def greeted(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server to which the daemon is added while it runs."""
    config, state = tmp_path_factory.mktemp("config"), tmp_path_factory.mktemp("state")
    server = containers.start(
        {"postfix-accounts.cf": account(ANNA), "services/opendkim.toml": OFF, "services/opendmarc.toml": OFF},
        config,
        options=["--volume", f"{state}:/var/mail-state"],
    ).wait_until_up()
    put(server, "greeter", "libexec/greeter")
    put(server, "greeter.conf.j2", "templates/etc/greeter.conf.j2")
    (config / "postfix-main.cf").write_text(MILTERS)
    (config / "services" / "greeter.toml").write_text((FILES / "greeter.toml").read_text())
    server.checked("dmsctl", "apply")
    yield server
    server.remove()


def test_it_is_rendered_and_started_before_what_waits_for_it(greeted: Server) -> None:
    assert f"Greeting welcome to {HOSTNAME}\n" in greeted.checked("cat", "/etc/greeter.conf")
    assert greeted.services()["greeter"]["state"] == "ready"
    plan = {service["name"]: service for service in greeted.json("dmsctl", "plan", "--current")["services"]}
    assert "greeter" in plan["postfix"]["wants"]
    assert "greeter" in plan["postfix"]["pauses_for"]


def test_mail_passes_it_and_its_log_is_its_own(greeted: Server) -> None:
    greeted.send(ANNA, "greeted")
    assert greeted.receive(ANNA, "greeted")["X-Greeter"] == f"welcome to {HOSTNAME}"
    assert greeted.checked("stat", "-c", "%U %a", LOG) == "daemon 640\n"
    greeted.checked("logrotate", "--force", "/etc/logrotate.d/greeter")
    assert greeted.checked("cat", f"{LOG}.1") == "a message was greeted\n"
    assert greeted.checked("stat", "-c", "%U %s", LOG) == "daemon 0\n"


def test_what_it_keeps_is_in_the_state_volume_and_in_a_backup(greeted: Server) -> None:
    before = greeted.run("cat", "/var/lib/greeter/count").output
    greeted.send(ANNA, "counted")
    greeted.receive(ANNA, "counted")
    assert greeted.checked("readlink", "/var/lib/greeter") == "/var/mail-state/lib-greeter\n"
    assert greeted.checked("stat", "-c", "%U %a", "/var/mail-state/lib-greeter") == "daemon 700\n"
    greeted.checked("dmsctl", "backup", "/root/b.tar")
    count = greeted.checked("tar", "-xOf", "/root/b.tar", "mail-state/lib-greeter/count")
    assert count != before
    assert int(count) >= 1


def test_one_that_hangs_is_restarted_while_mail_waits(greeted: Server) -> None:
    before = greeted.services()["greeter"]
    greeted.checked("kill", "-STOP", str(before["pid"]))
    while True:  # a session waits for it, and is refused for now when it is killed
        with suppress(SMTPSenderRefused):
            greeted.send(ANNA, "while it hangs")
            break
    assert greeted.receive(ANNA, "while it hangs")["X-Greeter"] == f"welcome to {HOSTNAME}"
    assert greeted.services()["greeter"]["restarts"] == before["restarts"] + 1


def test_a_file_of_the_config_volume_replaces_its_own_unless_its_checker_objects(greeted: Server) -> None:
    override = greeted.config / "greeter.cf"
    override.write_text("Socket 8899@127.0.0.1\nGreeting hello\n")
    assert "greeter" in greeted.checked("dmsctl", "apply")
    greeted.send(ANNA, "with another greeting")
    assert greeted.receive(ANNA, "with another greeting")["X-Greeter"] == "hello"
    override.write_text("Socket 8899@127.0.0.1\nGreetin hello\n")
    refused = greeted.run("dmsctl", "apply")
    assert refused.code == 1
    assert "greeter.cf:2: unknown setting: Greetin; write Socket or Greeting" in refused.output
    assert "Greeting hello\n" in greeted.checked("cat", "/etc/greeter.conf")
    override.unlink()
    greeted.checked("dmsctl", "apply")
    assert f"Greeting welcome to {HOSTNAME}\n" in greeted.checked("cat", "/etc/greeter.conf")


def test_it_is_removed_with_its_files(greeted: Server) -> None:
    (greeted.config / "postfix-main.cf").unlink()
    greeted.checked("rm", f"{SHARE}/templates/etc/greeter.conf.j2", f"{SHARE}/libexec/greeter")
    (greeted.config / "services" / "greeter.toml").unlink()
    greeted.checked("dmsctl", "apply")
    assert "greeter" not in greeted.services()
    assert greeted.run("ls", "/etc/greeter.conf", "/etc/logrotate.d/greeter").output.count("No such file") == 2
    greeted.send(ANNA, "without it")
    assert greeted.receive(ANNA, "without it")["X-Greeter"] is None


def test_nobody_asks_a_service_that_is_turned_off(greeted: Server) -> None:
    assert greeted.checked("postconf", "-h", "smtpd_milters", "non_smtpd_milters").split() == []
    assert greeted.services()["opendkim"]["state"] == "disabled"
