"""services/*.toml: what is started, in which order, how it is asked and stopped."""

import csv
import os
import re
import tomllib

import pytest

from dmsinit.plan import start_order
from dmsinit.render.services.owners import changes_of
from tests.unit.templates.conftest import REPOSITORY, Render, System

NAMES = {"cron", "dovecot", "mailserver", "opendkim", "opendmarc", "postfix", "rsyslog"}


def test_names_are_those_of_the_contract(render: Render) -> None:
    services = render().services
    assert services.keys() >= NAMES
    assert all(services[name].enabled for name in NAMES)
    assert all(services[name].description for name in NAMES)


def test_postfix_starts_behind_its_filters_and_everything_behind_the_log(render: Render) -> None:
    services = render().services
    order = start_order(services.values())
    assert order.index("rsyslog") < min(order.index(name) for name in NAMES - {"rsyslog", "mailserver"})
    assert order.index("postfix") > max(order.index(name) for name in ("dovecot", "opendkim", "opendmarc"))
    assert services["mailserver"].late


@pytest.mark.parametrize(
    ("environment", "off"),
    [
        ({"SMTP_ONLY": "1"}, {"dovecot"}),
        ({"ENABLE_OPENDKIM": "0"}, {"opendkim"}),
        ({"ENABLE_OPENDMARC": "0"}, {"opendmarc"}),
    ],
)
def test_services_that_are_off(render: Render, environment: dict[str, str], off: set[str]) -> None:
    services = render(**environment).services
    assert {name for name in NAMES if not services[name].enabled} == off
    assert start_order(services.values())


@pytest.mark.parametrize("imap", ["0", "1"])
def test_dovecot_is_asked_apart_from_its_clients_whatever_protocols_are_on(render: Render, imap: str) -> None:
    probe = render(ENABLE_IMAP=imap).services["dovecot"].ready.probe
    assert (probe.kind, probe.address) == ("imap", "inet:127.0.0.1:10030")


@pytest.mark.parametrize(("name", "port"), [("opendkim", 8891), ("opendmarc", 8893)])
def test_milters_are_asked_as_milters(render: Render, name: str, port: int) -> None:
    service = render().services[name]
    assert service.health is not None
    assert service.ready.probe.kind == service.health.probe.kind == "milter"
    assert service.ready.probe.address == service.health.probe.address == f"inet:127.0.0.1:{port}"


def test_the_mail_log_of_this_run_only(render: Render) -> None:
    service = render().services["mailserver"]
    assert service.stdout == "inherit"
    assert service.command[-3:] == ("-c", "+1001", "/var/log/mail/mail.log")


def test_all_services_stop_within_four_seconds_or_are_killed_soon(render: Render) -> None:
    for name in NAMES:
        assert render().services[name].stop.grace_seconds <= 5, name


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("/etc/postfix/virtual", "postfix"),
        ("/etc/aliases", "postfix"),
        ("/etc/dovecot/local.conf", "dovecot"),
        ("/etc/dovecot/conf.d/10-auth.conf", "dovecot"),
        ("/usr/lib/dovecot/sieve-global/before/50-before.dovecot.sieve", "dovecot"),
        ("/etc/dovecot/userdb", ""),
        ("/etc/dovecot/masterdb", ""),
        ("/etc/opendkim/keys/example.test/mail.private", "opendkim"),
        ("/etc/opendmarc/ignore.hosts", "opendmarc"),
        ("/etc/rsyslog.conf", "rsyslog"),
    ],
)
def test_whose_files_are_whose(render: Render, path: str, owner: str) -> None:
    changes = changes_of({path: "modify"}, render().services.values())
    assert [change.service for change in changes] == [owner]


def test_a_new_certificate_concerns_both_servers(render: Render) -> None:
    changes = changes_of({"/etc/dms/tls/cert": "modify"}, render().services.values())
    assert {change.service for change in changes} == {"dovecot", "postfix"}
    assert all(render().services[name].on_change == "reload" for name in ("dovecot", "postfix"))


LIBEXEC = "/usr/share/dmsinit/libexec/"


def test_longer_code_is_a_file_of_its_own(render: Render) -> None:
    for service in render().services.values():
        health = service.health.probe.command if service.health is not None else ()
        reload = service.reload.command if service.reload is not None else ()
        for command in (service.command, service.ready.probe.command, health, reload, service.stop.command):
            assert max((argument.strip().count("\n") for argument in command), default=0) < 3, service.name
            if command and command[0].startswith(LIBEXEC):
                assert os.access(REPOSITORY / "libexec" / command[0].removeprefix(LIBEXEC), os.X_OK), command[0]


def test_state_is_that_of_the_contract(render: Render) -> None:
    with (REPOSITORY / "tests" / "contract" / "state.tsv").open() as table:
        rows = [row for row in csv.DictReader(table, delimiter="\t") if row["original_path"].startswith("/var/")]
    conditions = {row["original_path"]: row["condition"] for row in rows if "lib" in row["state_path"]}
    on = dict.fromkeys(re.findall(r"(ENABLE_\w+)=1", " ".join(conditions.values())), "1")
    listed = {row["original_path"]: row["state_path"].rpartition("/")[2] for row in rows}
    del listed["/var/mail-state itself"]
    assert {row.path: row.name for row in render(**on).state} == listed
    always = {path for path, condition in conditions.items() if condition == "always"} | {"/var/spool/postfix"}
    off = {row.path for row in render(**dict.fromkeys(on, "0"), SMTP_ONLY="1").state}
    assert off == always


def test_the_manifest_names_services_that_exist(render: Render) -> None:
    entries = tomllib.loads((REPOSITORY / "templates" / "manifest.toml").read_text()).values()
    named = {entry[key] for entry in entries for key in ("service", "without") if key in entry}
    assert named <= render().services.keys()


def test_a_service_that_is_turned_off_takes_its_files_along(system: System) -> None:
    system.volume("services/opendkim.toml", "enabled = false\n")
    system.volume("services/fail2ban.toml", "enabled = true\n")
    rendered = system.render()
    assert "/etc/opendkim.conf" not in rendered.files
    assert {"/etc/fail2ban/jail.d/docker-mailserver.local", "/etc/logrotate.d/fail2ban"} & rendered.files.keys()
    assert "/var/lib/fail2ban" in {row.path for row in rendered.state}
