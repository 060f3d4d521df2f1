"""Changes that come faster than a daemon reloads: each is in force soon, and none is refused or kills a daemon."""

import time
from collections.abc import Iterator

import pytest

from tests.image.harness import DOMAIN, Containers, Server, account

CHANGES = 24
GAPS_SECONDS = (0.45, 0.6, 0.8, 0.05)
DETECTOR_LOG = "/var/log/supervisor/changedetector.log"
READY = """dmsctl status {} --json | grep -q '"state": *"ready"'"""


@pytest.fixture(scope="module")
def server(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with Amavis, whose reload takes seconds."""
    server = containers.start(
        {
            "postfix-accounts.cf": account(f"anna@{DOMAIN}"), "spamassassin-rules.cf": "dns_available no\n",
            "services/amavis.toml": '[health]\ninterval = "1000s"\n[stop]\ngrace = "1000s"\n',
        },
        tmp_path_factory.mktemp("reloads"),
        environment={"ENABLE_SPAMASSASSIN": "1", "SA_TAG": "-1000"},
    )  # fmt: skip
    yield server.wait_until_up()
    server.remove()


def started(server: Server, name: str) -> dict[str, str]:
    """Return the children of a service by pid, with the moment of their start (proc_pid_stat(5), field 22)."""
    table = server.checked("sh", "-c", "cat /proc/[0-9]*/stat 2> /dev/null || true").splitlines()
    rows = [(line[: line.index(" ")], line[line.rindex(")") + 2 :].split()) for line in table]
    return {pid: fields[19] for pid, fields in rows if fields[1] == str(server.pids()[name])}


def test_accounts_in_new_domains_one_after_the_other(server: Server) -> None:
    """Each changes the domains that Amavis serves, which executes itself anew to read them."""
    before = server.services()
    for number in range(CHANGES):
        with (server.config / "postfix-accounts.cf").open("a") as file:
            file.write(account(f"user@d{number}.test"))
        time.sleep(GAPS_SECONDS[number % len(GAPS_SECONDS)])  # the pace of whoever adds accounts
    last = f"d{CHANGES - 1}.test"
    server.until(f"grep -q {last} /etc/postfix/vhost && grep -q {last} /etc/dovecot/userdb")
    server.wait_for_line(DETECTOR_LOG, "amavis reload")
    server.checked("dmsctl", "apply")  # it returns when what was changed before is in force
    with server.imap(f"user@{last}"):
        pass
    server.until(READY.format("amavis"))
    after = server.services()
    for name in ("amavis", "dovecot", "postfix", "opendkim"):
        events = [
            line for line in server.checked("dmsctl", "events", "--lines", "500").splitlines() if f" {name}:" in line
        ]
        assert (after[name]["pid"], after[name]["restarts"]) == (before[name]["pid"], before[name]["restarts"]), events
    assert "cannot" not in server.log()
    assert "not in force" not in server.checked("cat", DETECTOR_LOG)
    server.send(f"user@{last}", "to the last one", port=465, login=f"anna@{DOMAIN}")
    assert server.receive(f"user@{last}", "to the last one")["X-Spam-Status"]  # Amavis knows the domain for ours


def test_a_change_does_not_wait_for_the_reload_of_the_one_before(server: Server) -> None:
    master = server.services()["amavis"]
    server.checked("kill", "-STOP", str(master["pid"]))  # its reload takes as long as we want
    for domain in ("meanwhile-1.test", "meanwhile-2.test"):
        with (server.config / "postfix-accounts.cf").open("a") as file:
            file.write(account(f"user@{domain}"))
        server.until(f"grep -q {domain} /etc/postfix/vhost && grep -q {domain} /etc/dovecot/userdb")
        server.until('dmsctl status amavis --json | grep -q \'"state": *"reloading"\'')
    server.checked("kill", "-CONT", str(master["pid"]))
    server.until(READY.format("amavis"))
    assert server.pids()["amavis"] == master["pid"]


@pytest.mark.parametrize("name", ["amavis", "dovecot", "postfix"])
def test_a_reload_returns_when_new_children_serve(server: Server, name: str) -> None:
    before = started(server, name)
    server.checked("dmsctl", "reload", name)
    after = started(server, name)
    renewed = set(after.items()) - set(before.items())
    assert renewed, f"{name} has only its old children: {after}"
    if name == "amavis":
        assert not set(after.items()) & set(before.items())


def test_many_reloads_at_once_are_one_after_the_other(server: Server) -> None:
    pid = server.pids()["amavis"]
    server.checked("bash", "-c", "for n in {1..8}; do dmsctl reload amavis & done; wait")
    states = [line for line in server.checked("dmsctl", "events").splitlines() if " amavis:" in line]
    assert server.pids()["amavis"] == pid
    server.until(READY.format("amavis"))
    assert "backoff" not in "".join(states[-8:])


def test_a_stop_in_the_middle_of_a_reload_is_fast(server: Server) -> None:
    reloading = 'dmsctl status amavis --json | grep -q \'"state": *"reloading"\''
    server.checked("bash", "-c", f"dmsctl reload amavis & until {reloading}; do :; done; dmsctl stop amavis; wait")
    stopping = [line for line in server.checked("dmsctl", "events").splitlines() if " amavis:" in line][-2:]
    assert "stopping" in stopping[0]
    assert "stopped" in stopping[1]
    server.checked("dmsctl", "start", "amavis")
