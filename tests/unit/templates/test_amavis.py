"""Amavis, SpamAssassin and their jobs: main-parameters.md section 4, behaviours 125 to 131 and 140."""

import re
import subprocess

import pytest

from tests.unit.templates.conftest import FQDN, Render, Rendered, System

CONF = "/etc/amavis/conf.d"


def perl(rendered: Rendered, name: str) -> dict[str, str]:
    """Return the variables that a file of conf.d sets in one line, without the sign before their name."""
    lines = rendered.lines(f"{CONF}/{name}")
    found = (re.fullmatch(r"[$@](\w+) = (.*);", line) for line in lines)
    return {match.group(1): match.group(2) for match in found if match}


def test_mail_passes_amavis_and_comes_back(render: Render) -> None:
    rendered = render()
    assert rendered.main_cf()["content_filter"] == "smtp-amavis:[127.0.0.1]:10024"
    services = rendered.master_cf()
    fields, options = services["smtp-amavis/unix"]
    assert fields[-2:] == ["2", "smtp"]
    assert options["smtp_data_done_timeout"] == "1200"
    assert options["smtp_send_xforward_command"] == "yes"
    assert options["smtp_dns_support_level"] == "disabled"
    assert options["smtp_tls_security_level"] == "none"
    # Nothing of what a user may set for mail to the world.
    for name in ("smtp_bind_address", "smtp_generic_maps", "smtp_tls_policy_maps", "smtp_header_checks"):
        assert options[name] == ""
    back = services["127.0.0.1:10025/inet"][1]
    assert back["syslog_name"] == "postfix/amavis"
    assert back["content_filter"] == ""
    assert back["smtpd_client_restrictions"] == back["smtpd_recipient_restrictions"] == "permit_mynetworks,reject"
    assert back["mynetworks"] == "127.0.0.0/8"
    assert back["smtpd_data_restrictions"] == "reject_unauth_pipelining"
    assert back["receive_override_options"].split(",")[-2:] == ["no_milters", "no_address_mappings"]
    own = services["127.0.0.1:10029/inet"][1]
    assert own["receive_override_options"] == "no_header_body_checks,no_unknown_recipient_checks"


def test_without_amavis_nothing_of_it_is_left(render: Render) -> None:
    rendered = render(ENABLE_AMAVIS="0")
    assert "content_filter" not in rendered.main_cf()
    assert "amavis" not in "\n".join(rendered.lines("/etc/postfix/master.cf"))
    assert [path for path in rendered.files if "amavis" in path] == ["/etc/cron.d/amavisd-new.disabled"]
    assert not rendered.services["amavis"].enabled
    assert not rendered.services["virus-wiper"].enabled


def test_postfix_starts_behind_amavis(render: Render) -> None:
    services = render().services
    assert "amavis" in services["postfix"].wants
    assert (services["amavis"].ready.probe.kind, services["amavis"].ready.probe.address) == (
        "smtp",
        "inet:127.0.0.1:10024",
    )


def test_one_more_process_than_postfix_uses(render: Render) -> None:
    rendered = render()
    used = int(rendered.master_cf()["smtp-amavis/unix"][0][-2])
    assert int(perl(rendered, "49-docker-mailserver")["max_servers"]) == used + 1


def test_defaults(render: Render) -> None:
    rendered = render()
    assert perl(rendered, "05-node_id")["myhostname"] == f'"{FQDN}"'
    thresholds = perl(rendered, "20-debian_defaults")
    assert [thresholds[f"sa_{name}_level_deflt"] for name in ("tag", "tag2", "kill")] == ["2.0", "6.31", "10.0"]
    assert perl(rendered, "49-docker-mailserver") | {"max_servers": ""} == {
        "log_level": "0",
        "final_spam_destiny": "D_PASS",
        "final_bad_header_destiny": "D_PASS",
        "sa_spam_subject_tag": "undef",
        "max_servers": "",
        "allow_preserving_evidence": "0",
        "smtp_connection_cache_enable": "0",
        "smtp_connection_cache_on_demand": "0",
        "forward_method": "'smtp:[127.0.0.1]:10025'",
        "notify_method": "'smtp:[127.0.0.1]:10029'",
    }
    assert perl(rendered, "15-av_scanners") == {"av_scanners_backup": "()", "virus_scanners_failure_is_fatal": "1"}
    assert thresholds["virus_admin"] == "'postmaster@example.test'"


def test_settings_reach_amavis(render: Render) -> None:
    rendered = render(
        ENABLE_SPAMASSASSIN="1", SA_TAG="-100000", SA_TAG2="3.75", SA_KILL="100000", AMAVIS_LOGLEVEL="2",
        SPAMASSASSIN_SPAM_TO_INBOX="0",
    )  # fmt: skip
    thresholds = perl(rendered, "20-debian_defaults")
    assert [float(thresholds[f"sa_{name}_level_deflt"]) for name in ("tag", "tag2", "kill")] == [-100000, 3.75, 100000]
    own = perl(rendered, "49-docker-mailserver")
    assert (own["log_level"], own["final_spam_destiny"], own["final_bad_header_destiny"]) == (
        "2",
        "D_BOUNCE",
        "D_BOUNCE",
    )


