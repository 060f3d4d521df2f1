"""templates/etc/dovecot against tests/contract/main-parameters.md, sections 3 and 7."""

import pytest

from tests.unit.templates.conftest import FQDN, HASH, Render, System


def test_protocols(render: Render) -> None:
    assert render().dovecot("dovecot.conf")["protocols/lmtp"] == "yes"
    enabled = {name for name in render().dovecot("dovecot.conf") if name.startswith("protocols/")}
    assert enabled == {"protocols/lmtp", "protocols/imap"}
    found = render(ENABLE_IMAP="0", ENABLE_POP3="1", ENABLE_MANAGESIEVE="1").dovecot("dovecot.conf")
    assert {name for name in found if name.startswith("protocols/")} == {
        "protocols/lmtp", "protocols/pop3", "protocols/sieve",
    }  # fmt: skip


@pytest.mark.parametrize(("protocols", "listen"), [("all", None), ("ipv4", "*"), ("ipv6", "[::]")])
def test_listen(render: Render, protocols: str, listen: str | None) -> None:
    assert render(DOVECOT_INET_PROTOCOLS=protocols).dovecot("dovecot.conf").get("listen") == listen


def test_the_users_file_is_read_last(render: Render) -> None:
    lines = render().lines("/etc/dovecot/dovecot.conf")
    assert lines[-2:] == ["!include conf.d/*.conf", "!include_try local.conf"]


def test_logins(render: Render) -> None:
    found = render().dovecot("conf.d/10-auth.conf")
    assert found["auth_mechanisms"] == "plain login"
    assert found["auth_verbose"] == "yes"
    assert found["auth_verbose_passwords"] == "sha1:6"
    assert found["auth_allow_cleartext"] == "yes"
    accounts = render().dovecot("conf.d/auth-passwdfile.conf.ext")
    assert accounts["passdb passwd-file/passwd_file_path"] == "/etc/dovecot/userdb"
    assert accounts["passdb passwd-file/default_password_scheme"] == "SHA512-CRYPT"
    assert accounts["userdb passwd-file/fields/uid:default"] == "docker"
    assert accounts["userdb passwd-file/fields/home:default"] == "/var/mail/%{user | domain}/%{user | username}/home/"


@pytest.mark.parametrize(
    ("hosts", "uris"),
    [
        ("", "ldap://mail.example.com"),
        ("ldaps://a.test ldap://b.test:390", "ldaps://a.test ldap://b.test:390"),
        ("a.test ldap://b.test", "ldap://a.test ldap://b.test"),
    ],
)
def test_directory_servers_have_a_scheme(render: Render, hosts: str, uris: str) -> None:
    rendered = render(ACCOUNT_PROVISIONER="LDAP", DOVECOT_URIS=hosts)
    assert rendered.dovecot("conf.d/auth-ldap.conf.ext")["ldap_uris"].strip('"') == uris


def test_a_certificate_makes_tls_a_duty(system: System) -> None:
    for name in ("key", "cert", "altkey", "altcert"):
        system.write(f"/certs/{name}.pem", name)
    rendered = system.render(
        SSL_TYPE="manual", SSL_KEY_PATH="/certs/key.pem", SSL_CERT_PATH="/certs/cert.pem",
        SSL_ALT_KEY_PATH="/certs/altkey.pem", SSL_ALT_CERT_PATH="/certs/altcert.pem",
    )  # fmt: skip
    found = rendered.dovecot("conf.d/10-ssl.conf")
    assert found["ssl"] == "required"
    assert found["ssl_server_cert_file"] == "/etc/dms/tls/cert"
    assert found["ssl_server_key_file"] == "/etc/dms/tls/key"
    assert found["ssl_server_alt_cert_file"] == "/etc/dms/tls/fallback_cert"
    assert found["ssl_server_alt_key_file"] == "/etc/dms/tls/fallback_key"
    assert rendered.dovecot("conf.d/10-auth.conf")["auth_allow_cleartext"] == "no"


