"""An answer is true when it is given: what `setup` has changed is in force, or it says why not and exits with 1."""

import imaplib
import poplib
import smtplib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.image.conftest import Start
from tests.image.harness import DOMAIN, PASSWORD, PATIENCE_SECONDS, UP, Containers, Server, account, untrusting
from tests.image.sieve import ManageSieve, managesieve

ANNA = f"anna@{DOMAIN}"


@pytest.fixture(scope="module")
def busy(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server that every test of this file changes, each in accounts of its own."""
    files = {"postfix-accounts.cf": account(ANNA), "postfix-main.cf": "postscreen_greet_wait = 1s\n"}
    environment = {"ENABLE_AMAVIS": "0", "PERMIT_DOCKER": "none", "ENABLE_POP3": "1", "ENABLE_MANAGESIEVE": "1"}
    server = containers.start(files, tmp_path_factory.mktemp("in-force"), environment=environment)
    yield server.wait_until_up()
    server.remove()


def login(server: Server, user: str, password: str = PASSWORD) -> None:
    with server.imap(user, password):
        pass


def answer_to(server: Server, recipient: str) -> int:
    with server.smtp(25) as smtp:
        smtp.mail("")
        return smtp.rcpt(recipient)[0]


def test_the_first_login_after_each_change_of_a_password_works(busy: Server) -> None:
    """Dovecot looks at its files once a second: someone else's login in the same second must not hide the change."""
    for number in range(2):
        name = f"new{number}@{DOMAIN}"
        login(busy, ANNA)
        busy.checked("setup", "email", "add", name, "first")
        login(busy, name, "first")
        busy.checked("setup", "email", "update", name, "second")
        busy.checked("setup", "email", "update", name, "third!")  # of the same length, perhaps within the same second
        login(busy, name, "third!")
        with pytest.raises(imaplib.IMAP4.error):
            login(busy, name, "second")


def test_wrong_passwords_of_others_at_an_address_keep_nobody_out(busy: Server) -> None:
    """Many users may share one address. A wrong password is answered late, the right one by all ways at once."""

    def refused(number: int) -> float:
        began = time.monotonic()
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            login(busy, ANNA, f"wrong {number}")
        return time.monotonic() - began

    with ThreadPoolExecutor(8) as pool:
        assert min(pool.map(refused, range(8))) >= 3
    with busy.smtp(465, login=ANNA), busy.smtp(587, login=ANNA):
        login(busy, ANNA)
    with busy.smtp(465) as smtp, pytest.raises(smtplib.SMTPAuthenticationError) as refusal:
        smtp.login(ANNA, "wrong")
    assert refusal.value.smtp_code == 535


def test_what_dovecot_caches_is_forgotten(start: Start) -> None:
    """A login that failed before the account existed is remembered as such by a cache of the user's."""
    cache = "auth_cache_size = 10 M\nauth_cache_negative_ttl = 1 hours\nauth_failure_delay = 0\n"
    server = start({"postfix-accounts.cf": account(ANNA), "dovecot.cf": cache}, environment={"ENABLE_AMAVIS": "0"})
    server.wait_until_up()
    with pytest.raises(imaplib.IMAP4.error):
        login(server, f"late@{DOMAIN}")
    server.checked("setup", "email", "add", f"late@{DOMAIN}", PASSWORD)
    login(server, f"late@{DOMAIN}")


def test_the_first_mail_to_an_alias_is_accepted(busy: Server) -> None:
    for number in range(2):
        alias = f"alias{number}@{DOMAIN}"
        assert answer_to(busy, alias) == 550
        busy.checked("setup", "alias", "add", alias, ANNA)
        assert answer_to(busy, alias) == 250
        busy.checked("setup", "alias", "del", alias, ANNA)
        assert answer_to(busy, alias) == 550


def test_quota_restriction_and_master_user_hold_at_once(busy: Server) -> None:
    busy.checked("setup", "quota", "set", ANNA, "50M")
    assert "51200" in busy.checked("doveadm", "quota", "get", "-u", ANNA)
    busy.checked("setup", "email", "restrict", "add", "receive", ANNA)
    assert answer_to(busy, ANNA) == 554
    busy.checked("setup", "email", "restrict", "del", "receive", ANNA)
    assert answer_to(busy, ANNA) == 250
    for password in ("one", "two"):
        busy.checked("setup", "dovecot-master", "add" if password == "one" else "update", "admin", password)
        login(busy, f"{ANNA}*admin", password)
    busy.checked("setup", "dovecot-master", "del", "admin")
    with pytest.raises(imaplib.IMAP4.error):
        login(busy, f"{ANNA}*admin", "two")


def sessions(server: Server, user: str, stack: ExitStack) -> list[Callable[[], object]]:
    """Log in by IMAP, POP3 and ManageSieve; return what each could do to the mailbox."""
    imap = imaplib.IMAP4_SSL(server.address, 993, ssl_context=untrusting(), timeout=PATIENCE_SECONDS)
    stack.callback(imap.shutdown)
    imap.login(user, PASSWORD)
    imap.create("Before")
    pop = poplib.POP3_SSL(server.address, 995, context=untrusting(), timeout=PATIENCE_SECONDS)
    stack.callback(pop.close)
    pop.user(user)
    pop.pass_(PASSWORD)
    sieve = managesieve(server, user)
    script = sieve.__enter__()  # its end would say goodbye to who is not there any more
    return [lambda: imap.create("After"), pop.stat, lambda: upload(script)]


def upload(script: ManageSieve) -> None:
    """Upload a script; OSError when the session is over, with or without a BYE."""
    try:
        answer = script.put("after", "keep;")
    except AssertionError as closed:
        raise ConnectionError(*closed.args) from None
    if not answer.startswith(b"OK"):
        raise ConnectionError(answer)


def test_who_is_connected_does_not_bring_a_deleted_mailbox_back(busy: Server) -> None:
    name = f"gone@{DOMAIN}"
    busy.checked("setup", "email", "add", name, PASSWORD)
    with ExitStack() as stack:
        connected = sessions(busy, name, stack)
        busy.checked("setup", "email", "del", "-y", name)
        for act in connected:
            with pytest.raises((imaplib.IMAP4.error, poplib.error_proto, OSError)):
                act()
    assert busy.run("ls", f"/var/mail/{DOMAIN}/gone").code != 0
    assert "deleted" not in busy.checked("ls", "-A", f"/var/mail/{DOMAIN}")
    assert answer_to(busy, name) == 550
    with pytest.raises(imaplib.IMAP4.error):
        login(busy, name)


def test_a_new_password_ends_the_sessions_of_the_old_one_and_nobody_elses(busy: Server) -> None:
    name = f"renewed@{DOMAIN}"
    busy.checked("setup", "email", "add", name, PASSWORD)
    with ExitStack() as stack, busy.imap(ANNA) as other:
        connected = sessions(busy, name, stack)
        busy.checked("setup", "email", "update", name, "another")
        for act in connected:
            with pytest.raises((imaplib.IMAP4.error, poplib.error_proto, OSError)):
                act()
        assert other.noop()[0] == "OK"
    login(busy, name, "another")


def test_mail_is_signed_after_config_dkim(busy: Server) -> None:
    busy.checked("setup", "config", "dkim", "keysize", "1024", "domain", DOMAIN)
    busy.send(ANNA, "signed", port=587, login=ANNA)
    signature = busy.receive(ANNA, "signed")["DKIM-Signature"]
    assert signature is not None
    assert "d=example.test" in signature


def test_setups_at_the_same_time_are_all_in_force(busy: Server) -> None:
    names = [f"many{number}@{DOMAIN}" for number in range(5)]
    with ThreadPoolExecutor(5) as pool:
        for result in pool.map(lambda name: busy.run("setup", "email", "add", name, PASSWORD), names):
            assert result.code == 0, result.output
    for name in names:
        login(busy, name)


def test_with_the_detection_stopped_the_change_is_applied_all_the_same(busy: Server) -> None:
    busy.checked("supervisorctl", "stop", "changedetector")
    busy.checked("setup", "email", "add", f"asked@{DOMAIN}", PASSWORD)
    login(busy, f"asked@{DOMAIN}")
    busy.checked("setup", "email", "add", "--no-wait", f"later@{DOMAIN}", PASSWORD)
    assert busy.run("doveadm", "user", f"later@{DOMAIN}").code != 0
    assert f"later@{DOMAIN}" in (busy.config / "postfix-accounts.cf").read_text()
    busy.checked("supervisorctl", "start", "changedetector")


def test_what_a_service_that_hangs_has_not_taken_is_not_in_force(busy: Server) -> None:
    """Its authentication server knows the account, but nobody can log in: its master starts no process for a client."""
    name, master = f"hung@{DOMAIN}", str(busy.pids()["dovecot"])
    busy.checked("kill", "-STOP", master)
    try:
        result = busy.run("setup", "email", "add", name, PASSWORD)
    finally:
        busy.run("kill", "-CONT", master)
    assert result.code == 1
    assert "not in force: cannot make dovecot read /etc/dovecot/userdb" in result.output
    assert "does not answer" in result.output
    busy.checked("dmsctl", "apply")
    login(busy, name)


def test_a_refused_apply_is_reported_with_its_reason_and_warnings_reach_who_asks(busy: Server) -> None:
    main_cf = busy.config / "postfix-main.cf"
    before = main_cf.read_text()
    main_cf.write_text(before + "max_idle = soon\n")
    refused = busy.run("setup", "alias", "add", f"blocked@{DOMAIN}", ANNA)
    assert refused.code == 1
    assert "not in force" in refused.output
    assert "max_idle" in refused.output
    main_cf.write_text(before + "no_such_parameter = 1\n")
    warned = busy.run("setup", "alias", "add", f"blocked2@{DOMAIN}", ANNA)
    assert warned.code == 0
    assert "no_such_parameter" in warned.output
    assert answer_to(busy, f"blocked@{DOMAIN}") == 250
    quiet = busy.run("setup", "alias", "del", f"blocked2@{DOMAIN}", ANNA)
    assert "no_such_parameter" not in quiet.output, "setup repeats what somebody has been told"
    assert "no_such_parameter" in busy.checked("dmsctl", "apply")
    main_cf.write_text(before)
    assert "no_such_parameter" not in busy.checked("dmsctl", "apply")


@pytest.mark.parametrize("character", ["\n", "\r", "\t", "\x01", "\x1f", "\x7f", "\x85", "\u2028"])
def test_no_argument_holds_a_control_character(busy: Server, character: str) -> None:
    for command in (
        ("relay", "add-auth", DOMAIN, f"a{character}evil", "pw"),
        ("email", "add", f"x{character}@{DOMAIN}", "pw"),
        ("email", "update", ANNA, f"p{character}w"),
        ("alias", "add", f"y@{DOMAIN}", f"{ANNA}{character}"),
    ):
        refused = busy.run("setup", *command)
        assert refused.code == 1
        assert "control character" in refused.output
    refused = busy.run("setup", "email", "add", f"piped@{DOMAIN}", stdin=f"p\x02{character}w\np\x02{character}w\n")
    assert refused.code == 1
    assert not (busy.config / "postfix-sasl-password.cf").exists()


def test_a_line_with_a_control_character_is_named_and_harms_no_other(busy: Server) -> None:
    accounts = busy.config / "postfix-accounts.cf"
    before = accounts.read_text()
    accounts.write_text(before + account(f"bad\x01@{DOMAIN}"))
    added = busy.run("setup", "email", "add", f"good@{DOMAIN}", PASSWORD)
    assert added.code == 0
    assert f"postfix-accounts.cf:{before.count(chr(10)) + 1}: contains a control character (0x01)" in added.output
    login(busy, f"good@{DOMAIN}")
    accounts.write_text(before)
    busy.checked("dmsctl", "apply")


def test_who_may_not_ask_the_server_is_told_so(busy: Server) -> None:
    busy.checked("chmod", "-R", "o+rwX", "/tmp/docker-mailserver")
    command = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "setup")
    asked = busy.run(*command, "alias", "add", f"nobody@{DOMAIN}", ANNA)
    assert asked.code == 1
    assert "permission denied" in asked.output


