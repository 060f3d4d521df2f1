"""What a user's environment and config volume do at boot, and how mistakes in them are told."""

import re
from collections.abc import Mapping
from pathlib import Path

from tests.image.conftest import Start
from tests.image.harness import CONFIG, DOMAIN, HASH, HOSTNAME, UP, Containers, Server, account

ANNA = f"anna@{DOMAIN}"


def test_overrides_are_in_force(server: Server) -> None:
    assert server.checked("postconf", "-h", "max_idle").strip() == "42s"
    assert "smtpd_hard_error_limit=7" in server.checked(
        "postconf", "-P", "submission/inet/smtpd_hard_error_limit"
    ).replace(" ", "")
    assert server.checked("doveconf", "-h", "mail_max_userip_connections").strip() == "77"


def test_user_patches_run_as_root_after_rendering(server: Server) -> None:
    log = server.log()
    assert "patched as root with self-signed" in log
    assert log.index("patched as root") < log.index(UP)
    assert server.checked("postconf", "-h", "queue_minfree").strip() == "12345"


def test_settings_are_written_for_tools(server: Server) -> None:
    lines = server.checked("cat", "/etc/dms-settings").splitlines()
    assert "SSL_TYPE='self-signed'" in lines
    assert lines == sorted(lines)
    assert server.checked("cat", "/etc/mailname").strip() == DOMAIN
    assert server.checked("test", "-s", "/CONTAINER_START") == ""


def test_all_mistakes_are_told_at_once_and_nothing_starts(start: Start) -> None:
    files = {"postfix-accounts.cf": f"{account(ANNA)}# fine so far\nno-domain|{HASH}\nbob@{DOMAIN}\n"}
    server = start(
        files, environment={"DMS_VMAIL_UID": "nobody", "SSL_TYPE": "magic", "POSTFIX_MESSAGE_SIZE_LIMIT": "big"}
    )
    assert server.wait_for_end() == 78
    errors = [line for line in server.log().splitlines() if " ERROR " in line]
    for where in ("DMS_VMAIL_UID", "SSL_TYPE", "POSTFIX_MESSAGE_SIZE_LIMIT"):
        assert [line for line in errors if where in line], f"nothing about {where} in {errors}"
    for where in ("postfix-accounts.cf:3", "postfix-accounts.cf:4"):
        assert [line for line in errors if where in line], f"nothing about {where} in {errors}"
    assert HASH not in server.log()
    assert "Traceback" not in server.log()


def test_a_syntax_error_of_an_override_is_found_before_anything_starts(start: Start) -> None:
    files = {"postfix-accounts.cf": account(ANNA), "dovecot.cf": "no_such_setting = 1\n"}
    server = start(files)
    assert server.wait_for_end() == 78
    log = server.log()
    assert "dovecot.cf" in log
    assert "no_such_setting" in log
    assert UP not in log


def test_a_sieve_script_that_does_not_compile_is_left_out(containers: Containers, tmp_path: Path) -> None:
    (tmp_path / "before.dovecot.sieve").write_text("# Ours first\nfrobnicate;\n")
    (tmp_path / "after.dovecot.sieve").write_text('require ["vnd.dovecot.pipe", "copy"];\npipe :copy "archive";\n')
    checked = containers.command("dmsctl", "render", "--check", config=tmp_path, options=["--hostname", HOSTNAME])
    assert checked.code == 0, checked.output
    assert "before.dovecot.sieve:2: Sieve cannot read it, so it is left out: unknown command" in checked.output
    assert "after.dovecot.sieve" not in checked.output


def test_missing_certificate_files_are_named(start: Start) -> None:
    server = start(
        environment={"SSL_TYPE": "manual", "SSL_CERT_PATH": f"{CONFIG}/ssl/cert", "SSL_KEY_PATH": f"{CONFIG}/ssl/key"}
    )
    assert server.wait_for_end() == 78
    errors = [line for line in server.log().splitlines() if " ERROR " in line]
    assert [line for line in errors if f"{CONFIG}/ssl/cert" in line]
    assert [line for line in errors if f"{CONFIG}/ssl/key" in line]


def test_manual_certificates_are_copied_and_required(start: Start, certificate: Mapping[str, str]) -> None:
    server = start(
        {
            "postfix-accounts.cf": account(ANNA),
            "ssl/cert": certificate[f"ssl/{HOSTNAME}-cert.pem"],
            "ssl/key": certificate[f"ssl/{HOSTNAME}-key.pem"],
        },
        environment={"SSL_TYPE": "manual", "SSL_CERT_PATH": f"{CONFIG}/ssl/cert", "SSL_KEY_PATH": f"{CONFIG}/ssl/key"},
    ).wait_until_up()
    assert server.checked("stat", "--format=%a", "/etc/dms/tls/key", "/etc/dms/tls/cert").split() == ["600", "644"]
    with server.smtp(587) as smtp:
        assert "auth" not in smtp.esmtp_features
        assert smtp.docmd("AUTH PLAIN")[0] in (503, 530)
    server.send(ANNA, "manual", port=465, login=ANNA)
    assert server.receive(ANNA, "manual")["From"] == ANNA


def test_a_name_without_a_domain_ends_with_0_and_one_sentence(start: Start) -> None:
    server = start(hostname="mailbox")
    assert server.wait_for_end() == 0
    errors = [line for line in server.log().splitlines() if " ERROR " in line]
    assert [line for line in errors if "hostname" in line or "FQDN" in line]
    assert UP not in server.log()


def test_a_server_without_accounts_waits_for_the_first(start: Start) -> None:
    server = start({})
    log = server.wait_for_log("no mail account")
    assert " WARN " in log.splitlines()[-1]
    assert re.search(r"add one within 1[012]\d s", log.splitlines()[-1])
    server.checked("setup", "email", "add", ANNA, "correct horse")
    server.wait_until_up()
    server.send(ANNA, "first", port=587, login=ANNA)
    assert server.receive(ANNA, "first")["From"] == ANNA


def test_smtp_only_needs_no_account_and_no_dovecot(start: Start) -> None:
    server = start({}, environment={"SMTP_ONLY": "1"}).wait_until_up()
    states = {name: service["state"] for name, service in server.services().items()}
    assert states["postfix"] == "ready"
    assert states.get("dovecot", "disabled") == "disabled"
    assert "90-quota.conf.disab\n" in server.checked("ls", "/etc/dovecot/conf.d")


def boot_processor_seconds(server: Server) -> float:
    """Return what PID 1 and those of its children that have ended used (proc_pid_stat(5)): rendering, above all."""
    fields = server.checked("cat", "/proc/1/stat").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / int(server.checked("getconf", "CLK_TCK"))


def test_ten_thousand_accounts_boot_nearly_as_fast_as_one(start: Start, tmp_path: Path) -> None:
    """As processor time, which others on the machine do not lengthen."""
    one = start().wait_until_up()
    files = {"postfix-accounts.cf": "".join(account(f"user{number}@{DOMAIN}") for number in range(10_000))}
    (tmp_path / "mail").mkdir()
    many = start(files, options=["--volume", f"{tmp_path / 'mail'}:/var/mail"]).wait_until_up()
    used, used_by_one = boot_processor_seconds(many), boot_processor_seconds(one)
    assert used < 3 * used_by_one, (used, used_by_one)
    user = f"user9999@{DOMAIN}"
    many.send(user, "one of many", port=587, login=user)
    assert many.receive(user, "one of many")["From"] == user