def test_tls_with_a_certificate_of_our_own(render: Render) -> None:
    found = render().dovecot("conf.d/10-ssl.conf")
    assert found["ssl"] == "yes"
    assert found["ssl_server_cert_file"] == f"/etc/dms/tls/{FQDN}-made-cert.pem"
    assert "ssl_server_alt_cert_file" not in found
    assert found["ssl_server_dh_file"] == "/etc/dovecot/dh.pem"
    assert found["ssl_min_protocol"] == "TLSv1.2"
    assert found["ssl_server_prefer_ciphers"] == "server"


@pytest.mark.parametrize("level", ["modern", "intermediate"])
def test_postfix_and_dovecot_have_the_same_ciphers(render: Render, level: str) -> None:
    rendered = render(TLS_LEVEL=level)
    assert rendered.dovecot("conf.d/10-ssl.conf")["ssl_cipher_list"] == rendered.main_cf()["tls_high_cipherlist"]


def test_mailboxes(render: Render) -> None:
    found = render().dovecot("conf.d/10-mail.conf")
    assert found["mail_driver"] == "maildir"
    assert found["mail_path"] == "/var/mail/%{user | domain}/%{user | username}"
    assert found["mail_home"] == "/var/mail/%{user | domain}/%{user | username}/home"
    assert found["mail_privileged_group"] == "docker"
    assert found["mailbox_list_index"] == found["maildir_stat_dirs"] == "yes"
    folders = render().dovecot("conf.d/15-mailboxes.conf")
    for name in ("Drafts", "Junk", "Trash", "Sent"):
        assert folders[f"namespace inbox/mailbox {name}/auto"] == "subscribe"
        assert folders[f"namespace inbox/mailbox {name}/special_use"] == f"\\{name}"
    assert folders["namespace inbox/mailbox Trash/quota_storage_extra"] == "50M"


def test_dbox(render: Render) -> None:
    rendered = render(DOVECOT_MAILBOX_FORMAT="sdbox")
    found = rendered.dovecot("conf.d/10-mail.conf")
    assert found["mail_driver"] == "sdbox"
    assert found["mail_home"] == found["mail_path"]
    assert "38 2 * * * root doveadm purge -A" in rendered.lines("/etc/cron.d/dovecot-purge")
    assert "/etc/cron.d/dovecot-purge" not in render().files


def test_sockets(render: Render) -> None:
    found = render().dovecot("conf.d/10-master.conf")
    assert found["service auth/unix_listener /dev/shm/sasl-auth.sock/mode"] == "0660"
    assert found["service auth/unix_listener /dev/shm/sasl-auth.sock/user"] == "postfix"
    assert found["service auth/unix_listener auth-userdb/mode"] == "0666"
    assert found["service auth/unix_listener auth-master/mode"] == "0600"
    assert found["service lmtp/unix_listener lmtp/mode"] == "0660"
    assert found["service lmtp/unix_listener lmtp/group"] == "postfix"
    assert found["service stats/unix_listener stats-writer/mode"] == "0"
    assert found["stats_writer_socket_path"] == ""
    assert found["service anvil/chroot"] == found["service imap-login/chroot"] == ""
    assert found["service imap-login-health/inet_listener health/listen"] == "127.0.0.1"
    asked = render().services["dovecot"].ready.probe.address
    assert asked == f"inet:127.0.0.1:{found['service imap-login-health/inet_listener health/port']}"


def test_dovecot_leaves_the_bound_on_deliveries_to_postfix(render: Render) -> None:
    assert render().dovecot("conf.d/20-lmtp.conf")["lmtp_user_concurrency_limit"] == "unlimited"


