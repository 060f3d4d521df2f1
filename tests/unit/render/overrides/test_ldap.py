"""LDAP_* variables in Postfix's LDAP tables."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmsinit.render.overrides import ldap
from dmsinit.render.stage import Stage
from dmsinit.settings import load

FQDN = "mail.example.test"


def values(table: str = "users", **environ: str) -> dict[str, str]:
    return ldap.values(load({"ACCOUNT_PROVISIONER": "LDAP", **environ}, fqdn=FQDN).settings, table)


def test_what_is_not_set_leaves_the_files_own_value() -> None:
    assert values() == {}
    assert ldap.rewrite("query_filter = (mail=%s)\n", values()) == "query_filter = (mail=%s)\n"


def test_each_table_has_its_filter() -> None:
    given = {f"LDAP_QUERY_FILTER_{name}": name for name in ("USER", "GROUP", "ALIAS", "DOMAIN", "SENDERS")}
    assert [values(table, **given)["query_filter"] for table in ldap.TABLES] == list(given.values())


@pytest.mark.parametrize("value", ["p=&|$.*/[]^\\", "a # b", "%s", "=", "\\1 \\g<0>"])
def test_any_characters_arrive_literally(value: str) -> None:
    assert ldap.rewrite("bind_pw = admin\n", values(LDAP_BIND_PW=value)) == f"bind_pw = {value}\n"


def test_other_keys_are_passed_through_only_where_the_file_has_them() -> None:
    new = values(LDAP_VERSION="2", LDAP_TIMEOUT="5")
    assert ldap.rewrite("version=3\n", new) == "version = 2\n"


def test_continuation_lines_go_with_the_line_they_continue() -> None:
    text = "query_filter = (&\n  (mail=%s)\n # a comment\n  (x=y))\nscope =   sub\n\n# query_filter = old\n"
    new = ldap.rewrite(text, {"query_filter": "(mail=%s)"})
    assert new == "query_filter = (mail=%s)\n # a comment\nscope = sub\n\n# query_filter = old\n"
    assert (
        ldap.rewrite(text, {})
        == "query_filter = (&\n  (mail=%s)\n # a comment\n  (x=y))\nscope = sub\n\n# query_filter = old\n"
    )


def test_start_tls_is_only_ever_switched_on() -> None:
    assert values(LDAP_START_TLS="yes")["start_tls"] == "yes"
    assert "start_tls" not in values(LDAP_START_TLS="no")


def test_all_staged_tables_are_written() -> None:
    stage = Stage()
    for table in ldap.TABLES:
        stage.add(f"/etc/postfix/ldap-{table}.cf", "server_host = x\n")
    ldap.apply(stage, load({"ACCOUNT_PROVISIONER": "LDAP", "LDAP_SERVER_HOST": "ldap://d"}, fqdn=FQDN).settings)
    assert {file.content for file in stage.files.values()} == {b"server_host = ldap://d\n"}


@given(
    st.text(alphabet=st.characters(codec="utf-8")),
    st.dictionaries(st.sampled_from(["bind_dn", "version"]), st.just("v")),
)
def test_any_text_keeps_its_other_lines(text: str, new: dict[str, str]) -> None:
    kept = [line for line in text.splitlines() if line.startswith("#")]
    assert [line for line in ldap.rewrite(text, new).splitlines() if line.startswith("#")][: len(kept)] == kept
