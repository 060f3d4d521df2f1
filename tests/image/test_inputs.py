"""What users write in unusual ways: it works as meant, or is refused or reported with the place."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.image.conftest import AT_ONCE, Start, be_greeted
from tests.image.harness import CONFIG, DOMAIN, PASSWORD, Containers, Server, account

WORKING = ("o'neil", "a=b", "a&b", "a#b$c^d`e{f}g~h", ".dot.")
"""Local parts that need something of Postfix, Dovecot or a table; together all characters that a name may have."""
USELESS = ("x+tag", "a%b", "élodie", "a!b", "a?b", "-a", "a b", "../x", "a/b", "a;b")
"""Local parts with which something does not work, whatever is configured."""
OF_2_3 = "userdb_mail=maildir:/var/mail/former/%d/%n userdb_quota_rule=*:storage=1G"
MASTERS = ("Admin", "o'neil")

ANNA = f"anna@{DOMAIN}"


def test_environment_as_env_files_and_compose_lists_give_it(
    start: Start, containers: Containers, tmp_path: Path
) -> None:
    """Quotation marks, comments, `export`, and an empty TZ beside a mounted /etc/localtime."""
    zone = containers.command("cp", "-L", "/usr/share/zoneinfo/Asia/Tokyo", f"{CONFIG}/localtime", config=tmp_path)
    assert zone.code == 0, zone.output
    server = start(
        {"postfix-accounts.cf": account(ANNA), "user-patches.sh": "echo the zone is $(date +%Z)\n"},
        environment={
            "DEFAULT_RELAY_HOST": "''", "RELAY_HOST": '"relay.test"', "ENABLE_MANAGESIEVE": "1   # text",
            "export ENABLE_SRS": "1", "TZ": "", "ENABLE_AMAVIS": "0  # too heavy here",
        },
        options=("--volume", f"{tmp_path}/localtime:/etc/localtime:ro"),
    )  # fmt: skip
    server.wait_until_up()
    log = server.log()
    assert server.checked("postconf", "-h", "relayhost").strip() == ""
    assert f"@{DOMAIN}    [relay.test]:25\n" in server.checked("cat", "/etc/postfix/relayhost_map")
    assert server.json("dmsctl", "status", "--json")["ready"]
    assert "sieve" in server.checked("doveconf", "-h", "protocols")
    for name in ("DEFAULT_RELAY_HOST", "RELAY_HOST", "ENABLE_MANAGESIEVE", "'export ENABLE_SRS'", "ENABLE_AMAVIS"):
        assert any("WARN" in line and name in line for line in log.splitlines()), name
    assert "the zone is JST" in log
    assert all("+09:00" in line for line in log.splitlines() if " dmsinit: " in line)
    cron = server.checked("sh", "-c", "cat /proc/$(pgrep -o -x cron)/environ")
    assert "PATH=" in cron
    assert "TZ=" not in cron
    server.checked("logger", "-p", "mail.info", "-t", "test", "what time is it")
    server.wait_for_line("/var/log/mail/mail.log", r"\+09:00 .*what time is it")


@pytest.fixture(scope="module")
def named(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose accounts have unusual names."""
    files = {
        "postfix-accounts.cf": "".join(account(f"{name}@{DOMAIN}") for name in ("anna", *USELESS, *WORKING))
        + account(f"old@{DOMAIN}").replace("\n", f"|{OF_2_3}\n"),
        "postfix-virtual.cf": f"o'sales@{DOMAIN} o'neil@{DOMAIN}\n",
        "dovecot-quotas.cf": "".join(f"{name}@{DOMAIN}:5M\n" for name in WORKING),
        "dovecot-masters.cf": "".join(account(name) for name in MASTERS),
        "dovecot.cf": AT_ONCE,
        f"o'neil@{DOMAIN}.dovecot.sieve": 'require "fileinto"; fileinto "Trash";\n',
    }
    server = containers.start(files, tmp_path_factory.mktemp("named"), environment={"SPOOF_PROTECTION": "1"})
    server.wait_until_up()
    be_greeted(server)
    yield server
    server.remove()


@pytest.mark.parametrize("name", WORKING)
def test_a_name_that_is_accepted_works_everywhere(named: Server, name: str) -> None:
    """Delivery from outside, IMAP, submission, doveadm, quota."""
    address = f"{name}@{DOMAIN}"
    named.send(address, f"to {name}")
    folder = "Trash" if name == "o'neil" else "INBOX"
    assert named.receive(f'"{address}"', f"to {name}", folder)["To"] is not None
    with named.smtp(587, login=address) as smtp:
        assert smtp.sendmail(address, [ANNA], f"Subject: from {name}\n\nhello\n") == {}
        smtp.mail(ANNA)
        assert smtp.rcpt(ANNA)[0] == 553, "not the user's own address"
    named.receive(ANNA, f"from {name}")
    assert named.checked("doveadm", "user", "-f", "home", address).strip() == f"/var/mail/{DOMAIN}/{name}/home"
    quota = named.json("doveadm", "-f", "json", "quota", "get", "-u", address)
    assert [row["limit"] for row in quota if row["type"] == "STORAGE"] == [str(5 * 1024)]


