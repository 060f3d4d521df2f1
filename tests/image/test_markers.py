"""tests/contract/markers.tsv: file names, lines and log lines that other people's scripts look for, row by row."""

import re
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from tests.image.conftest import AT_ONCE, MAKE_CERTIFICATE
from tests.image.harness import CONFIG, DOMAIN, ROOT, Containers, Server, account

TABLE: Final = ROOT / "tests" / "contract" / "markers.tsv"
ROWS: Final = [tuple(line.split("\t")[:2]) for line in TABLE.read_text().splitlines()[1:]]
ACCOUNTS: Final = account(f"anna@{DOMAIN}")
PATCHES: Final = """cat > /etc/dovecot/conf.d/lmtp-master.inc << END
inet_listener lmtp {
  port = 24
}
END
"""
DETECTOR: Final = "/var/log/supervisor/changedetector.log"


@pytest.fixture(scope="module")
def amavis(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with Amavis and what belongs to it."""
    files = {
        "postfix-accounts.cf": ACCOUNTS,
        "dovecot.cf": AT_ONCE,
        "user-patches.sh": PATCHES,
        "getmail/there.cf": "[retriever]\ntype = SimpleIMAPRetriever\n[destination]\ntype = Maildir\npath = /tmp/\n",
    }
    environment = {
        "ENABLE_POSTGREY": "1",
        "POSTGREY_DELAY": "15",
        "POSTGREY_TEXT": "Come again later",
        "ENABLE_SRS": "1",
        "ENABLE_SPAMASSASSIN": "1",
        "SPAM_SUBJECT": "[SPAM] ",
        "ENABLE_GETMAIL": "1",
        "GETMAIL_POLL": "60",
        "LOG_LEVEL": "debug",
        "VIRUSMAILS_DELETE_DELAY": "9",
    }
    server = containers.start(files, tmp_path_factory.mktemp("amavis"), environment=environment).wait_until_up()
    yield server
    server.remove()


@pytest.fixture(scope="module")
def rspamd(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with Rspamd and a certificate."""
    files = {
        "postfix-accounts.cf": ACCOUNTS,
        "rspamd/custom-commands.conf": "disable-module rbl\nenable-module neural\n",
        "dovecot.cf": AT_ONCE,
    }
    environment = {"ENABLE_RSPAMD": "1", "ENABLE_AMAVIS": "0", "RSPAMD_LEARN": "1", "SSL_TYPE": "self-signed"}
    environment |= {"ENABLE_OPENDKIM": "0", "ENABLE_OPENDMARC": "0", "ENABLE_POLICYD_SPF": "0"}
    folder = tmp_path_factory.mktemp("rspamd")
    made = containers.command("bash", "-c", MAKE_CERTIFICATE, config=folder)
    assert made.code == 0, made.output
    server = containers.start(files, folder, environment=environment).wait_until_up()
    yield server
    server.remove()


@pytest.fixture(scope="module")
def changed(amavis: Server) -> list[str]:
    """The lines of the change detection after a change that touches a service."""
    accounts = amavis.config / "postfix-accounts.cf"
    accounts.write_text(ACCOUNTS + account("bob@second.test"))
    amavis.wait_for_line(DETECTOR, "Completed handling of detected change")
    return amavis.checked("cat", DETECTOR).splitlines()


def lines(server: Server, path: str) -> list[str]:
    return server.checked("cat", path).splitlines()


def has(server: Server, *paths: str) -> bool:
    return server.run("bash", "-c", 'for path; do test -e "$path" || exit 1; done', "has", *paths).code == 0


def supervisorctl(amavis: Server, rspamd: Server) -> None:
    same = amavis.checked("realpath", "/usr/bin/supervisorctl", "/usr/local/bin/supervisorctl").split()
    assert len(set(same)) == 1
    assert re.search(r"^postfix +RUNNING", amavis.run("/usr/bin/supervisorctl", "status").output, re.MULTILINE)


def postgrey(amavis: Server, rspamd: Server) -> None:
    options = "--inet=127.0.0.1:10023 --delay=15 --max-age=35 --auto-whitelist-clients=5"
    found = lines(amavis, "/etc/default/postgrey")
    assert f'POSTGREY_OPTS="{options}"' in found
    assert 'POSTGREY_TEXT="Come again later"' in found


def cron(amavis: Server, rspamd: Server) -> None:
    assert has(rspamd, "/etc/cron.d/amavisd-new.disabled")
    assert not has(amavis, "/etc/cron.d/amavisd-new.disabled")


def crontab(amavis: Server, rspamd: Server) -> None:
    assert re.search(r"^0 4 .*/usr/local/bin/virus-wiper", amavis.checked("crontab", "-l"), re.MULTILINE)


def spam_subject(amavis: Server, rspamd: Server) -> None:
    base = "/usr/lib/dovecot/sieve-global/before/spam_subject"
    assert has(amavis, f"{base}.sieve", f"{base}.svbin")


def learning(amavis: Server, rspamd: Server) -> None:
    files = [
        f"/usr/lib/dovecot/sieve-pipe/learn-{kind}.{end}" for kind in ("spam", "ham") for end in ("sieve", "svbin")
    ]
    assert has(amavis, *files)
    assert has(rspamd, *files)


def modules(amavis: Server, rspamd: Server) -> None:
    for module, value in (("rbl", "false"), ("neural", "true")):
        found = lines(rspamd, f"/etc/rspamd/override.d/{module}.conf")
        assert found[0] == f"# documentation: https://rspamd.com/doc/modules/{module}.html"
        assert f"enabled = {value};" in found


def authenticated(amavis: Server, rspamd: Server) -> None:
    text = rspamd.checked("cat", "/etc/rspamd/local.d/settings.conf")
    assert re.search(r"^authenticated \{\n(.*\n)*?  authenticated = yes;$", text, re.MULTILINE)
    checked = rspamd.containers.command(
        "bash", "-c", "dmsinit render --boot < /dev/null > /dev/null; cat /etc/rspamd/local.d/settings.conf",
        config=rspamd.config,
        options=[f"--hostname=mail.{DOMAIN}", "--env=ENABLE_RSPAMD=1", "--env=RSPAMD_CHECK_AUTHENTICATED=1"],
    ).output  # fmt: skip
    assert "dmsinit writes this file" in checked
    assert "authenticated {" not in checked


def hfilter(amavis: Server, rspamd: Server) -> None:
    assert "__TAG__" not in rspamd.checked("cat", "/etc/rspamd/local.d/hfilter_group.conf")
    done = rspamd.containers.command(
        "bash", "-c", "dmsinit render --boot < /dev/null > /dev/null; ls /etc/rspamd/local.d", config=rspamd.config,
        options=[f"--hostname=mail.{DOMAIN}", "--env=ENABLE_RSPAMD=1", "--env=RSPAMD_HFILTER=0"],
    )  # fmt: skip
    assert "settings.conf" in done.output
    assert "hfilter_group.conf" not in done.output


def chain_files(amavis: Server, rspamd: Server) -> None:
    words = rspamd.checked("postconf", "-h", "smtpd_tls_chain_files").strip().split(" ")
    assert len(words) == 2
    assert words[0].endswith("-key.pem")
    assert words[1].endswith("-cert.pem")


def nameservers(amavis: Server, rspamd: Server) -> None:
    first = re.search(r"^nameserver (\S+)", amavis.checked("cat", "/etc/resolv.conf"), re.MULTILINE)
    assert first
    (line,) = [line for line in lines(amavis, "/etc/opendkim.conf") if line.startswith("Nameservers")]
    assert first.group(1) in re.split(r"[\s,]+", line)


def lmtp(amavis: Server, rspamd: Server) -> None:
    assert has(rspamd, "/etc/dovecot/conf.d/lmtp-master.inc")
    listening = amavis.checked("ss", "-Hltn", "sport = :24")
    assert ":24 " in listening


def ldap(amavis: Server, rspamd: Server) -> None:
    settings = {"DOVECOT_BASE": "ou=people,dc=x", "DOVECOT_DN": "cn=a,dc=x", "DOVECOT_DNPASS": "secret"}
    settings |= {"ACCOUNT_PROVISIONER": "LDAP", "LDAP_SERVER_HOST": "ldap.x", "DOVECOT_USER_FILTER": "(mail=%{user})"}
    file = "/etc/dovecot/conf.d/auth-ldap.conf.ext"
    done = amavis.containers.command(
        "bash", "-c", f"dmsinit render --boot < /dev/null > /dev/null; cat {file}",
        options=[f"--hostname=mail.{DOMAIN}", *(f"--env={name}={value}" for name, value in settings.items())],
    )  # fmt: skip
    found = [line.strip() for line in done.output.splitlines()]
    for line in (
        "ldap_base = ou=people,dc=x", "ldap_auth_dn = cn=a,dc=x", "ldap_auth_dn_password = secret",
        "userdb_ldap_filter = (mail=%{user})",
    ):  # fmt: skip
        assert line in found


def getmail(amavis: Server, rspamd: Server) -> None:
    found = lines(amavis, "/etc/getmailrc.d/there")
    assert {"max_messages_per_session = 500", "received = false", "delivered_to = false"} < set(found)


def restrictions(amavis: Server, rspamd: Server) -> None:
    for direction in ([], ["send"], ["receive"]):
        assert "Everyone is allowed" in amavis.checked("setup", "email", "restrict", "list", *direction)


def port_465(amavis: Server, rspamd: Server) -> None:
    with amavis.smtp(465) as smtp:  # decision 0002: TLS here too
        assert smtp.noop()[0] == 250


CHECKS: Final[dict[str, Callable[[Server, Server], None]]] = {
    "/usr/bin/supervisorctl": supervisorctl,
    "/etc/default/postgrey": postgrey,
    "/etc/default/postsrsd": lambda amavis, _: _in("SRS_DOMAIN=example.test", lines(amavis, "/etc/default/postsrsd")),
    "/etc/cron.d/amavisd-new.disabled": cron,
    "root's crontab": crontab,
    "/usr/lib/dovecot/sieve-global/before/spam_subject.sieve, .svbin": spam_subject,
    "/usr/lib/dovecot/sieve-pipe/learn-{spam,ham}.{sieve,svbin}": learning,
    "/etc/rspamd/override.d/*.conf made by custom-commands": modules,
    "/etc/rspamd/local.d/settings.conf": authenticated,
    "/etc/rspamd/local.d/hfilter_group.conf": hfilter,
    "main.cf smtpd_tls_chain_files": chain_files,
    "/etc/opendkim.conf": nameservers,
    "/etc/dovecot/conf.d/lmtp-master.inc": lmtp,
    "Dovecot's LDAP settings": ldap,
    "/etc/getmailrc.d/* defaults": getmail,
    "docker exec … setup email restrict list": restrictions,
    "the port-465 listener": port_465,
}


def _in(line: str, found: list[str]) -> None:
    assert line in found


def test_each_row_has_its_test() -> None:
    assert {where for where, _ in ROWS} == {*CHECKS, DETECTOR}
    assert [where for where, _ in ROWS].count(DETECTOR) == 2  # the tests below


@pytest.mark.parametrize("where", CHECKS)
def test_what_scripts_look_for_is_there(where: str, amavis: Server, rspamd: Server) -> None:
    CHECKS[where](amavis, rspamd)


def test_a_change_is_announced_and_completed_in_the_log_of_the_detection(changed: list[str]) -> None:
    steps = ("Change detected", "Reloading services due to detected changes", "Completed handling of detected change")
    found = [step for line in changed for step in steps if step in line]
    assert found == list(steps)


def test_locks_appear_in_the_log_of_the_detection(amavis: Server, changed: list[str]) -> None:
    path = f"{CONFIG}/check-for-changes.sh.lock"
    assert any(f"Creating lock '{path}'" in line for line in changed)
    assert any(f"Removed lock '{path}'" in line for line in changed)
    lock = amavis.config / "check-for-changes.sh.lock"
    lock.write_text("another container\n")
    (amavis.config / "postfix-accounts.cf").write_text(ACCOUNTS)
    amavis.wait_for_line(DETECTOR, f"Lock file '{path}' exists")
    lock.unlink()
