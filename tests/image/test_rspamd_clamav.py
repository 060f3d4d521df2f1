"""ClamAV behind Rspamd: viruses are refused, and what nobody could scan has to come again."""

import smtplib
from collections.abc import Iterator

import pytest

from tests.image.harness import Containers, Server, letter
from tests.image.peers import names
from tests.image.test_clamav import EICAR, SIGNATURE, state_volume
from tests.image.test_rspamd import ACCOUNTS, ANNA, MAIN_CF, OUTSIDE, RSPAMD, accepted, deliver


@pytest.fixture(scope="module")
def scanner(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    files = {
        **ACCOUNTS,
        "postfix-main.cf": MAIN_CF,
        "user-patches.sh": "sed -i 's/timeout = 10/timeout = 1/' /etc/rspamd/local.d/antivirus.conf\n",
    }
    records = ("mx-host=outside.test,mail.outside.test", "txt-record=outside.test,v=spf1 ip4:192.0.2.9 -all")
    with names(containers, *records) as zone:
        server = containers.start(
            files, tmp_path_factory.mktemp("config"),
            environment={**RSPAMD, "ENABLE_CLAMAV": "1"},
            options=[*state_volume(tmp_path_factory.mktemp("state"), signatures=SIGNATURE), f"--dns={zone.address}"],
        )  # fmt: skip
        yield server.wait_until_up()
        server.remove()


def is_refused_as_virus(server: Server, subject: str) -> None:
    message = letter(ANNA, subject, OUTSIDE)
    message.set_content(f"{EICAR}\n")
    with pytest.raises(smtplib.SMTPDataError) as refusal:
        deliver(server, message)
    assert refusal.value.smtp_code == 554
    assert b'ClamAV FOUND VIRUS "Eicar-Test-Signature' in refusal.value.smtp_error


def test_a_virus_is_refused_and_other_mail_is_not(scanner: Server) -> None:
    is_refused_as_virus(scanner, "infected")
    deliver(scanner, letter(ANNA, "harmless", OUTSIDE))
    assert scanner.receive(ANNA, "harmless")


@pytest.mark.parametrize("what", ["dead", "hung"])
def test_without_clamd_nothing_passes(scanner: Server, what: str) -> None:
    message = letter(ANNA, f"while clamd is {what}", OUTSIDE)
    if what == "dead":
        scanner.checked("dmsctl", "stop", "clamav")
    else:
        scanner.checked("kill", "-STOP", str(scanner.pids()["clamav"]))
    assert not accepted(scanner, message)
    if what == "dead":
        scanner.checked("dmsctl", "start", "clamav")
    else:
        scanner.checked("kill", "-CONT", str(scanner.pids()["clamav"]))
    while not accepted(scanner, message):
        pass
    assert scanner.receive(ANNA, f"while clamd is {what}")
    is_refused_as_virus(scanner, f"infected after clamd was {what}")