def test_a_mailbox_and_a_quota_in_the_words_of_dovecot_2_3_are_where_they_were(named: Server) -> None:
    address = f"old@{DOMAIN}"
    named.send(address, "to the old place")
    named.receive(address, "to the old place")
    assert named.run("test", "-d", f"/var/mail/former/{DOMAIN}/old/cur").code == 0
    assert named.run("test", "-d", f"/var/mail/{DOMAIN}/old/cur").code == 1
    quota = named.json("doveadm", "-f", "json", "quota", "get", "-u", address)
    assert [row["limit"] for row in quota if row["type"] == "STORAGE"] == [str(1024 * 1024)]
    for field in OF_2_3.split():
        assert f"{field} is Dovecot 2.3 syntax and is read as" in named.log()


@pytest.mark.parametrize(
    ("name", "text", "remedy"),
    [
        ("conf.d/10-mail.conf", "mail_driver = maildir\nmail_path = /var/mail/%d/%n\n", "%{user | domain} for %d"),
        ("conf.d/99-mine.conf", "# mine\nsieve_extensions = +editheader\n", "sieve_extensions { editheader = yes }"),
    ],
)
def test_a_mounted_file_for_dovecot_2_3_is_refused_with_the_spelling_of_2_4(
    containers: Containers, tmp_path: Path, name: str, text: str, remedy: str
) -> None:
    """Dovecot takes both, and opens another mailbox or leaves the extension off."""
    (tmp_path / "postfix-accounts.cf").write_text(account(ANNA))
    (tmp_path / "mine.conf").write_text(text)
    mount = f"--volume={tmp_path}/mine.conf:/etc/dovecot/{name}:ro"
    checked = containers.command("dmsctl", "render", "--check", config=tmp_path, options=[mount])
    assert checked.code != 0
    assert f"/etc/dovecot/{name}:2: " in checked.output
    assert remedy in checked.output


def test_an_alias_with_an_apostrophe_leads_to_its_account(named: Server) -> None:
    named.send(f"o'sales@{DOMAIN}", "to sales")
    named.receive(f"o'neil@{DOMAIN}", "to sales", "Trash")


@pytest.mark.parametrize("master", [*MASTERS, "ADMIN"])
def test_a_master_user_logs_in_whatever_the_name(named: Server, master: str) -> None:
    named.checked("doveadm", "auth", "login", f"{ANNA}*{master}", PASSWORD)


def test_names_that_cannot_work_are_reported_with_their_lines_and_not_hosted(named: Server) -> None:
    log = named.log()
    for line, name in enumerate(USELESS, 2):
        assert f"postfix-accounts.cf:{line}: {name}@{DOMAIN} cannot be the name of an account" in log
    listed = named.checked("doveadm", "user", "*").split()
    assert set(listed) == {f"{name}@{DOMAIN}" for name in ("anna", "old", *WORKING)} | {f"o'sales@{DOMAIN}"}
    with named.smtp(25) as smtp:
        smtp.mail("")
        for name in ("x+tag", "a%b", "a!b", "-a", "a?b"):
            assert smtp.rcpt(f"{name}@{DOMAIN}")[0] in (501, 550, 554), name
        assert smtp.docmd("RCPT", f"TO:<=?utf-8?q?=C3=A9lodie?=@{DOMAIN}>")[0] == 550


@pytest.mark.parametrize("name", [*USELESS, "a:b", "#a", "{a}", "$a", "a" * 65])
def test_setup_refuses_a_name_that_cannot_work(named: Server, name: str) -> None:
    before = named.checked("cat", f"{CONFIG}/postfix-accounts.cf")
    refused = named.run("setup", "email", "add", f"{name}@{DOMAIN}", PASSWORD)
    assert refused.code != 0
    assert named.checked("cat", f"{CONFIG}/postfix-accounts.cf") == before


def test_setup_deletes_accounts_whatever_their_names(containers: Containers, tmp_path: Path) -> None:
    """A line that is skipped has to be got rid of; only what is below the domain's directory is deleted."""
    names = ("o'neil", "x+tag", "a b", "a%b", "n" * 255)
    (tmp_path / "postfix-accounts.cf").write_text("".join(account(f"{name}@{DOMAIN}") for name in (*names, "../x")))
    mailboxes = " ".join(f'"/var/mail/{DOMAIN}/{name}"' for name in names)
    addresses = " ".join(f'"{name}@{DOMAIN}"' for name in names)
    script = (
        f"mkdir -p {mailboxes} /var/mail/x && setup email del -y {addresses} && ! ls -d /var/mail/{DOMAIN} && "
        f"! setup email del -y '../x@{DOMAIN}' && ls -d /var/mail/x && setup email del -n '../x@{DOMAIN}'"
    )
    done = containers.command("bash", "-c", script, config=tmp_path)
    assert done.code == 0, done.output
    assert (tmp_path / "postfix-accounts.cf").read_text() == ""


