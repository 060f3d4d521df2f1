"""What a check has passed works: what a configuration names is opened the way the daemons will."""

from collections.abc import Iterator

import pytest

from tests.image.conftest import Start
from tests.image.harness import DOMAIN, UP, Containers, Server, account

ANNA = f"anna@{DOMAIN}"
ACCOUNTS = {"postfix-accounts.cf": account(ANNA)}


@pytest.fixture(scope="module")
def checked(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server in which `dmsctl render --check` is asked about other files of the volume."""
    server = containers.start({**ACCOUNTS, "postfix-main.cf": "# x\n"}, tmp_path_factory.mktemp("checks"))
    server.wait_until_up().checked("supervisorctl", "stop", "changedetector")
    yield server
    server.remove()


def check(server: Server, files: dict[str, str]) -> list[str]:
    """Return the errors and warnings about these files of the volume, which are taken away again."""
    for name, text in files.items():
        (server.config / name).write_text(text)
    lines = server.run("dmsctl", "render", "--check").output.splitlines()
    for name in files:
        (server.config / name).unlink()
    found = [line for line in lines if line.startswith(("error:", "warning:"))]
    return [line for line in found if not line.startswith(("warning: SSL_TYPE", "warning: POSTMASTER_ADDRESS"))]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# the limit\nsmtpd_recipient_limit = many\n", "error: postfix-main.cf:2: smtpd does not start with this: "),
        ("limit = many\nqmgr_message_active_limit = $limit\n", "error: postfix-main.cf:2: qmgr does not start with"),
        ("smtp_destination_concurrency_limit = few\n", "error: postfix-main.cf:1: qmgr does not start with this: "),
        ("max_idle = soon\n", "error: postfix-main.cf:1: "),
        ("smtp_tls_security_level = encrpt\n", "error: postfix-main.cf:1: "),
        ("sender_canonical_maps = regexp:/etc/postfix/nowhere\n", "error: postfix-main.cf:1: sender_canonical_maps "),
        ("mynetworks = 127.0.0.0/8 hash:/etc/postfix/nets\n", "error: postfix-main.cf:1: mynetworks cannot be used"),
        ("transport_maps = proxy:texthash:/etc/postfix/no\n", "error: postfix-main.cf:1: transport_maps cannot be"),
        ("virtual_alias_maps = unionmap:{ static:a, cidr:/etc/no }\n", "error: postfix-main.cf:1: virtual_alias_maps "),
        ("transport_maps = mysql:/etc/postfix/no\n", "error: postfix-main.cf:1: transport_maps cannot be used"),
        ("smtpd_recipient_restrictions = check_recipient_access hash:/etc/postfix/none, permit_mynetworks, reject\n",
         "error: postfix-main.cf:1: smtpd_recipient_restrictions cannot be used"),
        ("dms_smtpd_sender_restrictions = check_sender_access cidr:/etc/postfix/none\n",
         "error: postfix-main.cf:1: dms_smtpd_sender_restrictions cannot be used"),
        ("smtpd_recipient_restrictions = permit_mynetwork, reject\n",
         "error: postfix-main.cf:1: smtpd_recipient_restrictions: permit_mynetwork is not a restriction"),
        ("relayhost = [relay.test]587\n", "error: postfix-main.cf:1: relayhost: [relay.test]587 has 587 where"),
        ("virtual_transport = lmpt:unix:/run/x\n", "error: postfix-main.cf:1: virtual_transport: master.cf has no "),
        ("canonical_maps = foo:/bar\n", "error: postfix-main.cf:1: canonical_maps cannot be used"),
        ("x = foo:/bar\nsmtp_dns_reply_filter = $x\n", "error: postfix-main.cf:1: x cannot be used, and mail would be"),
        ("smtpd_recipient_restrictions = check_recipient_access foo:/bar, permit_mynetworks, reject\n",
         "error: postfix-main.cf:1: smtpd_recipient_restrictions cannot be used"),
        ("alias_maps = proxy:pgsql:/bar\n", "error: postfix-main.cf:1: alias_maps cannot be used"),
        ("smtpd_upstream_proxy_protocol = hapro\n", "error: postfix-main.cf:1: smtpd does not start with this"),
        ("tls_high_cipherlist = FOO\n", "error: postfix-main.cf:1: tls_high_cipherlist: OpenSSL knows no cipher"),
        ("smtpd_tls_protocols = TLSv9\n", "error: postfix-main.cf:1: smtpd_tls_protocols: TLSv9 is not a list such as"),
        ("smtpd_tls_chain_files = /nope.pem\n", "error: postfix-main.cf:1: smtpd_tls_chain_files cannot be used"),
        ("smtp_tls_CAfile = /nope\n", "error: postfix-main.cf:1: smtp_tls_CAfile cannot be used, and TLS"),
        ("smtp_bind_address = nonsense\n", "error: postfix-main.cf:1: smtp_bind_address: nonsense is not an IP"),
        ("virtual_alias_maps = $virtual_alias_maps regexp:/x\n", "error: postfix-main.cf:1: the value of virtual_"),
        ("virtual_transport = lmtp:unix:/var/run/dovecot/lmtp2\n", "error: postfix-main.cf:1: Dovecot does not listen"),
        ("queue_directory = /nope\n", "error: postfix-main.cf:1: queue_directory: there is no directory /nope"),
        ("header_checks = pcre:/tmp/docker-mailserver/postfix-main.cf\n",
         "warning: postfix-main.cf:1: pcre map /tmp/docker-mailserver/postfix-main.cf, line 1"),
    ],
)  # fmt: skip
def test_a_line_with_which_a_daemon_of_postfix_cannot_work_is_named(checked: Server, text: str, said: str) -> None:
    lines = check(checked, {"postfix-main.cf": text})
    assert [line for line in lines if line.startswith(said)], lines
    assert "aliases" not in "".join(lines)


def test_all_lines_are_named_at_once_and_exceptions_in_master_cf_too(checked: Server) -> None:
    lines = check(
        checked,
        {
            "postfix-main.cf": "smtpd_recipient_limit = many\nmessage_size_limit = 1M\nmax_use = none\n",
            "postfix-master.cf": "submission/inet/smtpd_hard_error_limit=few\nsmtp/unix/smtp_bind_address=nowhere\n"
            "submission/inet/smtpd_upstream_proxy_protocol=hapro\n"
            "submissions/inet/smtpd_helo_restrictions=check_helo_access,foo:/bar\n",
        },
    )
    main_cf = [f"postfix-main.cf:{number}" for number in (1, 2, 3)]
    for where in (*main_cf, "postfix-master.cf:1", "postfix-master.cf:2", "postfix-master.cf:3", "postfix-master.cf:4"):
        assert [line for line in lines if line.startswith(f"error: {where}: ")], (where, lines)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"postfix-regexp.cf": "# by pattern\n/^a(b@example\\.test$/ x@example.test\n/^ok@/ anna@example.test\n"},
         "warning: postfix-regexp.cf:2: Postfix cannot read it, and ignores it: error in regex at offset"),
        ({"postfix-relaymap.cf": "@example.test [relay.test]:587\nno-at relay\n"},
         "warning: postfix-relaymap.cf:2: no-at is not a sender, so the line is never used"),
        ({"postfix-relaymap.cf": "@example.test [relay.test]587\n"},
         "error: postfix-relaymap.cf:1: [relay.test]587 has 587 where :port belongs"),
    ],
)  # fmt: skip
def test_lines_of_tables_that_postfix_cannot_use_are_named(checked: Server, files: dict[str, str], said: str) -> None:
    lines = check(checked, files)
    assert [line for line in lines if line.startswith(said)], lines


def test_what_works_is_left_alone(checked: Server) -> None:
    """Among it what a pasted main.cf of Debian has, and a table whose index dmsinit makes."""
    text = (
        "myorigin = /etc/mailname\nsmtp_destination_concurrency_limit = 2\nmax_idle = 10s\n"
        "mynetworks = 127.0.0.0/8 hash:/tmp/docker-mailserver/nets\n"
        "transport_maps = texthash:/tmp/docker-mailserver/nets, proxy:texthash:/etc/postfix/virtual\n"
        "smtpd_recipient_restrictions = permit_sasl_authenticated, permit_mynetworks, reject_unauth_destination,\n"
        "  check_client_access cidr:{ { 192.0.2.0/24 REJECT } }, reject_rbl_client zen.spamhaus.org, mine\n"
        "smtpd_restriction_classes = mine\nmine = check_sender_access inline:{ { a@x.test = REJECT } }, permit\n"
        "smtp_tls_policy_maps = inline:{ { x.test = encrypt } }\naddress_verify_map = btree:/var/mail-state/verify\n"
    )
    assert check(checked, {"postfix-main.cf": text, "nets": "192.0.2.0/24 OK\n"}) == []
    assert checked.run("test", "-e", "/tmp/docker-mailserver/nets.db").code == 1, "a check has left an index"
    assert checked.checked("sh", "-c", "ls /run/dmsinit | grep check- || true") == ""


TRY_ALL = """
from dmsinit.render.check import master_cf, mini_master, trial
from dmsinit.render.paths import Root

mini_master.DEADLINE_SECONDS = 40
root = Root()
main, master = (root.read(path).decode() for path in (trial.MAIN_CF, trial.MASTER_CF))
entries = [entry for entry in master_cf.entries(master) if entry.command not in mini_master.NOT_TRIED]
manager = [entry for entry in entries if entry.command == "qmgr"]  # apart from those that wait for it
for some in (manager, [entry for entry in entries if entry not in manager]):
    for attempt in trial.attempt(trial.Texts(main, master, {}), some, (), (), root):
        print(attempt.entry.name, attempt.entry.command, attempt.answered)
"""
"""Has every daemon of the master.cf in force tried."""


def test_every_daemon_of_a_healthy_configuration_answers(checked: Server) -> None:
    """None is waited for to no end, as cleanup(8) was: it waited for the queue manager."""
    tried = [line.split() for line in checked.run("python3", "-", stdin=TRY_ALL).output.splitlines()]
    silent = [name for name, command, answered in tried if answered != "True" and command != "virtual"]
    assert len(tried) > 30
    assert silent == [], tried  # but virtual(8), which nobody uses, and which has no virtual_mailbox_base


def test_an_apply_that_smtpd_cannot_read_is_refused_and_mail_goes_on(checked: Server) -> None:
    before = checked.checked("cat", "/etc/postfix/main.cf")
    (checked.config / "postfix-main.cf").write_text("smtpd_recipient_limit = many\n")
    refused = checked.run("dmsctl", "apply")
    assert refused.code == 1
    assert "postfix-main.cf:1: smtpd does not start with this" in refused.output
    assert checked.checked("cat", "/etc/postfix/main.cf") == before
    (checked.config / "postfix-main.cf").write_text("smtpd_recipient_limit = 77\n")
    checked.checked("dmsctl", "apply")
    assert checked.checked("postconf", "-h", "smtpd_recipient_limit").strip() == "77"
    checked.send(ANNA, "after the refusal", port=587, login=ANNA)
    assert checked.receive(ANNA, "after the refusal")["From"] == ANNA


def test_a_correction_is_in_force_when_the_apply_returns(checked: Server) -> None:
    """A program of Postfix that died is not started for a while (`service_throttle_time`), whatever is reloaded."""
    (checked.config / "postfix-main.cf").write_text("service_throttle_time = 1h\n")
    checked.checked("dmsctl", "apply")
    broken = "submission/inet/smtpd_recipient_limit"
    checked.checked("postconf", "-P", f"{broken}=many")
    checked.checked("dmsctl", "reload", "postfix")
    checked.checked("bash", "-c", "exec 3<> /dev/tcp/127.0.0.1/587")
    checked.wait_for_line("/var/log/mail/mail.log", "smtpd: bad command startup -- throttling")
    checked.checked("postconf", "-PX", broken)
    refused = checked.run("dmsctl", "reload", "postfix")
    assert (refused.code, "because they died: smtpd; restart postfix" in refused.output) == (1, True), refused.output
    (checked.config / "postfix-main.cf").write_text("max_idle = 51s\nservice_throttle_time = 1h\n")
    checked.checked("dmsctl", "apply")
    checked.send(ANNA, "after the correction", port=587, login=ANNA)
    pid = checked.pids()["postfix"]
    checked.checked("dmsctl", "reload", "postfix")
    assert checked.pids()["postfix"] == pid


def test_a_start_refuses_it_with_all_problems(start: Start) -> None:
    server = start(
        {**ACCOUNTS, "postfix-main.cf": "smtpd_recipient_limit = many\nmynetworks = hash:/etc/postfix/nets\n"}
    )
    assert server.wait_for_end() == 78
    log = server.log()
    assert "postfix-main.cf:1: smtpd does not start with this" in log
    assert "postfix-main.cf:2: mynetworks cannot be used" in log
    assert UP not in log


def test_user_patches_may_provide_what_the_volume_names_and_an_index_is_made(start: Start) -> None:
    server = start(
        {
            **ACCOUNTS,
            "postfix-main.cf": "sender_canonical_maps = regexp:/etc/postfix/made\n"
            "mynetworks = 127.0.0.0/8 hash:/tmp/docker-mailserver/nets\n",
            "nets": "192.0.2.0/24 OK\n",
            "dovecot.cf": "ssl_server_cert_file = /etc/dovecot/made.pem\nssl_server_key_file = /etc/dovecot/made.key\n",
            "user-patches.sh": "echo '/^x@x\\.test$/ y@x.test' > /etc/postfix/made\ncd /etc/dovecot\n"
            "cp ../dms/tls/*-made-cert.pem made.pem\ncp ../dms/tls/*-made-key.pem made.key\n",
        }
    ).wait_until_up()
    assert "postfix-main.cf" not in server.log()
    assert "dovecot.cf" not in server.log()
    assert server.checked("postmap", "-q", "192.0.2.0/24", "hash:/tmp/docker-mailserver/nets").strip() == "OK"
    server.send(ANNA, "by a table", port=587, login=ANNA)
    assert server.receive(ANNA, "by a table")["From"] == ANNA


def test_what_user_patches_did_not_provide_is_a_problem_of_the_volume(start: Start) -> None:
    server = start(
        {
            **ACCOUNTS,
            "postfix-main.cf": "sender_canonical_maps = regexp:/etc/postfix/made\n",
            "dovecot.cf": "ssl_server_cert_file = /etc/dovecot/made.pem\n",
            "user-patches.sh": "postconf 'smtpd_recipient_limit = many'\n"
            "echo 'nosuch = 1' > /etc/dovecot/conf.d/99-x.conf\n",
        }
    )
    assert server.wait_for_end() == 78
    errors = [line for line in server.log().splitlines() if " ERROR " in line]
    assert [line for line in errors if "postfix-main.cf:1: sender_canonical_maps cannot be used" in line], errors
    assert [line for line in errors if "dovecot.cf:1: the file '/etc/dovecot/made.pem' does not exist" in line], errors
    assert [line for line in errors if "user-patches.sh: " in line and "smtpd_recipient_limit = many" in line], errors
    assert [line for line in errors if "user-patches.sh: Dovecot cannot read its configuration" in line], errors


def test_what_user_patches_breaks_is_an_error_that_names_it_and_nothing_says_ready(start: Start) -> None:
    server = start({**ACCOUNTS, "user-patches.sh": "postconf 'smtpd_recipient_limit = many'\n"})
    log = server.wait_for_log("user-patches.sh: ")
    assert " ERROR " in log.splitlines()[-1]
    assert "smtpd does not start with this: bad numerical configuration: smtpd_recipient_limit = many" in log
    server.wait_for_line("/var/log/mail/mail.log", "postfix/master.*smtpd: bad command startup -- throttling")
    assert server.services()["postfix"]["state"] not in ("ready", "busy")
    assert UP not in server.log()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mail_plugins {\n  quota = yes\n  nosuch = yes\n}\n", "error: dovecot.cf:3: Plugin 'nosuch' not found"),
        ("protocol imap {\n  mail_plugins {\n    imap_x = yes\n  }\n}\n", "error: dovecot.cf:3: Plugin 'imap_x'"),
        ("sieve_plugins {\n  sieve_x = yes\n}\n", "error: dovecot.cf:2: Plugin 'sieve_x' not found"),
        ("!include /etc/dovecot/nowhere.conf\n", "error: dovecot.cf"),
        ("mail_plugins = quota nosuch\n", "error: dovecot.cf:1: Plugin 'nosuch' not found"),
        ("remote 192.0.2.1 {\n  protocol imap {\n    mail_plugins/nosuch = Y\n  }\n}\n", "error: dovecot.cf:3: Plugin"),
        ("protocol sieve {\n  mail_plugins {\n    nosuch = 1\n  }\n}\n", "error: dovecot.cf:3: Plugin 'nosuch' not"),
        (
            "# x\nprotocols = imap\n",
            "error: dovecot.cf:2: Dovecot does not listen at '/run/dovecot/lmtp', where virtual_",
        ),
        ("protocols {\n  lmtp = no\n}\n", "error: dovecot.cf:2: Dovecot does not listen at '/run/dovecot/lmtp'"),
        ("service lmtp {\n  unix_listener lmtp {\n    path = other\n  }\n}\n", "error: dovecot.cf:2: Dovecot does not"),
        (
            "service quota-status {\n  inet_listener policy {\n    port = 0\n  }\n}\n",
            "error: dovecot.cf:2: Dovecot does not listen at 'port 65265'",
        ),
        (
            "service auth {\n  unix_listener /dev/shm/sasl-auth.sock {\n    mode = 0\n  }\n}\n",
            "error: dovecot.cf:2: Dovecot does not listen at '/dev/shm/sasl-auth.sock', where smtpd_sasl_path",
        ),
        ("auth_mechanisms = plain foo\n", "error: dovecot.cf:1: unknown authentication mechanism 'foo'"),
        (
            "mail_driver = foo\n",
            "error: dovecot.cf:1: no session can start: Namespace inbox: Unknown mail storage driver",
        ),
        ("quota x {\n  driver = foo\n}\n", "error: dovecot.cf:2: no session can start: Failed to initialize quota"),
        (
            "mail_plugins {\n  acl = yes\n}\nacl_driver = foo\n",
            "error: dovecot.cf:4: no session can start: Unknown ACL",
        ),
        ("mailbox_list_layout = foo\n", "error: dovecot.cf:1: no session can start: Namespace inbox"),
        ("ssl_min_protocol = TLSv9\n", "error: dovecot.cf:1: 'TLSv9' is not a version of TLS"),
        ("ssl_cipher_list = FOO\n", "error: dovecot.cf:1: OpenSSL knows no cipher of 'FOO'"),
        ("service auth {\n  user = nobody2\n}\n", "error: dovecot.cf:2: user 'nobody2' of service auth does not exist"),
        ("service imap-login {\n  chroot = /nowhere\n}\n", "error: dovecot.cf:2: the directory '/nowhere' (chroot of"),
        ("service imap-login {\n  chroot = /tmp\n}\n", "error: dovecot.cf:2: the directory '/tmp' (chroot of service"),
        ("service imap-login {\n  chroot = nope\n}\n", "error: dovecot.cf:2: the directory 'nope' (chroot of service"),
        ("service lmtp {\n  executable = nothere -L\n}\n", "error: dovecot.cf:2: the program 'nothere' of service"),
        ("# x\nlibexec_dir = /nope\n", "error: dovecot.cf:2: libexec_dir '/nope' does not have"),
        ("service auth {\n  extra_groups = mail nope\n}\n", "error: dovecot.cf:2: group 'nope' (extra_groups of"),
        ("# x\nmail_privileged_group = nope\n", "error: dovecot.cf:2: group 'nope' (mail_privileged_group) does not"),
        ("# x\nlisten = *, 10.9.9.9\n", "error: dovecot.cf:2: '10.9.9.9' (listen) is not an address of"),
        ("listen = 127.0.0\n", "error: dovecot.cf:1: '127.0.0' (listen) is not an address of"),
        (
            "service imap-login {\n  inet_listener imap {\n    listen = 2001:db8::1\n  }\n}\n",
            "error: dovecot.cf:3: '2001:db8::1' (listen) is not an address of this container",
        ),
        (
            "service auth {\n  unix_listener /nope/x {\n  }\n}\n",
            "error: dovecot.cf:2: the directory of the socket '/nope/x' does not exist",
        ),
        ("ssl_server {\n  cert_file = /nope.pem\n}\n", "warning: dovecot.cf:2: the file '/nope.pem' does not exist"),
        ("# x\nssl_server_cert_file=/nope.pem\n", "warning: dovecot.cf:2: the file '/nope.pem' does not exist"),
    ],
)
def test_what_dovecot_cannot_load_is_named(checked: Server, text: str, said: str) -> None:
    lines = check(checked, {"dovecot.cf": text})
    assert [line for line in lines if line.startswith(said)], lines


def test_plugins_that_are_there_or_off_are_left_alone(checked: Server) -> None:
    text = "mail_plugins {\n  acl = yes\n  mail_log = yes\n  nosuch = no\n}\n"
    text += "protocol imap {\n  mail_plugins = imap_acl\n}\n"
    text += "auth_mechanisms = plain login scram-sha-256\nprotocols = imap lmtp pop3\nmail_driver = mdbox\n"
    before = checked.checked("ls", "/tmp", "/var/mail")
    text += "listen = 127.0.0.1, ::, localhost\nssl_server_cert_file = /etc/ssl/openssl.cnf\n"
    text += "service imap-login {\n  chroot =\n  executable = imap-login -D\n  extra_groups = mail\n}\n"
    text += "service pop3-login {\n  chroot = login\n  group = $SET:default_internal_group\n}\n"
    text += "service auth {\n  unix_listener /var/spool/postfix/private/auth {\n    user = postfix\n  }\n}\n"
    assert check(checked, {"dovecot.cf": text}) == []
    assert checked.checked("ls", "/tmp", "/var/mail") == before, "a check has left a mailbox"


FILTERS = [
    ({"amavis.cf": "use strict;\n$sa_tagg_level = 2;\n1;\n"},
     'error: amavis.cf:2: Amavis does not start with this: Global symbol "$sa_tagg_level"'),
    ({"amavis.cf": "# ours\n$sa_tagg_level = 2;\n1;\n"}, "warning: amavis.cf:2: Amavis has no variable $sa_tagg_level"),
    ({"amavis.cf": "$final_virus_destiny = D_FOO;\n1;\n"}, "warning: amavis.cf:1: Amavis has no constant D_FOO"),
    ({"amavis.cf": "read_hash(\\%h, '/etc/amavis/no');\n1;\n"}, "error: amavis.cf:1: /etc/amavis/no does not exist"),
    ({"amavis.cf": '$max_servers = "many";\n1;\n'}, "error: amavis.cf:1: $max_servers has to be a number"),
    ({"amavis.cf": '$QUARANTINEDIR = "/no";\n1;\n'}, "error: amavis.cf:1: /no does not exist, which Amavis needs"),
    ({"whitelist_clients.local": "a.test\n/^(b/\n"}, "error: whitelist_clients.local:2: Postgrey does not start with"),
    ({"whitelist_clients.local": "192.0.2.0/99\n"}, "warning: whitelist_clients.local:1: is neither an /expression/"),
    ({"whitelist_recipients": "anna@ bob@\n"}, "warning: whitelist_recipients:1: is more than one name"),
    ({"getmail/anna.cf": "[retriever]\ntype = SimpleIMAPSSLRetriver\n[destination]\ntype = Maildir\n"},
     "error: getmail/anna.cf:2: getmail has no retriever SimpleIMAPSSLRetriver"),
    ({"getmail/anna.cf": "[retriever]\ntype = SimpleIMAPSSLRetriever\nserver = a.test\nusername = a\npassword = b\n"
      "[destination]\ntype = MDA_external\npath = /no\n"}, "error: getmail/anna.cf:8: /no does not exist"),
    ({"opendkim/KeyTable": "k example.test:mail:/etc/opendkim/keys/no\n", "opendkim/SigningTable": "@x.test k\n"},
     "error: opendkim/KeyTable:1: /etc/opendkim/keys/no does not exist"),
]  # fmt: skip
"""What daemons that filter and fetch would not start with, defer mail with, or do not use."""


@pytest.fixture(scope="module")
def filters(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with filters, and files that are right."""
    config = tmp_path_factory.mktemp("filters")
    (config / "getmail").mkdir()
    (config / "postfix-accounts.cf").write_text(ACCOUNTS["postfix-accounts.cf"])
    server = containers.start({}, config, environment={"ENABLE_POSTGREY": "1", "ENABLE_GETMAIL": "1"})
    server.wait_until_up().checked("supervisorctl", "stop", "changedetector")
    server.checked("setup", "config", "dkim")
    yield server
    server.remove()


@pytest.mark.parametrize(("files", "said"), FILTERS)
def test_what_filters_and_fetchers_cannot_use_is_named(filters: Server, files: dict[str, str], said: str) -> None:
    kept = {name: (filters.config / name).read_text() for name in files if (filters.config / name).exists()}
    lines = check(filters, files)
    for name, text in kept.items():
        (filters.config / name).write_text(text)
    assert [line for line in lines if line.startswith(said)], lines


def test_files_of_filters_that_are_right_are_left_alone(filters: Server) -> None:
    files = {
        "amavis.cf": 'use strict;\n$max_servers = 3;\n$sa_tag_level_deflt = "-999";\n1;\n',
        "whitelist_clients.local": "# c\nexample.org\n192.0.2.0/24\n2001:db8::/32\n192.0.2\n/^mail\\d+\\.x$/\n",
        "whitelist_recipients": "anna@\n/^b/\nexample.test # d\n",
        "getmail/anna@example.test.cf": "[retriever]\ntype = SimpleIMAPSSLRetriever\nserver = a.test\nusername = a\n"
        "password = b\n",
    }
    assert check(filters, files) == []


def test_tables_with_which_mail_would_be_deferred_are_refused_while_it_runs(filters: Server) -> None:
    """At a start they are errors in the log: mail of other domains goes on."""
    table = filters.config / "opendkim/SigningTable"
    before, installed = table.read_text(), filters.checked("cat", "/etc/opendkim/SigningTable")
    table.write_text(before.replace("mail._domainkey", "other._domainkey"))
    refused = filters.run("dmsctl", "apply")
    assert (refused.code, "opendkim/SigningTable:1: KeyTable has no key other." in refused.output) == (1, True), refused
    assert filters.checked("cat", "/etc/opendkim/SigningTable") == installed
    filters.restart()
    filters.wait_until_up(2)
    assert "ERROR dmsinit: opendkim/SigningTable:1: KeyTable has no key other." in filters.log()
    table.write_text(before)


@pytest.fixture(scope="module")
def guarded(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with Fail2ban whose jails ban with iptables, and with jails that cannot work."""
    jails = "[DEFAULT]\nbanaction = iptables-multiport\n[mine]\nenabled = true\nfilter = nosuch\n"
    jails += "[dovecot]\nbanaction = ufw\n"
    files = {**ACCOUNTS, "fail2ban-jail.cf": jails}
    server = containers.start(files, tmp_path_factory.mktemp("guarded"), environment={"ENABLE_FAIL2BAN": "1"})
    yield server.wait_until_up()
    server.remove()


def test_jails_that_cannot_work_are_named_at_the_start(guarded: Server) -> None:
    errors = [line for line in guarded.log().splitlines() if " ERROR " in line]
    assert [line for line in errors if "fail2ban-jail.cf:3: the jail mine does not work: there is no filter" in line]
    assert [line for line in errors if "fail2ban-jail.cf:6: the jail dovecot does not work: its action ufw" in line]
    assert not [line for line in errors if "iptables" in line]


def test_a_ban_is_in_the_kernel_or_not_reported_as_one(guarded: Server) -> None:
    guarded.checked("setup", "fail2ban", "ban", "192.0.2.7")
    assert "192.0.2.7" in guarded.checked("nft", "list", "ruleset")
    guarded.checked("fail2ban-client", "set", "custom", "action", "iptables-multiport", "actionban", "false")
    refused = guarded.run("setup", "fail2ban", "ban", "192.0.2.8")
    assert refused.code == 1
    assert "the kernel has no rule for it" in refused.output


def test_bans_that_the_kernel_has_lost_are_set_again_and_told(guarded: Server) -> None:
    """The jail of bans by hand uses iptables, that of Postfix nftables; who flushes the rules takes both."""
    with (guarded.config / "fail2ban-jail.cf").open("a") as file:
        file.write("[postfix]\nbanaction = nftables-allports\n")
    (guarded.config / "services").mkdir()
    (guarded.config / "services/fail2ban.toml").write_text('[health]\ninterval = "1s"\n')
    guarded.checked("dmsctl", "apply")
    guarded.checked("dmsctl", "restart", "fail2ban")
    guarded.checked("fail2ban-client", "set", "custom", "banip", "192.0.2.20")
    guarded.checked("fail2ban-client", "set", "postfix", "banip", "192.0.2.21")
    held = "[ $(nft list ruleset 2> /dev/null | grep -c -e 192.0.2.20 -e 192.0.2.21) = 2 ]"
    guarded.until(held)
    guarded.checked("nft", "flush", "ruleset")
    guarded.until(held)
    guarded.wait_for_log("its check (python3) found something wrong; last error: error: the kernel had lost")
    guarded.until("dmsctl metrics | grep -q 'dms_bans_restored_total [2-9]'")
    assert "in force" in guarded.run("dmsctl", "doctor").output


def test_a_time_that_fail2ban_cannot_read_is_refused(guarded: Server) -> None:
    lines = check(guarded, {"fail2ban-jail.cf": "[DEFAULT]\nbantime = long\n[dovecot]\nfindtime = 10z\n"})
    for number, name in ((2, "bantime = long"), (4, "findtime = 10z")):
        assert [line for line in lines if line.startswith(f"error: fail2ban-jail.cf:{number}: {name} is not")], lines
    assert check(guarded, {"fail2ban-jail.cf": "[DEFAULT]\nbantime = 1d 2h\nfindtime = -1\n"}) == []


def test_values_that_end_fail2ban_are_refused(guarded: Server) -> None:
    wrong = "[DEFAULT]\nmaxretry = x\nmaxmatches = 1.5\nlogencoding = zork\nbantime.multipliers = a b\n"
    wrong += "ignorecache = zz\n[postfix]\nbackend = nope\n"
    lines = check(guarded, {"fail2ban-jail.cf": wrong})
    for place in ("2: maxretry", "3: maxmatches", "4: logencoding", "5: bantime.multipliers", "6: ignorecache"):
        assert [line for line in lines if line.startswith(f"error: fail2ban-jail.cf:{place} of the jail ")], lines
    assert [line for line in lines if line.startswith("error: fail2ban-jail.cf:8: backend of the jail postfix")], lines
    right = "[DEFAULT]\nmaxretry = 3\nlogencoding = utf-8\nignoreip = 192.0.2.0/24 host.example.test\n"
    assert check(guarded, {"fail2ban-jail.cf": right}) == []


def test_a_filter_that_does_not_exist_is_told_before_it_is_in_force(guarded: Server) -> None:
    lines = check(guarded, {"fail2ban-jail.cf": "[postfix-sasl]\nenabled = true\nfilter = nosuchfilter\n"})
    assert [line for line in lines if "fail2ban-jail.cf:1: the jail postfix-sasl does not work: there is no" in line]


def test_a_jail_file_that_fail2ban_cannot_read_is_refused(guarded: Server) -> None:
    lines = check(guarded, {"fail2ban-fail2ban.cf": "[Definition\nloglevel = INFO\n"})
    assert [line for line in lines if line.startswith("error: fail2ban-fail2ban.cf:1: Fail2ban cannot read it")], lines


def test_a_start_without_a_capability_that_it_needs_names_it(start: Start) -> None:
    server = start(ACCOUNTS, options=("--cap-drop=FOWNER",))
    assert server.wait_for_end() == 78
    (error,) = [line for line in server.log().splitlines() if " ERROR " in line and "cannot be written" in line]
    assert "/etc/" in error
    assert "Operation not permitted; give the container the capability FOWNER (cap_add" in error
