"""Old names: their translations, and that their targets exist."""

import pytest

from dmsinit.base.dovecot_fields import modern_variables
from dmsinit.settings import FIELDS, FORMER, Severe


def test_targets_exist_and_names_are_distinct() -> None:
    assert not FORMER.keys() & FIELDS.keys()
    assert all(former.target in FIELDS for former in FORMER.values() if former.target)
    assert all(former.remedy or former.quiet for former in FORMER.values())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("(mail=%u)", "(mail=%{user})"),
        ("(uid=%n)", "(uid=%{user | username})"),
        ("(d=%Ld)", "(d=%{user | domain | lower})"),
        ("(mail=%{user | username})", "(mail=%{user | username})"),
        ("(cn=100%)", "(cn=100%)"),
    ],
)
def test_filters_in_the_notation_of_dovecot_2_4(old: str, new: str) -> None:
    assert modern_variables(old) == new


def test_complaint_without_a_meaning_advises_removal() -> None:
    assert FORMER["ENABLE_LDAP"].complaint("ENABLE_LDAP", "").remedy.startswith("remove it")
    assert isinstance(FORMER["ENABLE_LDAP"].complaint("ENABLE_LDAP", "LDAP"), Severe)