def test_quotas(render: Render) -> None:
    rendered = render(POSTFIX_MAILBOX_SIZE_LIMIT="4096000", POSTFIX_MESSAGE_SIZE_LIMIT="2048000")
    found = rendered.dovecot("conf.d/90-quota.conf")
    assert found["quota_storage_size"] == "4M"
    assert found["quota_mail_size"] == "2M"
    assert found["quota_storage_grace"] == "10M"
    assert found["service quota-status/executable"] == "quota-status -p postfix"
    assert found["service quota-status/client_limit"] == "1"
    assert found["service quota-status/inet_listener policy/port"] == "65265"
    assert found["service quota-status/inet_listener policy/listen"] == "127.0.0.1"
    assert rendered.dovecot("conf.d/10-mail.conf")["mail_plugins/quota"] == "yes"
    assert rendered.dovecot("conf.d/20-imap.conf")["protocol imap/mail_plugins/imap_quota"] == "yes"
    assert rendered.files["/usr/local/bin/quota-warning"].mode == 0o755


def test_no_limits_by_default(render: Render) -> None:
    found = render().dovecot("conf.d/90-quota.conf")
    assert found["quota_storage_size"] == "unlimited"
    assert found["quota_mail_size"] == "10M"


def test_quotas_off(render: Render) -> None:
    rendered = render(ENABLE_QUOTAS="0")
    assert "/etc/dovecot/conf.d/90-quota.conf" not in rendered.files
    assert "/etc/dovecot/conf.d/90-quota.conf.disab" in rendered.files
    assert "mail_plugins/quota" not in rendered.dovecot("conf.d/10-mail.conf")
    assert rendered.dovecot("conf.d/20-imap.conf")["protocol imap/mail_plugins/imap_quota"] == "no"
    assert "/usr/local/bin/quota-warning" not in rendered.files


def test_both_names_of_the_quota_file_hold_the_same(render: Render) -> None:
    off, on = render(ENABLE_QUOTAS="0").files, render().files
    directory = "/etc/dovecot/conf.d"
    assert off[f"{directory}/90-quota.conf.disab"].content == on[f"{directory}/90-quota.conf"].content


def test_deliveries_to_mailboxes_without_a_limit_are_not_counted(render: Render) -> None:
    quota = render().dovecot("conf.d/90-quota.conf")
    assert {path: value for path, value in quota.items() if "quota_ignore_unlimited" in path} == {
        "protocol lmtp/quota_ignore_unlimited": "yes", "protocol lda/quota_ignore_unlimited": "yes",
    }  # fmt: skip


def test_smtp_only_leaves_dovecot_alone(render: Render) -> None:
    rendered = render(SMTP_ONLY="1")
    found = [path for path in rendered.files if path.startswith("/etc/dovecot/")]
    assert found == ["/etc/dovecot/conf.d/90-quota.conf.disab"]  # the contract's sign that there are no quotas
    assert not [path for path in rendered.files if path.endswith(".sieve")]


def test_delivery(render: Render) -> None:
    rendered = render(POSTMASTER_ADDRESS="boss@example.test")
    found = rendered.dovecot("conf.d/15-lda.conf")
    assert found["postmaster_address"] == "boss@example.test"
    assert found["hostname"] == FQDN
    assert found["protocol lda/mail_plugins/sieve"] == "yes"
    assert rendered.dovecot("conf.d/20-lmtp.conf")["protocol lmtp/mail_plugins/sieve"] == "yes"


def test_scripts_for_spam(render: Render) -> None:
    scripts = {path.split("/")[-1] for path in render().files if path.endswith(".sieve")}
    assert scripts == {"70-spam_to_junk.sieve"}
    rendered = render(MOVE_SPAM_TO_JUNK="0", MARK_SPAM_AS_READ="1", SPAM_SUBJECT='"[SP\\AM] "')
    scripts = {path.split("/")[-1] for path in rendered.files if path.endswith(".sieve")}
    assert scripts == {"60-spam_mark_as_read.sieve", "spam_subject.sieve"}
    subject = rendered.text("/usr/lib/dovecot/sieve-global/before/spam_subject.sieve")
    assert 'addheader :last "Subject" "[SP\\\\AM] ${subject}";' in subject
    assert rendered.dovecot("conf.d/90-sieve.conf")["sieve_global_extensions/editheader"] == "yes"
    dollars = render(SPAM_SUBJECT="${x}$ ").text("/usr/lib/dovecot/sieve-global/before/spam_subject.sieve")
    assert 'set "dollar" "$";' in dollars
    assert 'addheader :last "Subject" "${dollar}{x}${dollar} ${subject}";' in dollars


