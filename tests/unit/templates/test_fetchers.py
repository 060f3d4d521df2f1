"""What templates and services make of fetchmail.cf and getmail/*.cf."""

import pytest

from tests.unit.templates.conftest import Render, Rendered, System

TWO = """\
set no bouncemail
poll imap.hill.test proto imap user anna there with password x is anna@hill.test here ssl
poll pop.hill.test proto pop3 user bob there with password y is bob@hill.test here
"""
MAILBOX = "[retriever]\ntype = SimpleIMAPSSLRetriever\nserver = imap.hill.test\n"


def fetchers(rendered: Rendered) -> dict[str, bool]:
    return {name: one.enabled for name, one in rendered.services.items() if name.startswith(("fetchmail", "getmail"))}


def test_nothing_is_fetched_by_default(system: System) -> None:
    system.volume("fetchmail.cf", TWO)
    system.volume("getmail/x.cf", MAILBOX)
    rendered = system.render()
    assert fetchers(rendered) == {"fetchmail": False, "getmail": False}
    assert not [path for path in rendered.files if "fetchmail" in path or "getmail" in path]


def test_one_fetchmail_for_all_servers(system: System) -> None:
    system.volume("fetchmail.cf", TWO)
    rendered = system.render(ENABLE_FETCHMAIL="1", FETCHMAIL_POLL="77")
    assert fetchers(rendered) == {"fetchmail": True, "getmail": False}
    file, service = rendered.files["/etc/fetchmailrc"], rendered.services["fetchmail"]
    assert (file.owner, file.group, file.mode) == ("fetchmail", "root", 0o700)
    assert rendered.lines("/etc/fetchmailrc") == ["set daemon 77", "set syslog", *TWO.splitlines()]
    assert service.command[4:] == ("fetchmail", "--fetchmailrc", "/etc/fetchmailrc", "--daemon", "77")
    assert (service.user, service.files, service.after) == ("fetchmail", ("/etc/fetchmailrc",), ("postfix",))
    assert service.env == {"HOME": "/var/lib/fetchmail", "USER": "fetchmail"}
    assert rendered.directories["/run/fetchmail"].owner == "fetchmail"


def test_a_fetchmail_for_each_server(system: System) -> None:
    system.volume("fetchmail.cf", TWO)
    rendered = system.render(ENABLE_FETCHMAIL="1", FETCHMAIL_PARALLEL="1")
    assert fetchers(rendered) == {"fetchmail-1": True, "fetchmail-2": True, "getmail": False}
    for number, entry in enumerate(TWO.splitlines()[1:], 1):
        path = f"/etc/fetchmailrc.d/fetchmail-{number}.rc"
        assert rendered.lines(path) == ["set daemon 300", "set syslog", "set no bouncemail", entry]
        service = rendered.services[f"fetchmail-{number}"]
        assert service.files == (path,)
        assert service.command[4:] == (
            f"fetchmail-{number}", "--fetchmailrc", path, "--daemon", "300", "--verbose",
        )  # fmt: skip
    assert rendered.directories["/etc/fetchmailrc.d"].mode == 0o700


@pytest.mark.parametrize("parallel", ["0", "1"])
def test_fetchmail_does_not_run_without_a_server(render: Render, parallel: str) -> None:
    rendered = render(ENABLE_FETCHMAIL="1", FETCHMAIL_PARALLEL=parallel)
    assert fetchers(rendered) == {"fetchmail": False, "getmail": False}
    assert rendered.lines("/etc/fetchmailrc") == ["set daemon 300", "set syslog"]


def test_getmail_for_each_file(system: System) -> None:
    system.volume("getmail/anna@example.test.cf", MAILBOX)
    system.volume("getmail/getmailrc_general.cf", "[options]\ndelete = true\n")
    rendered = system.render(ENABLE_GETMAIL="1", GETMAIL_POLL="7")
    assert fetchers(rendered) == {"fetchmail": False, "getmail": True}
    lines = rendered.lines("/etc/getmailrc.d/anna@example.test")
    assert lines[:5] == ["[options]", "delete = true", *MAILBOX.splitlines()]
    assert rendered.files["/etc/getmailrc_general"].mode == 0o600
    assert rendered.directories["/etc/getmailrc.d"].mode == 0o700
    service = rendered.services["getmail"]
    assert service.command[4:] == ("7",)
    assert (service.late, service.restart.policy, service.stop.grace_seconds) == (True, "on-failure", 55)


@pytest.mark.parametrize("minutes", ["0", "soon"])
def test_getmail_is_told_that_there_is_no_pause(render: Render, minutes: str) -> None:
    assert render(ENABLE_GETMAIL="1", GETMAIL_POLL=minutes).services["getmail"].command[-1] == "0"
