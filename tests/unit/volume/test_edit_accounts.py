"""Accounts and master users: added, changed, taken away."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmsinit.volume import edit_accounts, read
from dmsinit.volume.errors import EditError

ACCOUNTS, ALIASES, QUOTAS = "postfix-accounts.cf", "postfix-virtual.cf", "dovecot-quotas.cf"


def test_add_update_and_remove(tmp_path: Path) -> None:
    place = tmp_path / "new"
    edit_accounts.add_account(place, "Anna@x.test", "{PLAIN}1")
    edit_accounts.add_account(place, "ann@x.test", "{PLAIN}2")
    assert (place / ACCOUNTS).read_text() == "anna@x.test|{PLAIN}1\nann@x.test|{PLAIN}2\n"
    assert stat.S_IMODE((place / ACCOUNTS).stat().st_mode) == 0o600
    edit_accounts.update_account(place, "anna@x.test", "{PLAIN}3")
    edit_accounts.remove_account(place, "ann@x.test")
    assert (place / ACCOUNTS).read_text() == "anna@x.test|{PLAIN}3\n"


def test_accounts_and_aliases_are_not_doubled(tmp_path: Path) -> None:
    edit_accounts.add_account(tmp_path, "a@x.test", "{PLAIN}1")
    (tmp_path / ALIASES).write_text("sales@x.test a@x.test\n")
    with pytest.raises(EditError, match="the account exists"):
        edit_accounts.add_account(tmp_path, "A@x.test", "{PLAIN}1")
    with pytest.raises(EditError, match="it is an alias"):
        edit_accounts.add_account(tmp_path, "sales@x.test", "{PLAIN}1")
    with pytest.raises(EditError, match=r"no account b@x\.test exists"):
        edit_accounts.update_account(tmp_path, "b@x.test", "{PLAIN}1")


@pytest.mark.parametrize(
    "address", ["anna", "anna@", "@x.test", "a b@x.test", "../x@y.test", "..@x.test", "a|b@x.test"]
)
def test_what_is_no_login_is_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(EditError, match="cannot use"):
        edit_accounts.add_account(tmp_path, address, "{PLAIN}1")
    assert not (tmp_path / ACCOUNTS).exists()


def test_remove_takes_quota_and_alias_targets_and_leaves_the_like(tmp_path: Path) -> None:
    (tmp_path / ACCOUNTS).write_text("# team\naX@d.test|{PLAIN}1\na@d.test|{PLAIN}1|userdb_x=1\na@d.test|{PLAIN}2\n")
    (tmp_path / ALIASES).write_text("all@d.test ax@d.test,a@d.test\nonly@d.test a@d.test\nxa@d.test ba@d.test\n")
    (tmp_path / QUOTAS).write_text("ba@d.test:1G\na@d.test:5G\n")
    edit_accounts.remove_account(tmp_path, "a@d.test")
    assert (tmp_path / ACCOUNTS).read_text() == "# team\naX@d.test|{PLAIN}1\n"
    assert (tmp_path / ALIASES).read_text() == "all@d.test ax@d.test\nxa@d.test ba@d.test\n"
    assert (tmp_path / QUOTAS).read_text() == "ba@d.test:1G\n"


def test_a_broken_line_does_not_hinder_an_edit(tmp_path: Path) -> None:
    (tmp_path / ACCOUNTS).write_bytes(b"caf\xe9|\nnonsense\nold@x.test|{PLAIN}1")
    edit_accounts.add_account(tmp_path, "a@x.test", "{PLAIN}1")
    assert (tmp_path / ACCOUNTS).read_bytes() == b"caf\xe9|\nnonsense\nold@x.test|{PLAIN}1\na@x.test|{PLAIN}1\n"


LOGINS = st.from_regex(r"[a-z0-9.=_'&][a-z0-9.=_'&#{}-]{0,9}@[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?\.test", fullmatch=True)


@given(st.lists(LOGINS, unique=True, max_size=6), st.data())
def test_what_is_added_is_read_and_what_is_removed_is_gone(
    tmp_path_factory: pytest.TempPathFactory, logins: list[str], choice: st.DataObject
) -> None:
    place = tmp_path_factory.mktemp("volume")
    logins = [login for login in logins if login.partition("@")[0] not in (".", "..")]
    for login in logins:
        edit_accounts.add_account(place, login, "{PLAIN}x")
    removed = choice.draw(st.sets(st.sampled_from(logins))) if logins else set()
    for login in removed:
        edit_accounts.remove_account(place, login)
    assert [account.address for account in read(place).accounts] == [name for name in logins if name not in removed]


def test_masters(tmp_path: Path) -> None:
    edit_accounts.set_master(tmp_path, "admin", "{PLAIN}1", new=True)
    with pytest.raises(EditError, match="the master user admin exists"):
        edit_accounts.set_master(tmp_path, "admin", "{PLAIN}1", new=True)
    with pytest.raises(EditError, match="the master user other does not exist"):
        edit_accounts.set_master(tmp_path, "other", "{PLAIN}1", new=False)
    with pytest.raises(EditError, match="cannot use"):
        edit_accounts.set_master(tmp_path, "a*b", "{PLAIN}1", new=True)
    edit_accounts.set_master(tmp_path, "admin", "{PLAIN}2", new=False)
    assert (tmp_path / "dovecot-masters.cf").read_text() == "admin|{PLAIN}2\n"
    edit_accounts.remove_master(tmp_path, "other")
    edit_accounts.remove_master(tmp_path, "admin")
    assert read(tmp_path).masters == ()