def test_a_closed_standard_input_is_an_answer_too(busy: Server) -> None:
    asked = busy.run("sh", "-c", f"setup email add closed@{DOMAIN} <&-")
    assert asked.code == 1
    assert "no answer was given" in asked.output


def test_while_it_waits_for_the_first_account_it_says_so(start: Start) -> None:
    patches = f"setup alias add early@{DOMAIN} first@{DOMAIN}; echo 'setup ended with' $?\n"
    server = start({"user-patches.sh": patches}, environment={"ENABLE_AMAVIS": "0"})
    server.wait_for_log("there is no mail account yet")
    for command in (("dmsctl", "status"), ("dmsctl", "health")):
        assert "waiting for the first mail account until" in server.run(*command).output
    server.checked("setup", "email", "add", f"first@{DOMAIN}", PASSWORD)
    assert server.log().count(UP) == 1
    login(server, f"first@{DOMAIN}")
    assert "setup ended with 0" in server.log()
    assert "first mail account" not in server.checked("dmsctl", "status")


BROKEN_SERVICE = '[ready]\nprobe = "file"\naddress = "/nowhere"\n'


def test_it_is_up_when_mail_works_and_not_before(start: Start) -> None:
    files = {
        "postfix-accounts.cf": account(ANNA),
        "user-patches.sh": "echo 'ssl_cert = </nowhere' > /etc/dovecot/conf.d/99-broken.conf\n",
        "services/extra.toml": f'command = ["/bin/sh", "-c", "sleep 0.1; exit 3"]\n{BROKEN_SERVICE}',
        "services/silent.toml": f'command = ["/bin/sleep", "infinity"]\n{BROKEN_SERVICE}timeout = "300s"\n',
    }
    server = start(files, environment={"ENABLE_AMAVIS": "0"})
    said = server.wait_for_log("not up: mail needs dovecot")
    assert UP not in said
    assert server.run("dmsctl", "health").code == 1
    refused = server.run("setup", "email", "update", ANNA, PASSWORD)
    assert refused.code == 1
    assert "dovecot" in refused.output
    server.checked("rm", "/etc/dovecot/conf.d/99-broken.conf")
    server.checked("dmsctl", "restart", "dovecot")
    server.wait_until_up()
    warnings = [line for line in server.log().splitlines() if "not everything is ready" in line]
    assert len(warnings) == 1
    assert "extra (" in warnings[0]
    assert "silent (" in warnings[0]


