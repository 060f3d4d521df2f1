"""Daemons that are full of work: busy, and left to it. Impatient probes make a minute's load do."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from tests.image.harness import DOMAIN, Containers, Server, account, letter
from tests.image.test_clamav import SIGNATURE, state_volume

ANNA = f"anna@{DOMAIN}"
IMPATIENT = '[health]\ninterval = "1s"\ntimeout = "500ms"\nfailures = 2\n'
LETTERS = 5
PARTS = 24


@pytest.fixture(scope="module")
def full(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose Amavis scans one message at a time, and whose clamd has two threads."""
    server = containers.start(
        {
            "postfix-accounts.cf": account(ANNA),
            "amavis.cf": "$max_servers = 1;\n1;\n",
            "spamassassin-rules.cf": "dns_available no\n",
            "services/amavis.toml": IMPATIENT,
            "services/clamav.toml": IMPATIENT,
            "user-patches.sh": "printf 'MaxThreads 2\\nMaxQueue 100\\n' >> /etc/clamav/clamd.conf\n",
        },
        tmp_path_factory.mktemp("full"),
        environment={"ENABLE_SPAMASSASSIN": "1", "ENABLE_CLAMAV": "1"},
        options=state_volume(tmp_path_factory.mktemp("state"), signatures=SIGNATURE),
    )
    yield server.wait_until_up()
    server.remove()


def long_letter(subject: str) -> EmailMessage:
    """Return a message of many parts, each of which Amavis unpacks and looks at."""
    message = letter(ANNA, subject, ANNA)
    for part in range(PARTS):
        message.add_attachment(f"<p>Part {part} of {subject}</p>\n" * 100, subtype="html", filename=f"{part}.html")
    return message


def test_amavis_at_long_messages_is_busy(full: Server) -> None:
    pid = full.pids()["amavis"]
    with full.smtp(465, login=ANNA) as smtp:
        for number in range(LETTERS):
            smtp.sendmail(ANNA, [ANNA], long_letter(f"long {number}").as_bytes())
    full.until("dmsctl events | grep -q 'amavis: .* → busy'")
    assert full.run("dmsctl", "health").code == 0
    assert full.json("dmsctl", "status", "--json")["state"] == "ready"
    full.until("[ $(postqueue -j | wc -l) = 0 ]")
    full.until('dmsctl status amavis --json | grep -q \'"state": "ready"\'')
    service = full.services()["amavis"]
    assert (service["pid"], service["restarts"]) == (pid, 0)
    assert full.receive(ANNA, f"long {LETTERS - 1}")["X-Virus-Scanned"] == "Yes"
    metrics = full.checked("dmsctl", "metrics")
    assert 'dms_service_busy_total{service="amavis"} 0.0' not in metrics
    assert 'dms_service_busy_total{service="amavis"}' in metrics


def test_one_that_is_suspended_amid_its_work_is_replaced(full: Server) -> None:
    before = full.services()["amavis"]
    busy = full.checked("dmsctl", "events").count("→ busy")
    with full.smtp(465, login=ANNA) as smtp:
        for number in range(LETTERS):
            smtp.sendmail(ANNA, [ANNA], long_letter(f"suspended {number}").as_bytes())
    full.until(f"[ $(dmsctl events | grep -c '→ busy') -gt {busy} ]")
    full.checked("kill", "-STOP", str(before["pid"]))
    full.until(f"dmsctl status amavis --json | grep -q '\"restarts\": {before['restarts'] + 1},'")
    assert full.services()["amavis"]["last_exit"]["cause"] == "probe-failed"


def test_clamd_with_all_threads_scanning_is_not_restarted(full: Server) -> None:
    pid = full.pids()["clamav"]
    full.checked("sh", "-c", "for n in $(seq 60); do cat /usr/lib/*-linux-gnu/libcrypto.so.3; done > /tmp/large")
    scans = [threading.Thread(target=full.run, args=("clamdscan", "--stream", "/tmp/large")) for _ in range(6)]
    for scan in scans:
        scan.start()
    for scan in scans:
        scan.join()
    full.until('dmsctl status clamav --json | grep -q \'"state": "ready"\'')
    service = full.services()["clamav"]
    assert (service["pid"], service["restarts"]) == (pid, 0)


@pytest.fixture(scope="module")
def crowded(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with Rspamd and Postgrey, whose Postfix has ten processes for each port."""
    impatient = '[health]\ninterval = "1s"\ntimeout = "300ms"\nfailures = 2\n'
    server = containers.start(
        {
            "postfix-accounts.cf": account(ANNA),
            "postfix-main.cf": "default_process_limit = 10\n",
            **{f"services/{name}.toml": impatient for name in ("rspamd", "postgrey", "postfix")},
        },
        tmp_path_factory.mktemp("crowded"),
        environment={
            "ENABLE_RSPAMD": "1", "ENABLE_POSTGREY": "1", "ENABLE_AMAVIS": "0", "ENABLE_OPENDKIM": "0",
            "ENABLE_OPENDMARC": "0", "ENABLE_POLICYD_SPF": "0",
        },
    )  # fmt: skip
    yield server.wait_until_up()
    server.remove()


POLICY = """
import socket, sys, threading, time
end = time.monotonic() + 8
def ask(client):
    number = 0
    while time.monotonic() < end:
        number += 1
        with socket.create_connection(("127.0.0.1", 10023)) as asking:
            asking.sendall((
                "request=smtpd_access_policy\\nprotocol_state=RCPT\\nprotocol_name=ESMTP\\n"
                f"client_address=192.0.2.{client}\\nclient_name=c{number}.test\\nsender=s{number}@outside.test\\n"
                f"recipient=anna@example.test\\ninstance={client}.{number}\\n\\n"
            ).encode())
            asking.recv(1000)
threads = [threading.Thread(target=ask, args=(client,)) for client in range(100)]
[one.start() for one in threads]
[one.join() for one in threads]
"""
SCAN = (
    "for n in 1 2 3 4 5 6; do rspamc -t 60 -h 127.0.0.1:11332 $(yes /tmp/long.eml | head -40) > /dev/null & done; wait"
)


@pytest.mark.parametrize(("name", "load"), [("postgrey", ("python3", "-c", POLICY)), ("rspamd", ("bash", "-c", SCAN))])
def test_one_with_more_clients_than_it_serves(crowded: Server, name: str, load: tuple[str, ...]) -> None:
    before = crowded.services()[name]
    crowded.run("tee", "/tmp/long.eml", stdin=long_letter("long").as_string())
    crowded.checked(*load)
    crowded.until(f'dmsctl status {name} --json | grep -q \'"state": "ready"\'')
    after = crowded.services()[name]
    assert (after["pid"], after["restarts"]) == (before["pid"], before["restarts"])


def test_postfix_with_all_its_processes_taken(crowded: Server) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(11):
            stack.enter_context(socket.create_connection((crowded.address, 587)))
        crowded.until("[ $(pgrep -c smtpd) -ge 10 ]")
        seen = crowded.run("timeout", "5", "dmsctl", "events", "--follow", "--lines", "0").output
    assert "postfix" not in seen  # in the time of five probes
    assert crowded.services()["postfix"]["state"] == "ready"
