"""Filters that hang, with all of their processes: mail waits or has to come again, and nothing passes unjudged."""

import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.image.harness import DOMAIN, Containers, Server, account, letter
from tests.image.peers import Peer, names
from tests.image.test_clamav import EICAR, SIGNATURE, state_volume

ANNA = f"anna@{DOMAIN}"
OUTSIDE, FRIENDLY, FORGING = "rita@outside.test", "192.0.2.9", "192.0.2.66"
MAIN_CF = (
    "postscreen_greet_wait = 1s\nsmtpd_authorized_xclient_hosts = 10.0.0.0/8 172.16.0.0/12 192.168.0.0/16\n"
    "milter_command_timeout = 2s\nsmtpd_policy_service_timeout = 2s\n"
)
"""Impatient, and open to clients that say whom they speak for (XCLIENT)."""
IMPATIENT = '[health]\ninterval = "1s"\ntimeout = "1s"\n'
Refused = (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused)


@pytest.fixture(scope="module")
def zone(containers: Containers) -> Iterator[Peer]:
    records = ("mx-host=outside.test,mail.outside.test", f"txt-record=outside.test,v=spf1 ip4:{FRIENDLY} -all")
    with names(containers, *records, f"host-record=mail.outside.test,{FRIENDLY}") as server:
        yield server