def test_without_a_server_only_the_volume_is_edited(containers: Containers, tmp_path: Path) -> None:
    done = containers.command("setup", "email", "add", ANNA, PASSWORD, config=tmp_path)
    assert (done.code, done.output) == (0, "")
    assert (tmp_path / "postfix-accounts.cf").read_text().startswith(f"{ANNA}|")


def test_a_reason_is_a_sentence_and_logs_show_what_the_service_wrote(start: Start) -> None:
    """Only smtpd itself reads this number, and dies of it; Postfix' master goes on and answers nobody."""
    files = {
        "postfix-accounts.cf": account(ANNA),
        "user-patches.sh": "echo 'smtpd_recipient_limit = many' >> /etc/postfix/main.cf\n",
    }
    server = start(files, environment={"ENABLE_AMAVIS": "0"})
    cause = "last error: fatal: bad numerical configuration: smtpd_recipient_limit = many"
    said = server.wait_for_log("postfix is restarted: not ready")
    for text in (said, server.checked("dmsctl", "events", "-n", "1000")):
        assert cause in text
        assert "no greeting on" in text
        assert "/dev/tcp" not in text
    assert "bad numerical configuration" in server.checked("dmsctl", "logs", "postfix")


def test_logs_of_services_that_write_into_mail_log(busy: Server) -> None:
    login(busy, ANNA)
    answer_to(busy, f"nobody-here@{DOMAIN}")
    postfix, dovecot = busy.checked("dmsctl", "logs", "postfix"), busy.checked("dmsctl", "logs", "dovecot")
    assert "NOQUEUE: reject" in postfix
    assert " dovecot: " not in postfix
    assert f"user=<{ANNA}>" in dovecot
    assert " postfix/" not in dovecot
    assert len(busy.checked("dmsctl", "logs", "-n", "2", "--json", "dovecot").splitlines()) <= 4