@pytest.mark.parametrize(("spam", "virus"), [("0", "0"), ("1", "0"), ("0", "1"), ("1", "1")])
def test_engines_that_are_off_are_bypassed(render: Render, spam: str, virus: str) -> None:
    rendered = render(ENABLE_SPAMASSASSIN=spam, ENABLE_CLAMAV=virus)
    off = perl(rendered, "61-dms_auto_generated")
    assert ("bypass_spam_checks_maps" in off, "bypass_virus_checks_maps" in off) == (spam == "0", virus == "0")
    assert set(off.values()) <= {"(1)"}
    assert rendered.files[f"{CONF}/61-dms_auto_generated"].mode == 0o444


def test_the_users_amavis_cf_comes_after_ours(system: System) -> None:
    system.volume("amavis.cf", '@local_domains_maps = (".");\n1;\n')
    rendered = system.render()
    assert rendered.text(f"{CONF}/50-user") == '@local_domains_maps = (".");\n1;\n'
    names = sorted(path.removeprefix(f"{CONF}/") for path in rendered.files if path.startswith(CONF))
    assert names.index("50-user") > names.index("49-docker-mailserver") > names.index("20-debian_defaults")


@pytest.mark.parametrize(
    ("ours", "expected"),
    [("1;", "vhost"), ('@local_domains_maps = (".");', "."), ('@local_domains_maps = ("a");', "a")],
)
def test_local_domains_are_the_hosted_ones_unless_the_user_says_otherwise(
    render: Render, ours: str, expected: str
) -> None:
    ending = render().text(f"{CONF}/60-dms_default_config")
    script = (
        "our (%local_domains, @local_domains_acl, $local_domains_re, @local_domains_maps);"
        "@local_domains_maps = (\\%local_domains, \\@local_domains_acl, \\$local_domains_re);"
        f"sub read_hash {{ 'vhost' }} {ours}\n{ending}\n;print join ',', @local_domains_maps;"
    )
    done = subprocess.run(["perl", "-e", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (expected, "")


def test_rules_of_the_user(system: System) -> None:
    system.volume("spamassassin-rules.cf", "score RCVD_IN_XBL 4\n")
    rules = "/etc/spamassassin/spamassassin-rules.cf"
    assert rules not in system.render().files
    assert system.render(ENABLE_SPAMASSASSIN="1").text(rules) == "score RCVD_IN_XBL 4\n"


def test_shortcircuits(render: Render) -> None:
    files = render(ENABLE_SPAMASSASSIN="1").files
    assert not {"/etc/spamassassin/v320.pre", "/etc/spamassassin/local.cf"} & set(files)  # those of the package
    rendered = render(ENABLE_SPAMASSASSIN="1", SA_SHORTCIRCUIT_BAYES_SPAM="1")
    assert rendered.lines("/etc/spamassassin/local.cf") == ["shortcircuit BAYES_99 spam"]
    rendered = render(ENABLE_SPAMASSASSIN="1", SA_SHORTCIRCUIT_BAYES_HAM="1")
    assert rendered.lines("/etc/spamassassin/local.cf") == ["shortcircuit BAYES_00 ham"]
    plugins = rendered.lines("/etc/spamassassin/v320.pre")
    assert "loadplugin Mail::SpamAssassin::Plugin::Shortcircuit" in plugins


def test_jobs(render: Render) -> None:
    rendered = render(ENABLE_SPAMASSASSIN="1", ENABLE_SPAMASSASSIN_KAM="1")
    service = rendered.services["spamassassin-update"]
    assert (service.enabled, service.type, service.every_seconds, service.late) == (True, "oneshot", 86400, True)
    assert rendered.files[service.command[0]].mode == 0o755
    update = rendered.text("/usr/local/bin/spamassassin-update")
    assert "--gpgkey $key --channel $channel" in update
    assert "key=24C063D8" in update
    assert not render().services["spamassassin-update"].enabled
    assert "KAM" not in render(ENABLE_SPAMASSASSIN="1").text("/usr/local/bin/spamassassin-update")


def test_new_hosted_domains_reach_amavis(render: Render) -> None:
    service = render().services["amavis"]
    assert "/etc/postfix/vhost" in service.files
    assert service.on_change == "reload"


def test_moved_mail_teaches_spamassassin_as_amavis(render: Render) -> None:
    rendered = render(ENABLE_SPAMASSASSIN="1")
    found = rendered.dovecot("conf.d/95-learn.conf")
    assert found["protocol imap/mail_plugins/imap_sieve"] == "yes"
    for kind, place in (("spam", "mailbox Junk"), ("ham", "imapsieve_from Junk")):
        path = found[f"{place}/sieve_script learn-{kind}/path"]
        assert f'pipe :copy "spamassassin-learn-{kind}";' in rendered.lines(path)
        service = f"service spamassassin-learn-{kind}"
        assert found[f"{service}/user"] == "amavis"
        assert found[f"{service}/executable"].split() == ["script", "/usr/local/bin/spamassassin-learn", kind]
        assert found[f"{service}/unix_listener sieve-learn/spamassassin-learn-{kind}/user"] == "docker"
    assert rendered.files["/usr/local/bin/spamassassin-learn"].mode == 0o755
    assert not [path for path in render().files if "learn" in path]


def test_what_root_learns_belongs_to_amavis_too(render: Render) -> None:
    rendered = render(ENABLE_SPAMASSASSIN="1")
    assert rendered.lines("/etc/spamassassin/docker-mailserver.cf") == ["bayes_file_mode 0770"]
    directory = rendered.directories["/var/lib/amavis/.spamassassin"]
    assert (directory.owner, directory.group, directory.mode) == ("amavis", "amavis", 0o2750)
