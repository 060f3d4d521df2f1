"""From environment to settings: precedence, defaults, bad values, former names, and that nothing else escapes."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmsinit.problem import Problem, ProblemsFound
from dmsinit.settings import FIELDS, FORMER, Loaded, SettingsRefused, Severe, load
from dmsinit.settings.field import Field

FQDN = "mail.example.test"


def loaded(**environ: str) -> Loaded:
    return load(environ, fqdn=FQDN)


def refused(**environ: str) -> SettingsRefused:
    with pytest.raises(SettingsRefused) as caught:
        load(environ, fqdn=FQDN)
    return caught.value


def told(result: Loaded, where: str) -> Problem:
    """Return the one warning about a variable."""
    (warning,) = [warning for warning in result.warnings if warning.where == where]
    return warning


def test_an_empty_environment_is_a_working_configuration() -> None:
    result = loaded()
    assert result.warnings == ()
    assert set(result.sources) == set(FIELDS)
    assert set(result.sources.values()) == {"default"}


def test_defaults_that_follow_other_variables() -> None:
    settings = loaded(POSTMASTER_ADDRESS="boss@example.test").settings
    assert settings.report_recipient == settings.pflogsumm_recipient == settings.logwatch_recipient
    assert settings.logwatch_recipient == "boss@example.test"
    assert settings.pflogsumm_sender == "mailserver-report@mail.example.test"
    assert loaded().settings.postmaster_address == "postmaster@example.test"
    assert loaded().settings.srs_domainname == "example.test"


def test_ldap_defaults_reach_dovecot_and_saslauthd() -> None:
    settings = loaded(LDAP_SERVER_HOST="ldap://a ldap://b", LDAP_BIND_PW="geheim", LDAP_BIND_DN="cn=x").settings
    assert settings.dovecot_uris == ("ldap://a", "ldap://b")
    assert settings.saslauthd_ldap_server == "ldap://a ldap://b"
    assert settings.dovecot_dnpass == settings.saslauthd_ldap_password == "geheim"
    assert settings.dovecot_dn == settings.saslauthd_ldap_bind_dn == "cn=x"


def test_set_but_empty_counts_as_not_set() -> None:
    assert loaded(POSTGREY_DELAY="", SSL_TYPE="", ENABLE_IMAP="").settings == loaded().settings


def test_empty_metrics_address_turns_metrics_off() -> None:
    result = loaded(METRICS_LISTEN="")
    assert result.settings.metrics_listen == ""
    assert result.sources["METRICS_LISTEN"] == "env"
    assert loaded().settings.metrics_listen == "127.0.0.1:9154"


@pytest.mark.parametrize("text", ["yes", "true", "2", "-1", "01", "1#", "on", "\uff11"])
def test_switch_that_is_neither_0_nor_1_warns_and_counts_as_0(text: str) -> None:
    result = loaded(ENABLE_OPENDKIM=text)
    assert result.settings.enable_opendkim is False
    assert "must be 0 or 1" in told(result, "ENABLE_OPENDKIM").cause
    assert result.settings.effective()["ENABLE_OPENDKIM"] == "0"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ACCOUNT_PROVISIONER", "SQL"),
        ("ACCOUNT_PROVISIONER", "OIDC"),
        ("SSL_TYPE", "acme"),
        ("LOGROTATE_INTERVAL", "yearly"),
        ("LOGROTATE_COUNT", "many"),
        ("DOVECOT_INET_PROTOCOLS", "ipv5"),
        ("POSTFIX_INET_PROTOCOLS", "ipv5"),
        ("POSTFIX_MESSAGE_SIZE_LIMIT", "10M"),
        ("DMS_VMAIL_UID", "0"),
        ("METRICS_LISTEN", "everywhere"),
        ("POSTMASTER_ADDRESS", "a@example.test\nroot: b@example.test"),
    ],
)
def test_value_that_ends_the_start(name: str, text: str) -> None:
    (problem,) = refused(**{name: text}).problems
    assert problem.where == name
    assert problem.remedy


@pytest.mark.parametrize(
    ("name", "text", "counts_as"),
    [
        ("LOG_LEVEL", "loud", "info"),
        ("SUPERVISOR_LOGLEVEL", "loud", "warn"),
        ("TLS_LEVEL", "old", "modern"),
        ("PERMIT_DOCKER", "all", "none"),
        ("UPDATE_CHECK_INTERVAL", "daily", "1d"),
        ("PFLOGSUMM_TRIGGER", "weekly", "none"),
        ("LOGWATCH_INTERVAL", "hourly", "none"),
        ("DOVECOT_MAILBOX_FORMAT", "mbox", "maildir"),
        ("FAIL2BAN_BLOCKTYPE", "ignore", "drop"),
        ("RSPAMD_HFILTER_HOSTNAME_UNKNOWN_SCORE", "6.5", "6"),
        ("GETMAIL_POLL", "0", "0"),
        ("LOG_FORMAT", "xml", "text"),
    ],
)
def test_value_that_only_warns(name: str, text: str, counts_as: str) -> None:
    result = loaded(**{name: text})
    assert told(result, name).remedy
    assert result.settings.effective()[name] == counts_as


def test_all_problems_come_at_once() -> None:
    error = refused(SSL_TYPE="acme", LOGROTATE_COUNT="x", RELAY_PORT="70000", RELAY_HOST="r.test", ENABLE_CLAMVA="1")
    assert {problem.where for problem in error.problems} == {"SSL_TYPE", "LOGROTATE_COUNT", "RELAY_PORT"}
    assert [warning.where for warning in error.warnings] == ["ENABLE_CLAMVA"]
    assert not error.fqdn_missing


def test_bad_value_of_a_variable_not_in_use_only_warns() -> None:
    result = loaded(POSTGREY_DELAY="soon")
    assert result.settings.postgrey_delay == 300
    assert told(result, "POSTGREY_DELAY").cause == "'soon' is not a whole number"
    assert refused(POSTGREY_DELAY="soon", ENABLE_POSTGREY="1").problems[0].where == "POSTGREY_DELAY"


def test_values_have_types() -> None:
    settings = loaded(
        UPDATE_CHECK_INTERVAL="2h", DMS_CONFIG_POLL="0.5", SA_KILL="-3.5", SRS_SECRET="a,b", AMAVIS_LOGLEVEL="-3",
        CLAMAV_MESSAGE_SIZE_LIMIT="42M", DOVECOT_PASS_ATTRS="uid=user, pw=password", ENABLE_SPAMASSASSIN="1",
    ).settings  # fmt: skip
    assert (settings.update_check_interval, settings.dms_config_poll) == (7200, 0.5)
    assert (settings.sa_kill, settings.amavis_loglevel, settings.srs_secret) == (-3.5, -3, ("a", "b"))
    assert settings.clamav_message_size_limit.si_bytes == 42_000_000
    assert settings.dovecot_pass_attrs == (("user", "%{ldap:uid}"), ("password", "%{ldap:pw}"))
    assert settings.effective()["UPDATE_CHECK_INTERVAL"] == "2h"


# Quotation marks, comments, line ends


@pytest.mark.parametrize(
    ("name", "text", "effective"),
    [
        ("ENABLE_CLAMAV", "1   # text", "1"),
        ("ENABLE_CLAMAV", "1\t#text", "1"),
        ("ENABLE_CLAMAV", '"1"', "1"),
        ("ENABLE_CLAMAV", "'1'  # text", "1"),
        ("ENABLE_CLAMAV", "1\r", "1"),
        ("ENABLE_CLAMAV", "“1”", "1"),
        ("DEFAULT_RELAY_HOST", "''", ""),
        ("DEFAULT_RELAY_HOST", "'[r.test]:25'", "[r.test]:25"),
        ("RELAY_HOST", '"r.test"', "r.test"),
        ("RELAY_HOST", "'\"r.test\"'", "r.test"),
        ("RELAY_HOST", "# none", ""),
        ("POSTMASTER_ADDRESS", "a@example.test  # me", "a@example.test"),
        ("TZ", '"Europe/Berlin"', "Europe/Berlin"),
        ("SSL_TYPE", "''", ""),
        ("POSTFIX_MESSAGE_SIZE_LIMIT", "1000 # bytes", "1000"),
        ("SSL_CERT_PATH", '"/a/b#c.pem"', "/a/b#c.pem"),
        ("CLAMAV_MESSAGE_SIZE_LIMIT", "'42M' # more", "42M"),
        ("UPDATE_CHECK_INTERVAL", "2h # often", "2h"),
        ("DOVECOT_PASS_ATTRS", '"uid=user" # x', "uid=user"),
        ("LDAP_SCOPE", '"sub"  # all', "sub"),
        ("LDAP_QUERY_FILTER_USER", '"(cn=a #b)"', "(cn=a #b)"),
        ("POSTGREY_TEXT", "'try #2'   # told", "try #2"),
        ("LDAP_BIND_DN", "'cn=a,dc=b'", "cn=a,dc=b"),
    ],
)
def test_what_surrounds_a_value_is_removed_and_reported(name: str, text: str, effective: str) -> None:
    result = loaded(**{name: text, "ENABLE_RSPAMD": "0"})
    assert result.settings.effective()[name] == effective
    assert told(result, name).remedy


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("RELAY_PASSWORD", '"quoted"'),
        ("LDAP_BIND_PW", "p4ss # word"),
        ("POSTGREY_TEXT", "wait   # a while"),
        ("LDAP_QUERY_FILTER_USER", "(cn=a  #b)"),
        ("POSTFIX_DAGENT", '"lmtp:host'),
    ],
)
def test_what_may_be_meant_is_kept_and_reported(name: str, text: str) -> None:
    result = loaded(**{name: text})
    assert result.settings.effective()[name] == text
    warning = next(warning for warning in result.warnings if warning.where == name and "kept" in warning.cause)
    assert "p4ss" not in str(warning)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("LDAP_BIND_PW", "x#y #z"),
        ("SPAM_SUBJECT", "[SPAM #1] "),
        ("LDAP_QUERY_FILTER_USER", "(cn=a #b)"),
        ("POSTGREY_TEXT", 'say "please" or "now"'),
        ("POSTGREY_TEXT", '"please" or "now"'),
    ],
)
def test_what_is_meant_is_kept_without_a_word(name: str, text: str) -> None:
    result = loaded(**{name: text})
    assert result.settings.effective()[name] == text
    assert [warning for warning in result.warnings if warning.where == name] == []


def test_quotation_marks_keep_the_blanks_of_a_subject() -> None:
    result = loaded(SPAM_SUBJECT='"[SPAM] "')
    assert (result.settings.spam_subject, result.warnings) == ("[SPAM] ", ())
    result = loaded(SPAM_SUBJECT='"[SPAM] "   # mark')
    assert result.settings.spam_subject == "[SPAM] "
    assert "comment" in told(result, "SPAM_SUBJECT").cause


def test_a_secret_of_quotation_marks_only_is_empty() -> None:
    result = loaded(LDAP_BIND_PW="''", LDAP_BIND_DN='""')
    assert (result.settings.ldap_bind_pw, result.settings.ldap_bind_dn) == ("", "")
    assert told(result, "LDAP_BIND_PW")


def test_a_path_of_a_file_variable_in_quotation_marks() -> None:
    read = {"/run/secrets/x": "geheim"}.__getitem__  # fails for any other path
    result = load({"RELAY_PASSWORD__FILE": '"/run/secrets/x"  # mounted'}, fqdn=FQDN, read_file=read)
    assert result.settings.relay_password == "geheim"
    assert told(result, "RELAY_PASSWORD__FILE")


# Host names


@pytest.mark.parametrize(
    ("fqdn", "override", "name", "domain"),
    [
        ("mail.example.test", "", "mail.example.test", "example.test"),
        ("example.test", "", "example.test", "example.test"),
        ("orig.example.test", "mail.o.test", "mail.o.test", "o.test"),
        ("a1b2c3", "mail.o.test", "mail.o.test", "o.test"),
        ("Mail.Example.test.", "", "mail.example.test", "example.test"),
        ("a.b.example.test", "", "a.b.example.test", "b.example.test"),
    ],
)
def test_names_of_the_server(fqdn: str, override: str, name: str, domain: str) -> None:
    settings = load({"OVERRIDE_HOSTNAME": override}, fqdn=fqdn).settings
    assert (settings.fqdn, settings.domain) == (name, domain)
    assert settings.postmaster_address == f"postmaster@{domain}"


def test_missing_fqdn_is_told_apart_and_other_problems_with_it() -> None:
    with pytest.raises(ProblemsFound) as caught:
        load({"SSL_TYPE": "acme"}, fqdn="a1b2c3")
    assert isinstance(caught.value, SettingsRefused)
    assert caught.value.fqdn_missing
    assert {problem.where for problem in caught.value.problems} == {"hostname", "SSL_TYPE"}


def test_bad_override_names_its_variable() -> None:
    (problem,) = refused(OVERRIDE_HOSTNAME="mail server.test").problems
    assert problem.where == "OVERRIDE_HOSTNAME"


# Former names


def test_subject_of_old_takes_the_place_of_an_empty_new_one() -> None:
    result = loaded(SA_SPAM_SUBJECT="[X] ", SPAM_SUBJECT="")
    assert result.settings.spam_subject == "[X] "
    assert result.sources["SPAM_SUBJECT"] == "alias"
    assert "SPAM_SUBJECT" in told(result, "SA_SPAM_SUBJECT").remedy
    assert loaded(SA_SPAM_SUBJECT="[X] ", SPAM_SUBJECT="[Y] ").settings.spam_subject == "[Y] "
    assert loaded(SA_SPAM_SUBJECT="undef").settings.spam_subject == ""


def test_enable_ldap_is_an_error_that_names_its_successor_and_works() -> None:
    result = loaded(ENABLE_LDAP="1")
    assert result.settings.account_provisioner == "LDAP"
    complaint = told(result, "ENABLE_LDAP")
    assert isinstance(complaint, Severe)
    assert "ACCOUNT_PROVISIONER=LDAP" in complaint.remedy
    assert loaded(ENABLE_LDAP="1", ACCOUNT_PROVISIONER="FILE").settings.account_provisioner == "FILE"
    assert not isinstance(told(loaded(ENABLE_LDAP="0"), "ENABLE_LDAP"), Severe)


def test_old_debug_switch_and_report_interval() -> None:
    assert loaded(DMS_DEBUG="1").settings.log_level == "debug"
    assert loaded(DMS_DEBUG="1", LOG_LEVEL="warn").settings.log_level == "warn"
    assert loaded(DMS_DEBUG="0").settings.log_level == "info"
    assert loaded(REPORT_INTERVAL="monthly").settings.logrotate_interval == "monthly"
    assert loaded(REPORT_INTERVAL="0").settings.logrotate_interval == "weekly"


def test_old_dovecot_names() -> None:
    settings = loaded(DOVECOT_HOSTS="a.test, ldaps://b.test", DOVECOT_USER_FILTER="(&(uid=%n)(mail=%Lu))").settings
    assert settings.dovecot_uris == ("ldap://a.test", "ldaps://b.test")
    assert settings.dovecot_userdb_ldap_filter == "(&(uid=%{user | username})(mail=%{user | lower}))"


def test_one_dir_changes_nothing() -> None:
    for text in ("0", "1"):
        result = loaded(ONE_DIR=text)
        assert result.settings == loaded().settings
        assert "/var/mail-state" in told(result, "ONE_DIR").remedy


def test_problem_of_a_former_name_is_told_under_that_name() -> None:
    result = refused(DOVECOT_HOSTS="a\x07.test", ACCOUNT_PROVISIONER="LDAP")
    assert [problem.where for problem in result.problems] == ["DOVECOT_HOSTS"]


# Syntax of Dovecot 2.3


def test_attributes_with_templates_are_translated_and_reported() -> None:
    result = loaded(
        ACCOUNT_PROVISIONER="LDAP", LDAP_SERVER_HOST="ldap://x", DOVECOT_PASS_ATTRS="=user=%{ldap:mail},=uid=5000"
    )
    assert result.settings.dovecot_pass_attrs == (("user", "%{ldap:mail}"), ("uid", "5000"))
    assert "user = %{ldap:mail}" in told(result, "DOVECOT_PASS_ATTRS").cause


def test_attributes_that_dovecot_2_4_does_not_know_end_the_start_instead_of_opening_another_mailbox() -> None:
    error = refused(ACCOUNT_PROVISIONER="LDAP", DOVECOT_USER_ATTRS="mailQuota=quota_rule,x=home")
    assert [problem.where for problem in error.problems] == ["DOVECOT_USER_ATTRS"]
    assert "quota_storage_size" in error.problems[0].remedy
    assert told(loaded(DOVECOT_USER_ATTRS="mailQuota=quota_rule"), "DOVECOT_USER_ATTRS")


def test_filters_with_variables_of_2_3_are_translated_and_reported() -> None:
    result = loaded(DOVECOT_USERDB_LDAP_FILTER="(&(mail=%u)(uid=%n))")
    assert result.settings.dovecot_userdb_ldap_filter == "(&(mail=%{user})(uid=%{user | username}))"
    assert told(result, "DOVECOT_USERDB_LDAP_FILTER")
    assert loaded(DOVECOT_USERDB_LDAP_FILTER="(mail=%{user})").warnings == ()


# Files


def test_value_from_a_file() -> None:
    result = load({"RELAY_PASSWORD__FILE": "/run/secrets/pw"}, fqdn=FQDN, read_file=lambda path: "geheim\r\n\n")
    assert result.settings.relay_password == "geheim"
    assert result.sources["RELAY_PASSWORD"] == "file"
    assert any("RELAY_PASSWORD" in note and "/run/secrets/pw" in note for note in result.notes)


def test_former_name_from_a_file() -> None:
    result = load({"SA_SPAM_SUBJECT__FILE": "/x"}, fqdn=FQDN, read_file=lambda path: "[X] \n")
    assert result.settings.spam_subject == "[X] "


# Secrets


SECRETS = [name for name, field in FIELDS.items() if field.secret]


def test_secrets_are_marked() -> None:
    assert SECRETS == [
        "RELAY_PASSWORD", "SRS_SECRET", "LDAP_BIND_PW", "DOVECOT_DNPASS", "SASLAUTHD_LDAP_PASSWORD",
    ]  # fmt: skip


@pytest.mark.parametrize("name", [*SECRETS, "SASL_PASSWD", "LDAP_TLS_PASSPHRASE"])
def test_a_bad_secret_is_refused_without_being_told(name: str) -> None:
    environ = {name: "hunter2\x01", "ACCOUNT_PROVISIONER": "LDAP", "ENABLE_SASLAUTHD": "1", "ENABLE_SRS": "1"}
    if name == "SASL_PASSWD":  # Ignored, so that nothing in it is bad.
        said: tuple[object, ...] = loaded(**environ).warnings
    else:
        error = refused(**environ)
        assert [problem.where for problem in error.problems] == [name]
        said = (*error.problems, *error.warnings, *error.notes)
    assert said
    assert all("hunter2" not in str(text) for text in said)


# Everything else


def test_passthrough_with_a_line_break_is_refused() -> None:
    (problem,) = refused(LDAP_SCOPE="sub\nbind_pw = x").problems
    assert problem.where == "LDAP_SCOPE"


def test_loading_needs_nothing_heavy() -> None:
    """Rendering begins with this; the modules named here would each cost it several milliseconds."""
    code = "import sys, dmsinit.settings; print([m for m in ('jinja2', 'msgspec', 'difflib') if m in sys.modules])"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output == "[]\n"


NAMES = st.sampled_from([*FIELDS, *FORMER]) | st.sampled_from(["LDAP_", "DOVECOT_", "POSTFIX_"]).flatmap(
    lambda prefix: st.text(alphabet="ABXYZ_09é", max_size=8).map(lambda rest: prefix + rest)
)
VARIABLES = st.tuples(NAMES | st.text(max_size=8), st.sampled_from(["", "", "__FILE"])).map("".join)
CHARACTERS = st.characters(exclude_characters="\0", categories=None)


def _choices(field: Field[object]) -> tuple[str, ...]:
    choices: tuple[str, ...] = getattr(field, "choices", ())
    return choices


WORDS = sorted({choice for field in FIELDS.values() for choice in _choices(field)})
TEXTS = st.text(alphabet=CHARACTERS, max_size=20) | st.sampled_from([*WORDS, "0", "1", "25M", "1d", "-1", "١", "1e9"])


@given(
    environ=st.dictionaries(VARIABLES, TEXTS, max_size=12),
    fqdn=st.sampled_from([FQDN, "mail", ""]) | st.text(alphabet=CHARACTERS, max_size=10),
    content=TEXTS,
)
def test_any_environment_gives_settings_or_problems(environ: dict[str, str], fqdn: str, content: str) -> None:
    try:
        settings = load(environ, fqdn=fqdn, read_file=lambda path: content).settings
    except SettingsRefused as error:
        effective, problems = {}, error.problems
    else:
        effective, problems = settings.effective(), ()
        assert set(effective) >= set(FIELDS)
    assert effective or problems
    for name, text in effective.items():
        assert name.isidentifier()
        assert "\n" not in text
        text.encode()
