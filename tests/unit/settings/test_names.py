"""Which unknown names are taken for slips, and which are left alone."""

import pytest

from dmsinit.settings import FIELDS
from dmsinit.settings.names import nearest, passthrough, unknown_names


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("ENABLE_CLAMVA", "ENABLE_CLAMAV"),
        ("ENABLE_SPAMASASSIN", "ENABLE_SPAMASSASSIN"),
        ("ENABLE_FAIL2BAM", "ENABLE_FAIL2BAN"),
        ("SSL_TYP", "SSL_TYPE"),
        ("OVERIDE_HOSTNAME", "OVERRIDE_HOSTNAME"),
        ("PERMIT_DOKCER", "PERMIT_DOCKER"),
        ("POSTFIX_MESAGE_SIZE_LIMIT", "POSTFIX_MESSAGE_SIZE_LIMIT"),
        ("LDAP_SERVER_HOTS", "LDAP_SERVER_HOST"),
        ("DOVECOT_MAILBOX_FORMT", "DOVECOT_MAILBOX_FORMAT"),
        ("enable_clamav", "ENABLE_CLAMAV"),
        ("SPAM_SUBJET", "SPAM_SUBJECT"),
        ("RELAY_PASWORD", "RELAY_PASSWORD"),
    ],
)
def test_slip(slip: str, meant: str) -> None:
    (warning,) = unknown_names({slip: "x"})
    assert warning.where == slip
    assert warning.remedy == f"did you mean {meant}?"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("export ENABLE_SRS", "ENABLE_SRS"),
        ("  export  enable_srs", "ENABLE_SRS"),
        ("ENABLE_SRS ", "ENABLE_SRS"),
        (" ENABLE_SRS", "ENABLE_SRS"),
        ("declare -x TZ", "TZ"),
        ("\ufeffLOG_LEVEL", "LOG_LEVEL"),
        ('"RELAY_HOST', "RELAY_HOST"),
        ("export RELAY_PASSWORD__FILE", "RELAY_PASSWORD__FILE"),
        ("export LDAP_SCOPE", "LDAP_SCOPE"),
        ("- ENABLE_SRS", "ENABLE_SRS"),
        ("set ENABLE_SRS", "ENABLE_SRS"),
        ("export DMS_DEBUG", "DMS_DEBUG"),
    ],
)
def test_a_line_for_a_shell_is_named(name: str, meant: str) -> None:
    (warning,) = unknown_names({name: "1"})
    assert repr(name) in warning.cause
    assert warning.remedy.startswith(f"write {meant}=")


def test_slip_of_a_file_variable() -> None:
    (warning,) = unknown_names({"RELAY_PASWORD__FILE": "/x", "RELAY_PASWORD": "x"})[1:]
    assert warning.remedy == "did you mean RELAY_PASSWORD__FILE?"


FOREIGN = [
    "HOME", "PATH", "HOSTNAME", "TERM", "PWD", "SHLVL", "LANG", "LC_ALL", "LANGUAGE", "USER", "LOGNAME", "SHELL",
    "OLDPWD", "_", "container", "DEBIAN_FRONTEND", "TZDIR", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "https_proxy", "NO_PROXY", "DOCKER_HOST",
    "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "KUBERNETES_PORT_443_TCP_ADDR", "LDAP_SERVER_PORT",
    "LDAP_SERVER_SERVICE_HOST", "LDAP_SERVER_PORT_389_TCP", "MAILSERVER_PORT", "REDIS_SERVICE_PORT",
    "RELAY_PORT_25_TCP_PORT", "LDAP_BIND", "LDAP_VERSION", "LDAP_RESULT_ATTRIBUTE", "LDAP_TLS_REQUIRE_CERT",
    "ENABLE_MAILMAN", "MY_OWN_SETTING", "NOTIFY_SOCKET",
]  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_name_is_left_alone(name: str) -> None:
    assert unknown_names({name: "x"}) == []


def test_known_names_are_not_slips() -> None:
    assert unknown_names(FIELDS) == []


def test_a_large_foreign_environment_costs_no_comparison() -> None:
    assert nearest("SOMEBODY_ELSES_VARIABLE_OF_A_LENGTH") == ""


def test_passthrough_takes_only_names_that_a_shell_can_hold() -> None:
    environ = {"LDAP_SCOPE": "sub", "LDAP_": "x", "LDAP_é": "x", "LDAP_low": "x", "LDAP_BIND_DN": "cn=a",
               "LDAP_SCOPE__FILE": "/x", "XLDAP_A": "x"}  # fmt: skip
    assert passthrough(environ, "LDAP_") == {"scope": "sub"}
