"""ClamAV behind Amavis: viruses are kept, nothing passes unscanned, and too little memory harms nobody else."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.conftest import Start
from tests.image.harness import DOMAIN, Containers, Server, account, letter

ANNA = f"anna@{DOMAIN}"
EICAR = r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
SIGNATURE = f"Eicar-Test-Signature:0:*:{EICAR.encode().hex()}\n"
QUEUED = 'postqueue -j | grep -q \'"queue_name": "deferred"\''


def state_volume(directory: Path, *, signatures: str = "") -> list[str]:
    """Return options for a state volume, with signatures if need be."""
    databases = directory / "state" / "lib-clamav"
    databases.mkdir(parents=True)
    if signatures:
        (databases / "test.ndb").write_text(signatures)
    return ["--volume", f"{directory / 'state'}:/var/mail-state"]


def send_text(server: Server, subject: str, text: str) -> None:
    message = letter(ANNA, subject, f"outside@{DOMAIN}")
    message.set_content(text)
    with server.smtp(465, login=ANNA) as smtp:
        smtp.sendmail(ANNA, [ANNA], message.as_bytes())


@pytest.fixture(scope="module")
def scanner(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("clamav")
    server = containers.start(
        {"postfix-accounts.cf": account(ANNA)}, tmp_path_factory.mktemp("clamav-config"),
        environment={"ENABLE_CLAMAV": "1"}, options=state_volume(folder, signatures=SIGNATURE),
    )  # fmt: skip
    yield server.wait_until_up()
    server.remove()


def test_signatures_on_a_mount_of_their_own_stay_there(start: Start, tmp_path: Path) -> None:
    signatures = tmp_path / "signatures" / "test.ndb"
    signatures.parent.mkdir()
    signatures.write_text(SIGNATURE)
    server = start(
        environment={"ENABLE_CLAMAV": "1"},
        options=[*state_volume(tmp_path), "--volume", f"{signatures.parent}:/var/lib/clamav"],
    ).wait_until_up()
    assert server.services()["clamav"]["state"] == "ready"
    assert signatures.read_text() == SIGNATURE
    assert server.checked("readlink", "/var/lib/amavis").strip() == "/var/mail-state/lib-amavis"


def test_a_virus_reaches_no_mailbox(scanner: Server) -> None:
    send_text(scanner, "infected", EICAR + "\n")
    scanner.wait_for_log("Blocked INFECTED (Eicar-Test-Signature")
    send_text(scanner, "harmless", "Hello\n")
    assert scanner.receive(ANNA, "harmless")["X-Virus-Scanned"] == "Yes"
    with scanner.imap(ANNA) as imap:
        imap.select("INBOX")
        assert imap.search(None, "SUBJECT", "infected")[1] == [b""]
    assert (
        scanner.checked("sh", "-c", "find /var/mail-state/lib-amavis/virusmails -name 'virus-*' | wc -l").strip() == "1"
    )


ASKED = """
import os, signal, socket, subprocess, sys
pid = int(sys.argv[1])
os.makedirs("/tmp/unpacked", exist_ok=True)
with open("/tmp/unpacked/part", "w") as file:
    file.write(sys.argv[2])
os.kill(pid, signal.SIGSTOP)
with socket.socket(socket.AF_UNIX) as client:
    client.connect("/run/clamav/clamd.ctl")
    client.sendall(b"SCAN /tmp/unpacked\\n")
    subprocess.run(["dmsctl", "restart", "clamav"], check=True, stdout=subprocess.DEVNULL)
    try:
        print(client.recv(1000).decode())
    except ConnectionResetError:
        print("no answer")
"""
"""A question to clamd that it has not heard yet when it is restarted."""


def test_clamd_does_not_vouch_for_what_it_has_not_scanned(scanner: Server) -> None:
    """Told to end by TERM, it leaves the work it has and answers OK."""
    for _ in range(5):
        pid = str(scanner.pids()["clamav"])
        answer = scanner.containers.checked("exec", scanner.name, "python3", "-c", ASKED, pid, EICAR)
        assert "OK" not in answer


def test_who_scans_changes_nothing_of_amavis(scanner: Server) -> None:
    """clamd parses what strangers send; it is of Amavis' group, to read what is unpacked."""
    find = "find /var/lib/amavis/ -writable ! -type s ! -type l"
    found = scanner.checked("setpriv", "--reuid=clamav", "--regid=clamav", "--init-groups", "sh", "-c", f"{find}; true")
    assert [line for line in found.splitlines() if line.startswith("/")] == []


def test_its_logs_are_its_own(scanner: Server) -> None:
    listing = scanner.checked("stat", "-c", "%n %U:%G %a", "/var/log/mail/clamav.log", "/var/log/mail/freshclam.log")
    assert listing == "/var/log/mail/clamav.log clamav:adm 640\n/var/log/mail/freshclam.log clamav:adm 640\n"
    assert "Self checking" in scanner.checked("cat", "/var/log/mail/clamav.log")
    assert scanner.services()["freshclam"]["state"] in ("starting", "exited", "backoff")
    assert scanner.run("grep", "-r", "freshclam", "/etc/cron.d").code == 1