def test_blame_explains_the_boot_after_a_service_was_added(busy: Server) -> None:
    before = busy.json("dmsctl", "blame", "--json")
    (busy.config / "services").mkdir(exist_ok=True)
    (busy.config / "services" / "newcomer.toml").write_text('command = ["/bin/sleep", "infinity"]\n')
    busy.checked("dmsctl", "apply")
    after = busy.json("dmsctl", "blame", "--json")
    assert "newcomer" in [span["name"] for span in after["spans"]]
    assert (after["chain"], after["total_seconds"]) == (before["chain"], before["total_seconds"])


def test_the_doctor_says_what_helps(busy: Server) -> None:
    busy.checked("dmsctl", "stop", "opendmarc")
    found = busy.run("dmsctl", "doctor").output
    assert "dmsctl start opendmarc" in found
    assert "see: dmsctl status" not in found
    assert "is self-signed" in found
    assert "use a certificate of a public CA" in found
    busy.checked("dmsctl", "start", "opendmarc")


def test_the_listing_follows_mailboxes_and_limits(busy: Server) -> None:
    def listed(name: str) -> str:
        lines = busy.checked("setup", "email", "list").splitlines()
        return next(line for line in lines if line.startswith(f"* {name}@{DOMAIN} "))

    for name in ("list1", "list2", "list3"):
        busy.checked("setup", "email", "add", "--no-wait", f"{name}@{DOMAIN}", PASSWORD)
    busy.checked("setup", "quota", "set", f"list2@{DOMAIN}", "10M")
    assert "( 0 / ~ ) [0%]" in listed("list1")
    assert "( 0 / 10M ) [0%]" in listed("list2")
    busy.send(f"list3@{DOMAIN}", "measured")
    busy.receive(f"list3@{DOMAIN}", "measured")
    used = listed("list3")
    assert "( 0 " not in used
    assert listed("list3") == used
    with busy.imap(f"list3@{DOMAIN}") as imap:
        imap.select()
        imap.store("1", "+FLAGS", r"\Deleted")
        imap.expunge()
    assert "( 0 / ~ ) [0%]" in listed("list3")