def test_sieve(render: Render) -> None:
    found = render().dovecot("conf.d/90-sieve.conf")
    assert found["sieve_script before/path"] == "/usr/lib/dovecot/sieve-global/before"
    assert found["sieve_script after/path"] == "/usr/lib/dovecot/sieve-global/after"
    assert found["sieve_script personal/active_path"] == "~/.dovecot.sieve"
    assert found["sieve_extensions/special-use"] == "yes"
    for extension in ("vnd.dovecot.pipe", "vnd.dovecot.filter"):
        assert found[f"sieve_extensions/{extension}"] == "no"
        assert found[f"sieve_global_extensions/{extension}"] == "yes"
    assert found["sieve_global_extensions/editheader"] == "no"
    assert {"/usr/lib/dovecot/sieve-pipe", "/usr/lib/dovecot/sieve-filter"} <= render().directories.keys()


def test_users_scripts_may_call_the_administrators_programs(system: System) -> None:
    system.volume("sieve-pipe/archive", "#!/bin/sh\n")
    system.volume("sieve-filter/.gitkeep", "")
    found = system.render().dovecot("conf.d/90-sieve.conf")
    assert found["sieve_extensions/vnd.dovecot.pipe"] == "yes"
    assert "sieve_global_extensions/vnd.dovecot.pipe" not in found
    assert found["sieve_extensions/vnd.dovecot.filter"] == "no"


def test_lmtp_is_not_root_unless_mailboxes_have_several_owners(system: System) -> None:
    system.volume("sieve-pipe/archive", "#!/bin/sh\n")
    rendered = system.render()
    assert rendered.dovecot("conf.d/10-master.conf")["service lmtp/user"] == "docker"
    assert "protocol lmtp/sieve_pipe_bin_dir" not in rendered.dovecot("conf.d/90-sieve.conf")
    for accounts, settings in (
        (f"anna@example.test|{HASH}|userdb_uid=6001\n", ""),
        (f"anna@example.test|{HASH}\n", "userdb static {\n  fields {\n    uid = 6001\n  }\n}\n"),
        (f"anna@example.test|{HASH}\n", "mail_uid = 6001\n"),
        (f"anna@example.test|{HASH}\n", "service lmtp {\n  user = root\n}\n"),
    ):
        system.volume("postfix-accounts.cf", accounts)
        system.volume("dovecot.cf", settings)
        rendered = system.render()
        assert "service lmtp/user" not in rendered.dovecot("conf.d/10-master.conf"), settings
        found = rendered.dovecot("conf.d/90-sieve.conf")
        assert found["protocol lmtp/sieve_pipe_bin_dir"] == ""
        assert found["service sieve-pipe-archive/user"] == "docker"


@pytest.mark.parametrize(
    ("attributes", "several"),
    [
        ("", True),
        ("mail=user,qmailUID=uid", True),
        ("mailHome=home", False),
        ("mailHome=home,=uid=5000,=gid=5000", False),
    ],
)
def test_a_directory_may_name_other_owners(render: Render, attributes: str, several: bool) -> None:
    environment = {"DOVECOT_USER_ATTRS": attributes} if attributes else {}
    found = render(ACCOUNT_PROVISIONER="LDAP", **environment).dovecot("conf.d/10-master.conf")
    assert ("service lmtp/user" not in found) == several


def test_settings_about_something_else_leave_lmtp_as_it_is(system: System) -> None:
    system.volume("dovecot.cf", "# mail_uid = 6001\nservice auth {\n  user = root\n}\nlog_path = /uid\n")
    assert system.render().dovecot("conf.d/10-master.conf")["service lmtp/user"] == "docker"