MAKE_PAIR = """
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -subj "/CN=$1" -addext "subjectAltName=DNS:$1" \
  -not_before "$2" -not_after "$3" -keyout "$4.key" -out "$4.chain" 2>&1
"""
SERIAL = "openssl s_client -connect 127.0.0.1:993 < /dev/null 2> /dev/null | openssl x509 -noout -serial"


def test_of_several_certificates_in_traefiks_store_the_valid_one_is_used(
    start: Start, containers: Containers, tmp_path: Path
) -> None:
    """Two resolvers: an expired certificate for the exact name comes first, then an old and a renewed wildcard."""
    made = []
    for number, (name, begin, end) in enumerate(
        (
            ("mail.example.test", "20200101000000Z", "20210101000000Z"),
            ("*.example.test", "20200101000000Z", "20980101000000Z"),
            ("*.example.test", "20210101000000Z", "20990101000000Z"),
        )
    ):
        arguments = (name, begin, end, f"{CONFIG}/{number}")
        pair = containers.command("bash", "-c", MAKE_PAIR, "make", *arguments, config=tmp_path)
        assert pair.code == 0, pair.output
        encoded = {
            field: base64.b64encode((tmp_path / f"{number}.{suffix}").read_bytes()).decode()
            for field, suffix in (("key", "key"), ("certificate", "chain"))
        }
        made.append({"domain": {"main": name}, **encoded})
    (tmp_path / "acme.json").write_text(json.dumps({"a": {"Certificates": made[:1]}, "b": {"Certificates": made[1:]}}))
    server = start(
        environment={"SSL_TYPE": "letsencrypt", "ENABLE_AMAVIS": "0"},
        options=("--volume", f"{tmp_path}/acme.json:/etc/letsencrypt/acme.json:ro"),
    ).wait_until_up()
    renewed = containers.command("openssl", "x509", "-noout", "-serial", "-in", f"{CONFIG}/2.chain", config=tmp_path)
    assert server.checked("bash", "-c", SERIAL) == renewed.output
    printed = server.checked("acme_extract.py", "/etc/letsencrypt/acme.json", "mail.example.test", "--cert")
    assert printed == (tmp_path / "2.chain").read_text()


BOB = f"bob@{DOMAIN}"
SIGNERS = {
    "opendkim": {"ENABLE_OPENDKIM": "1", "ENABLE_RSPAMD": "0", "ENABLE_AMAVIS": "0"},
    "rspamd": {"ENABLE_OPENDKIM": "0", "ENABLE_RSPAMD": "1", "ENABLE_AMAVIS": "0"},
}
SAME_KEY = "for f; do openssl pkey -in $f -pubout; done | sort | uniq -c | awk '$1 != n {exit 1}' n=$#"


def signature_of(server: Server, subject: str) -> dict[str, str]:
    """Return the tags of the signature (RFC 6376) that a submitted message gets."""
    server.send(BOB, subject, port=587, login=ANNA)
    header = "".join(str(server.receive(BOB, subject)["DKIM-Signature"]).split())
    return dict(tag.partition("=")[::2] for tag in header.split(";"))


@pytest.mark.parametrize(("before", "after"), [("opendkim", "rspamd"), ("rspamd", "opendkim")])
def test_a_switch_of_the_signer_keeps_the_published_key(
    containers: Containers, tmp_path: Path, before: str, after: str
) -> None:
    """At once, and after `setup config dkim`, which brings the key over."""
    options = [f"--env={name}={value}" for name, value in SIGNERS[before].items()]
    make = ("setup", "config", "dkim", "keysize", "1024", "selector", "s1", "domain", DOMAIN)
    made = containers.command(*make, config=tmp_path, options=options)
    assert made.code == 0, made.output
    accounts = {"postfix-accounts.cf": account(ANNA) + account(BOB)}
    server = containers.start(accounts, tmp_path, environment={**SIGNERS[after], "ENABLE_POLICYD_SPF": "0"})
    try:
        server.wait_until_up()
        assert f"the published records stay (s1._domainkey.{DOMAIN})" in server.log()
        signature = signature_of(server, "before setup")
        assert (signature["d"], signature["s"]) == (DOMAIN, "s1")
        told = server.run(*make)
        assert told.code == 0, told.output
        assert f"the published record s1._domainkey.{DOMAIN} stays" in told.output
        keys = (
            f"{CONFIG}/opendkim/keys/{DOMAIN}/s1.private",
            f"{CONFIG}/rspamd/dkim/rsa-1024-s1-{DOMAIN}.private.txt",
        )
        server.checked("bash", "-c", SAME_KEY, "same", *keys)
        server.checked("dmsctl", "apply")
        signature = signature_of(server, "after setup")
        assert (signature["d"], signature["s"]) == (DOMAIN, "s1")
    finally:
        server.remove()
