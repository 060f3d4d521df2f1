"""What templates and services make of the settings of Rspamd, Fail2ban, Postgrey, PostSRSd and MTA-STS."""

import pytest

from tests.unit.templates.conftest import Render

RSPAMD = {"ENABLE_RSPAMD": "1"}
LOCAL = "/etc/rspamd/local.d"


def test_nothing_of_it_is_there_by_default(render: Render) -> None:
    rendered = render()
    for directory in ("/etc/rspamd/", "/etc/fail2ban/", "/etc/redis/", "/etc/default/", "/etc/logrotate.d/rspamd"):
        assert not [path for path in rendered.files if path.startswith(directory)]
    for name in ("rspamd", "rspamd-redis", "fail2ban", "postgrey", "postsrsd", "mta-sts-daemon"):
        assert not rendered.services[name].enabled


def test_postfix_starts_after_those_that_it_asks(render: Render) -> None:
    assert {"rspamd", "postgrey", "postsrsd", "mta-sts-daemon"} <= set(render().services["postfix"].wants)


@pytest.mark.parametrize(
    ("environment", "present", "absent"),
    [
        ({}, {"redis.conf", "history_redis.conf", "settings.conf", "hfilter_group.conf"}, {"neural_group.conf"}),
        ({"ENABLE_RSPAMD_REDIS": "0"}, {"antivirus.conf"}, {"redis.conf", "history_redis.conf"}),
        ({"RSPAMD_CHECK_AUTHENTICATED": "1"}, {"settings.conf"}, set()),
        ({"RSPAMD_HFILTER": "0"}, set(), {"hfilter_group.conf"}),
        ({"RSPAMD_NEURAL": "1"}, {"neural.conf", "neural_group.conf"}, set()),
    ],
)
def test_files_of_rspamd(render: Render, environment: dict[str, str], present: set[str], absent: set[str]) -> None:
    rendered = render(**RSPAMD, **environment)
    names = {path.removeprefix(f"{LOCAL}/") for path in rendered.files if path.startswith(LOCAL)}
    assert present <= names
    assert not absent & names
    assert rendered.services["rspamd-redis"].enabled == (environment.get("ENABLE_RSPAMD_REDIS") != "0")


@pytest.mark.parametrize(
    ("environment", "name", "line"),
    [
        ({}, "greylist.conf", "enabled = false;"),
        ({"RSPAMD_GREYLISTING": "1"}, "greylist.conf", "enabled = true;"),
        ({}, "neural.conf", "enabled = false;"),
        ({"RSPAMD_NEURAL": "1"}, "neural.conf", "enabled = true;"),
        ({}, "antivirus.conf", "enabled = false;"),
        ({"ENABLE_CLAMAV": "1"}, "antivirus.conf", "enabled = true;"),
        ({}, "antivirus.conf", "  max_size = 25000000;"),
        ({"RSPAMD_HFILTER_HOSTNAME_UNKNOWN_SCORE": "-2"}, "hfilter_group.conf", "    weight = -2;"),
    ],
)
def test_lines_of_rspamd(render: Render, environment: dict[str, str], name: str, line: str) -> None:
    assert line in render(**RSPAMD, **environment).lines(f"{LOCAL}/{name}")


def test_learning_needs_its_setting(render: Render) -> None:
    scripts = {"/usr/lib/dovecot/sieve-pipe/learn-spam.sieve", "/etc/dovecot/conf.d/95-learn.conf"}
    assert not scripts & render(**RSPAMD).files.keys()
    assert scripts <= render(**RSPAMD, RSPAMD_LEARN="1").files.keys()
    assert not scripts & render(**RSPAMD, RSPAMD_LEARN="1", SMTP_ONLY="1").files.keys()


@pytest.mark.parametrize(("blocktype", "present"), [("drop", True), ("reject", False)])
def test_how_the_banned_are_blocked(render: Render, blocktype: str, present: bool) -> None:
    files = render(ENABLE_FAIL2BAN="1", FAIL2BAN_BLOCKTYPE=blocktype).files
    assert ("/etc/fail2ban/action.d/nftables-common.local" in files) == present
    assert "/etc/logrotate.d/fail2ban" in files


def test_settings_of_postgrey(render: Render) -> None:
    text = "Come 'again' $later"
    rendered = render(
        ENABLE_POSTGREY="1", POSTGREY_DELAY="15", POSTGREY_MAX_AGE="9", POSTGREY_TEXT=text,
        POSTGREY_AUTO_WHITELIST_CLIENTS="0",
    )  # fmt: skip
    command = rendered.services["postgrey"].command
    expected = {"--inet=127.0.0.1:10023", "--delay=15", "--max-age=9", "--auto-whitelist-clients=0"}
    assert expected < set(command)
    assert command[-1] == f"--greylist-text={text}"
    assert "POSTGREY_TEXT=\"Come 'again' \\$later\"" in rendered.lines("/etc/default/postgrey")


def test_settings_of_postsrsd(render: Render) -> None:
    rendered = render(ENABLE_SRS="1", SRS_EXCLUDE_DOMAINS="a.test, .b.test", OVERRIDE_HOSTNAME="mail.o.test")
    lines = rendered.lines("/etc/default/postsrsd")
    assert {"SRS_DOMAIN=o.test", "SRS_EXCLUDE_DOMAINS='a.test,.b.test'"} < set(lines)
    assert "SRS_DOMAIN=x.test" in render(ENABLE_SRS="1", SRS_DOMAINNAME="x.test").lines("/etc/default/postsrsd")