def test_without_clamd_mail_waits_and_then_arrives_scanned(scanner: Server) -> None:
    scanner.checked("dmsctl", "stop", "clamav")
    send_text(scanner, "late", "Hello\n")
    send_text(scanner, "late and infected", EICAR + "\n")
    scanner.until(f"[ $({QUEUED.replace('-q', '-c')}) = 2 ]")
    with scanner.imap(ANNA) as imap:
        imap.select("INBOX")
        assert imap.search(None, "SUBJECT", "late")[1] == [b""]
    scanner.checked("dmsctl", "start", "clamav")
    assert scanner.receive(ANNA, "late")["Subject"] == "late"
    scanner.until("postqueue -j | wc -l | grep -qx 0")
    with scanner.imap(ANNA) as imap:
        imap.select("INBOX")
        assert imap.search(None, "SUBJECT", '"late and infected"')[1] == [b""]


def test_new_signatures_are_loaded_without_a_gap(scanner: Server) -> None:
    before = scanner.services()["clamav"]
    word = "something that nobody likes any more"
    line = f"Own.Word:0:*:{word.encode().hex()}"
    scanner.checked("sh", "-c", f"echo '{line}' > /tmp/own.ndb && mv /tmp/own.ndb /var/lib/clamav/own.ndb")
    scanner.checked("dmsctl", "reload", "clamav")
    scanner.until("grep -q 'Database correctly reloaded' /var/log/mail/clamav.log")
    send_text(scanner, "disliked", f"{word}\n")
    scanner.wait_for_log("Blocked INFECTED (Own.Word")
    assert scanner.services()["clamav"]["pid"] == before["pid"]


def test_without_signatures_clamd_waits_and_nothing_passes(start: Start, tmp_path: Path) -> None:
    server = start(environment={"ENABLE_CLAMAV": "1"}, options=state_volume(tmp_path)).wait_until_up()
    clamav = server.services()["clamav"]
    assert clamav["state"] == "waiting"
    assert "no signature database" in clamav["detail"]
    assert server.json("dmsctl", "status", "--json")["state"] == "degraded"
    send_text(server, "patient", "Hello\n")
    server.until(QUEUED)
    (tmp_path / "state" / "lib-clamav" / "test.ndb").write_text(SIGNATURE)
    assert server.receive(ANNA, "patient")["X-Virus-Scanned"] == "Yes"
    assert server.services()["clamav"]["state"] == "ready"


def test_too_little_memory_is_told_and_harms_only_clamd(start: Start, tmp_path: Path) -> None:
    numbers = random.Random(1)
    lines = (f"{numbers.getrandbits(128):032x}:{numbers.randrange(1000, 10**6)}:Big-{n}\n" for n in range(3_000_000))
    options = state_volume(tmp_path)
    with (tmp_path / "state" / "lib-clamav" / "big.hdb").open("w") as file:
        file.writelines(lines)
    server = start(environment={"ENABLE_CLAMAV": "1"}, options=[*options, "--memory=400m", "--memory-swap=400m"])
    server.wait_for_log("ClamAV needs about ")
    server.until("dmsctl status clamav --json | grep -q oom-killed")
    services = server.services()
    assert services["clamav"]["restarts"] >= 1
    assert [services[name]["restarts"] for name in ("postfix", "dovecot", "amavis")] == [0, 0, 0]
    assert "of the container's limit of 400 MiB only" in server.log()
    metrics = server.checked("dmsctl", "metrics")
    counts = [line for line in metrics.splitlines() if line.startswith("dms_oom_kills_total") and "clamav" in line]
    assert counts
    assert float(counts[0].split()[-1]) >= 1


def test_a_second_database_only_where_there_is_memory(start: Start, tmp_path: Path) -> None:
    options = state_volume(tmp_path, signatures=SIGNATURE)
    (tmp_path / "state" / "lib-clamav" / "big.hdb").write_text(
        "".join(f"{n:032x}:{n}:Big-{n}\n" for n in range(1000, 1_600_000))
    )
    server = start(environment={"ENABLE_CLAMAV": "1"}, options=[*options, "--memory=400m", "--memory-swap=400m"])
    server.wait_until_up()
    command = server.checked("sh", "-c", "tr '\\0' ' ' < /proc/$(pidof clamd)/cmdline")
    assert command.strip() == "clamd -c /run/clamav/clamd.conf"
    assert "ConcurrentDatabaseReload no" in server.checked("cat", "/run/clamav/clamd.conf")
    assert json.loads(server.checked("dmsctl", "status", "clamav", "--json"))["state"] == "ready"