@pytest.fixture(scope="module")
def filtering(containers: Containers, zone: Peer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """All filters but Rspamd, and a key that signs."""
    config = tmp_path_factory.mktemp("config")
    files = {
        "postfix-accounts.cf": account(ANNA), "postfix-main.cf": MAIN_CF, "whitelist_recipients": "anna@\n",
        "spamassassin-rules.cf": "dns_available no\n",
    }  # fmt: skip
    (config / "postfix-accounts.cf").write_text(files["postfix-accounts.cf"])
    assert containers.command("setup", "config", "dkim", "domain", DOMAIN, config=config).code == 0
    server = containers.start(
        files, config,
        environment={
            "ENABLE_SPAMASSASSIN": "1", "SA_TAG": "-1000", "ENABLE_CLAMAV": "1", "ENABLE_POSTGREY": "1",
            "PERMIT_DOCKER": "none",
        },
        options=[*state_volume(tmp_path_factory.mktemp("state"), signatures=SIGNATURE), f"--dns={zone.address}"],
    )  # fmt: skip
    yield server.wait_until_up()
    server.remove()


def processes(server: Server, service: str) -> list[str]:
    """Return the numbers of all processes of a service."""
    if service == "policyd-spf":  # started by Postfix
        return server.checked("pgrep", "-u", "policyd-spf").split()
    found = [str(server.pids()[service])]
    table = [line.split() for line in server.checked("ps", "-eo", "pid=,ppid=").splitlines()]
    for parent in found:
        found += [pid for pid, above in table if above == parent]
    return found


@contextmanager
def hung(server: Server, service: str) -> Iterator[None]:
    """Stop all processes of a service (SIGSTOP), and let them go on at the end."""
    numbers = processes(server, service)
    server.checked("kill", "-STOP", *numbers)
    yield
    server.run("kill", "-CONT", *numbers)


def submit(server: Server, subject: str, text: str = "Hello\n") -> None:
    message = letter(ANNA, subject, ANNA)
    message["Date"] = "Mon, 01 Jan 2024 12:00:00 +0000"
    message.set_content(text)
    with server.smtp(465, login=ANNA) as smtp:
        smtp.sendmail(ANNA, [ANNA], message.as_bytes())


def deliver(server: Server, subject: str, client: str = FRIENDLY) -> None:
    """Hand a message in at port 25, as `client` would."""
    with server.smtp() as smtp:
        smtp.docmd("XCLIENT", f"NAME=mail.outside.test ADDR={client}")
        smtp.ehlo("mail.outside.test")
        smtp.sendmail(OUTSIDE, [ANNA], letter(ANNA, subject, OUTSIDE).as_bytes())


def code(refusal: smtplib.SMTPException) -> int:
    if isinstance(refusal, smtplib.SMTPRecipientsRefused):
        return refusal.recipients[ANNA][0]
    assert isinstance(refusal, smtplib.SMTPResponseException)
    return refusal.smtp_code


def found(server: Server, subject: str) -> bool:
    with server.imap(ANNA) as imap:
        imap.select("INBOX")
        return imap.search(None, "SUBJECT", f'"{subject}"')[1] != [b""]


def submit_both(server: Server, case: str) -> None:
    """Submit a harmless message and a virus, which both have to wait."""
    submit(server, f"harmless {case}")
    submit(server, f"infected {case}", f"{EICAR}\n")
    server.until("[ $(postqueue -j | wc -l) = 2 ]")
    assert not found(server, f"harmless {case}")


def expect_judged(server: Server, case: str) -> None:
    """The harmless message arrives with the results of all filters; the virus does not."""
    message = server.receive(ANNA, f"harmless {case}")
    assert message["X-Spam-Status"]
    assert message["X-Virus-Scanned"] == "Yes"
    assert f"d={DOMAIN};" in message["DKIM-Signature"]
    server.until("[ $(postqueue -j | wc -l) = 0 ]")
    assert not found(server, f"infected {case}"), server.mail_log()


@pytest.mark.parametrize("service", ["amavis", "clamav"])
def test_accepted_mail_waits_for_what_hangs_and_is_scanned_then(filtering: Server, service: str) -> None:
    blocked = filtering.mail_log().count("Blocked INFECTED")
    with hung(filtering, service):
        submit_both(filtering, f"while {service} hangs")
    expect_judged(filtering, f"while {service} hangs")
    assert filtering.mail_log().count("Blocked INFECTED") == blocked + 1
    assert filtering.services()[service]["restarts"] == 0


@pytest.mark.parametrize("service", ["opendkim", "opendmarc", "postgrey"])
def test_mail_has_to_come_again_while_one_hangs(filtering: Server, service: str) -> None:
    with hung(filtering, service), pytest.raises(Refused) as refusal:
        deliver(filtering, f"during {service}")
    assert 400 <= code(refusal.value) < 500
    deliver(filtering, f"during {service}")
    assert filtering.receive(ANNA, f"during {service}")


def test_no_mail_of_users_leaves_unsigned(filtering: Server) -> None:
    with hung(filtering, "opendkim"), pytest.raises(smtplib.SMTPResponseException) as refusal:
        submit(filtering, "signed later")
    assert 400 <= refusal.value.smtp_code < 500
    submit(filtering, "signed later")
    assert f"d={DOMAIN};" in filtering.receive(ANNA, "signed later")["DKIM-Signature"]


def test_an_spf_check_that_hangs_lets_no_forger_in(filtering: Server) -> None:
    deliver(filtering, "before the check hangs")  # Postfix keeps the process for its next question
    with hung(filtering, "policyd-spf"):
        with pytest.raises(Refused) as refusal:
            deliver(filtering, "forged", FORGING)
        assert code(refusal.value) in (451, 550)
        deliver(filtering, "while the check hangs")
    assert filtering.receive(ANNA, "while the check hangs")["Received-SPF"].startswith("Pass")


@pytest.mark.parametrize("service", ["amavis", "clamav"])
def test_what_hangs_is_replaced_and_mail_goes_on(filtering: Server, service: str) -> None:
    override = Path(filtering.config, "services", f"{service}.toml")
    override.parent.mkdir(exist_ok=True)
    override.write_text(IMPATIENT)
    filtering.checked("dmsctl", "apply")
    before = filtering.services()[service]
    filtering.checked("kill", "-STOP", *processes(filtering, service))
    submit_both(filtering, f"before {service} is replaced")
    expect_judged(filtering, f"before {service} is replaced")
    after = filtering.services()[service]
    assert (after["state"], after["restarts"]) == ("ready", before["restarts"] + 1)
    assert after["last_exit"]["cause"] == "probe-failed"
    assert filtering.checked("sh", "-c", "ls -d /var/lib/amavis/tmp/* | wc -l").strip() <= "3"
