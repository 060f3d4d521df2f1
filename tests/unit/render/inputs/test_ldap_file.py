"""A mounted dovecot-ldap.conf.ext: read where it can be, named always."""

from dmsinit.render.inputs.ldap_file import PATH, variables, with_file
from dmsinit.render.overrides.dovecot23 import scan_mounted
from tests.unit.render.conftest import System

TEXT = """\
# a comment = x
hosts = one.test two.test:3389
dn = cn=admin,dc=example,dc=test
dnpass = secret = word
  base=ou=people,dc=example,dc=test
user_attrs = uid=user
not a line
"""


def test_lines_are_variables() -> None:
    assert variables(TEXT) == {
        "DOVECOT_URIS": "ldap://one.test ldap://two.test:3389",
        "DOVECOT_DN": "cn=admin,dc=example,dc=test",
        "DOVECOT_DNPASS": "secret = word",
        "DOVECOT_BASE": "ou=people,dc=example,dc=test",
        "DOVECOT_USER_ATTRS": "uid=user",
    }


def test_a_variable_wins_and_the_file_is_named_without_its_secrets(system: System) -> None:
    system.write(PATH, TEXT)
    environ, warnings = with_file({"ACCOUNT_PROVISIONER": "LDAP", "DOVECOT_DN": "cn=other"}, system.root)
    assert environ["DOVECOT_DN"] == "cn=other"
    assert environ["DOVECOT_BASE"] == "ou=people,dc=example,dc=test"
    assert str(warnings[0]).startswith(f"{PATH}: is in the syntax of Dovecot 2.3; read as DOVECOT_URIS, DOVECOT_DN,")
    assert "secret" not in str(warnings[0])


def test_a_file_that_is_not_used_is_named(system: System) -> None:
    assert with_file({}, system.root) == ({}, [])
    system.write(PATH, TEXT)
    environ, warnings = with_file({}, system.root)
    assert environ == {}
    assert "is not read; set ACCOUNT_PROVISIONER=LDAP" in str(warnings[0])


def test_a_directory_in_its_place_is_named(system: System) -> None:
    system.path(PATH).mkdir(parents=True)
    assert "cannot be read: Is a directory" in str(with_file({}, system.root)[1][0])


def test_its_old_syntax_is_no_mistake(system: System) -> None:
    system.write(PATH, TEXT + "user_filter = (uid=%n)\n")
    assert scan_mounted({PATH}, system.root) == []
    assert scan_mounted({"/etc/dovecot"}, system.root) == []
