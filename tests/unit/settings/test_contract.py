"""Every row of the environment table is known to the settings: with its type, default, aliases and state."""

import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dmsinit.settings import FIELDS, FORMER, load
from dmsinit.settings.field import Choice
from dmsinit.settings.former import aliases_of
from dmsinit.settings.kinds import Duration, Words

ROOT = Path(__file__).parents[3]
FQDN = "mail.example.test"


def _rows() -> list[dict[str, str]]:
    with (ROOT / "tests/contract/environment.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


ROWS = _rows()
WILDCARDS: dict[str, Callable[[], None]] = {}
OWN = {"METRICS_LISTEN", "LOG_FORMAT"}
"""Variables that only dmsinit has."""

TOLD_DEFAULTS = {
    "DMS_RELEASE": "edge or vX.Y.Z",
    "ENABLE_QUOTAS": "1 (0 when ACCOUNT_PROVISIONER!=FILE or SMTP_ONLY=1)",
    "SRS_SECRET": "generated once",
    "ENABLE_RSPAMD_REDIS": "value of ENABLE_RSPAMD",
    "DOVECOT_USERDB_LDAP_FILTER": "DOVECOT_USER_FILTER; shipped file: objectClass=PostfixBookMailAccount and "
    "uniqueIdentifier=%{user | username}",
    "DOVECOT_PASSDB_LDAP_FILTER": "DOVECOT_PASS_FILTER else DOVECOT_USERDB_LDAP_FILTER",
    "SA_SPAM_SUBJECT": "***SPAM*** (trailing space) in v10–v13",
}
"""Defaults that the table words in its own way; each has a test below."""


def wildcard(name: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
    def register(check: Callable[[], None]) -> Callable[[], None]:
        WILDCARDS[name] = check
        return check

    return register


@wildcard("*__FILE")
def _any_name_may_come_from_a_file() -> None:
    loaded = load({"TZ__FILE": "/run/secrets/tz"}, fqdn=FQDN, read_file=lambda path: "Asia/Jakarta\n")
    assert loaded.settings.tz == "Asia/Jakarta"
    assert loaded.sources["TZ"] == "file"


@wildcard("LDAP_* (any other)")
def _other_ldap_names_pass_through() -> None:
    settings = load({"LDAP_RESULT_ATTRIBUTE": "mail", "LDAP_VERSION": ""}, fqdn=FQDN).settings
    assert settings.ldap_passthrough == {"result_attribute": "mail", "version": ""}
    assert settings.effective()["LDAP_RESULT_ATTRIBUTE"] == "mail"


@wildcard("DOVECOT_* (any other)")
def _other_dovecot_names_pass_through() -> None:
    settings = load({"DOVECOT_LDAP_DEBUG_LEVEL": "1"}, fqdn=FQDN).settings
    assert settings.dovecot_passthrough == {"ldap_debug_level": "1"}


@wildcard("DOVECOT_LDAP_* internal names")
def _internal_names_are_ignored() -> None:
    names = ["DOVECOT_LDAP_" + key for key in ("URIS", "BASE", "AUTH_DN", "AUTH_DN_PASSWORD", "STARTTLS")]
    loaded = load(dict.fromkeys(names, "x"), fqdn=FQDN)
    assert [warning.where for warning in loaded.warnings] == names
    assert loaded.settings.dovecot_passthrough == {}


@wildcard("POSTFIX_* (any other)")
def _other_postfix_names_warn() -> None:
    (warning,) = load({"POSTFIX_MYHOSTNAME": "x"}, fqdn=FQDN).warnings
    assert warning.where == "POSTFIX_MYHOSTNAME"
    assert "postfix-main.cf" in warning.remedy


@pytest.mark.parametrize("name", [row["name"] for row in ROWS if "*" in row["name"]])
def test_row_that_stands_for_many_names(name: str) -> None:
    assert name in WILDCARDS
    WILDCARDS[name]()


NAMED = [row for row in ROWS if "*" not in row["name"]]


def test_no_variable_is_outside_the_table() -> None:
    assert (FIELDS.keys() | FORMER.keys()) - OWN == {row["name"] for row in NAMED}


@pytest.mark.parametrize("row", NAMED, ids=lambda row: str(row["name"]))
def test_type(row: dict[str, str]) -> None:
    name, wanted = row["name"], row["type"]
    kind = re.match(r"[a-z]+", wanted)
    assert kind
    if name in FORMER:
        assert FORMER[name].kind == (kind[0] if wanted else "string")
        return
    field = FIELDS[name]
    if wanted.startswith("int/sleep duration"):
        assert isinstance(field, Duration)
        assert field.bare
        return
    assert field.kind == kind[0]
    if isinstance(field, Choice):
        assert "|".join(choice or "empty" for choice in field.choices) == wanted.removeprefix("enum(").rstrip(")")
    if wanted == "list of envelope_sender,header_sender":
        assert isinstance(field, Words)
        assert ",".join(field.choices) == "envelope_sender,header_sender"
    unit = re.search(r"\((bytes|s|days|minutes)\)$", wanted)
    assert field.unit == (unit[1] if unit else "")


def _as_text(default: str) -> str:
    """Return the default of the table without its remarks about files and older versions."""
    plain = re.split(r" \(|; ", default)[0]
    return "" if plain in ("empty", "unset", "per tool", "computed", "set internally per file") else plain


@pytest.mark.parametrize("row", NAMED, ids=lambda row: str(row["name"]))
def test_default(row: dict[str, str]) -> None:
    name, wanted = row["name"], row["default"]
    if name in TOLD_DEFAULTS:
        assert wanted == TOLD_DEFAULTS[name]
        return
    if name in FORMER:
        assert FORMER[name].default == (_as_text(wanted) or ("0" if FORMER[name].kind == "bool" else ""))
        return
    field = FIELDS[name]
    assert str(field.default) == (_as_text(wanted) or ("0" if field.kind == "bool" else ""))


def test_defaults_that_the_table_words_in_its_own_way() -> None:
    def effective(**environ: str) -> dict[str, str]:
        return load(environ, fqdn=FQDN).settings.effective()

    assert effective()["DMS_RELEASE"] == "edge"
    assert effective()["SRS_SECRET"] == ""
    assert [
        effective()["ENABLE_QUOTAS"],
        effective(ACCOUNT_PROVISIONER="LDAP")["ENABLE_QUOTAS"],
        effective(SMTP_ONLY="1")["ENABLE_QUOTAS"],
    ] == ["1", "0", "0"]
    assert [effective()["ENABLE_RSPAMD_REDIS"], effective(ENABLE_RSPAMD="1")["ENABLE_RSPAMD_REDIS"]] == ["0", "1"]
    filters = ("DOVECOT_USERDB_LDAP_FILTER", "DOVECOT_PASSDB_LDAP_FILTER")
    assert [effective(DOVECOT_USER_FILTER="(a=b)")[name] for name in filters] == ["(a=b)", "(a=b)"]
    assert [effective(DOVECOT_PASS_FILTER="(a=b)")[name] for name in filters] == ["", "(a=b)"]
    assert [effective(DOVECOT_USERDB_LDAP_FILTER="(a=b)")[name] for name in filters] == ["(a=b)", "(a=b)"]
    assert FORMER["SA_SPAM_SUBJECT"].default == "***SPAM*** "


FED = {
    "LOG_LEVEL": ("DMS_DEBUG",),
    "ACCOUNT_PROVISIONER": ("ENABLE_LDAP",),
    "LOGROTATE_INTERVAL": ("REPORT_INTERVAL",),
    "SPAM_SUBJECT": ("SA_SPAM_SUBJECT",),
    "DOVECOT_URIS": ("DOVECOT_HOSTS",),
    "DOVECOT_USERDB_LDAP_FILTER": ("DOVECOT_USER_FILTER",),
    "DOVECOT_PASSDB_LDAP_FILTER": ("DOVECOT_PASS_FILTER",),
}
NOT_ALIASES = {
    "OVERRIDE_HOSTNAME": "planned successor DMS_FQDN was never activated",
    "POSTFIX_DAGENT": "formerly needed ENABLE_POSTFIX_VIRTUAL_TRANSPORT=1",
    "DEFAULT_RELAY_HOST": "preferred over RELAY_HOST",
    "RELAY_HOST": "DEFAULT_RELAY_HOST preferred",
}
"""What the column `aliases` says of pairs that do not stand for each other."""


@pytest.mark.parametrize("row", NAMED, ids=lambda row: str(row["name"]))
def test_aliases(row: dict[str, str]) -> None:
    name, wanted = row["name"], row["aliases"]
    other = re.search(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b", wanted)
    if name in FORMER:
        assert not other or other[0] in FORMER[name].target + FORMER[name].remedy
    elif name in NOT_ALIASES:
        assert wanted == NOT_ALIASES[name]
        assert aliases_of(name) == ()
    else:
        assert aliases_of(name) == FED.get(name, ())
        assert not other or other[0] in FED[name]


@pytest.mark.parametrize("row", NAMED, ids=lambda row: str(row["name"]))
def test_state(row: dict[str, str]) -> None:
    """Behaviour 199: whatever is removed or deprecated warns once, by name, and the start goes on."""
    name, state = row["name"], row["status"]
    if not re.match(r"removed|deprecated|reserved|not implemented|internal|build-time|host wrapper", state):
        assert name in FIELDS
        return
    if name == "DMS_RELEASE":  # Internal, but read.
        return
    quiet = re.match(r"build-time|host wrapper", state) is not None
    told = [warning for warning in load({name: "1"}, fqdn=FQDN).warnings if warning.where == name]
    assert len(told) == (0 if quiet else 1)
    assert all(warning.remedy for warning in told)


def test_reference_page_is_fresh() -> None:
    from dmsinit.settings.reference import page

    committed = (ROOT / "docs/reference/environment.md").read_text(encoding="utf-8")
    assert page() == committed, "run: python -m dmsinit.settings > docs/reference/environment.md"
