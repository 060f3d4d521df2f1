"""Dovecot 2.3's fields of a user, each with what Dovecot 2.4 has instead."""

import pytest

from dmsinit.base.dovecot_fields import Untranslatable, attribute, translate

USER = "anna@hill.test"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("userdb_mail=maildir:/x", "userdb_mail_driver=maildir userdb_mail_path=/x"),
        ("userdb_mail=maildir:/x/%d/%n", "userdb_mail_driver=maildir userdb_mail_path=/x/hill.test/anna"),
        (
            "userdb_mail=mbox:~/m:INBOX=/i/%u",
            f"userdb_mail_driver=mbox userdb_mail_path=~/m userdb_mail_inbox_path=/i/{USER}",
        ),
        (
            "userdb_mail=maildir:%h/m:INDEX=MEMORY",
            "userdb_mail_driver=maildir userdb_mail_path=~/m userdb_mail_index_path=MEMORY",
        ),
        ("userdb_quota_rule=*:storage=1G", "userdb_quota_storage_size=1G"),
        ("userdb_quota_rule=*:storage=1024", "userdb_quota_storage_size=1024k"),
        ("userdb_quota_rule=*:bytes=5000", "userdb_quota_storage_size=5000B"),
        ("userdb_quota_rule=*:bytes=0", "userdb_quota_storage_size=0"),
        ("userdb_quota_rule=*:storage=1G:messages=9", "userdb_quota_storage_size=1G userdb_quota_message_count=9"),
        ("userdb_quota_max_mail_size=5M", "userdb_quota_mail_size=5M"),
        ("userdb_home=/h/%Lu", f"userdb_home=/h/{USER}"),
        ("allow_nets=10.0.0.0/8 userdb_mail_path=/x nologin", "allow_nets=10.0.0.0/8 userdb_mail_path=/x nologin"),
        ("userdb_uid=1 userdb_mail_path=/x/%{user}", "userdb_uid=1 userdb_mail_path=/x/%{user}"),
    ],
)
def test_third_column(old: str, new: str) -> None:
    result = translate(old, USER)
    assert (result.text, result.refused) == (new, {})
    assert bool(result.changed) is (old != new)


@pytest.mark.parametrize(
    ("old", "remedy"),
    [
        ("userdb_mail=/x", "userdb_mail_driver"),
        ("userdb_mail=maildir:/x:UNHEARD=1", "userdb_mail_path=/x"),
        ("userdb_mail=", "userdb_mail_path"),
        ("userdb_quota_rule2=Trash:storage=+100M", "quota_storage_extra"),
        ("userdb_quota_rule=*:storage=90%", "userdb_quota_storage_size"),
        ("userdb_quota_warning=storage=95%%", "quota_warning NAME"),
        ("userdb_sieve=~/x.sieve", "sieve_script/personal"),
        ("userdb_mail_plugins=acl", "userdb_mail_plugins/NAME=yes"),
        ("userdb_plugin/sieve_dir=~/s", "sieve_script/personal/path"),
    ],
)
def test_third_column_that_has_no_equivalent(old: str, remedy: str) -> None:
    result = translate(f"userdb_uid=1 {old}", USER)
    assert result.text == "userdb_uid=1"
    assert remedy in result.refused[old]


@pytest.mark.parametrize(
    ("given", "new"),
    [
        (("mailHome", "home", ""), {"home": "%{ldap:mailHome}"}),
        (("", "user", "%{ldap:mail}"), {"user": "%{ldap:mail}"}),
        (("", "uid", "5000"), {"uid": "5000"}),
        (("dir", "mail", ""), {"mail_path": "%{ldap:dir}"}),
        (("dir", "mail", "maildir:%$"), {"mail_driver": "maildir", "mail_path": "%{ldap:dir}"}),
        (
            ("", "mail", "mdbox:/x/%{ldap:uid:nobody}/%d:INDEX=/i/%Ln"),
            {
                "mail_driver": "mdbox",
                "mail_path": "/x/%{ldap:uid | default('nobody')}/%{user | domain}",
                "mail_index_path": "/i/%{user | username | lower}",
            },
        ),
        (("size", "quota_rule", "*:bytes=%$"), {"quota_storage_size": "%{ldap:size}B"}),
        (("size", "userdb_quota_rule", "*:storage=%$M"), {"userdb_quota_storage_size": "%{ldap:size}M"}),
        (("", "quota_rule", "*:storage=5G"), {"quota_storage_size": "5G"}),
        (("", "home", "/h/%{domain}"), {"home": "/h/%{user | domain}"}),
    ],
)
def test_attributes_of_a_directory(given: tuple[str, str, str], new: dict[str, str]) -> None:
    assert attribute(*given) == new


@pytest.mark.parametrize(
    "given",
    [("size", "quota_rule", ""), ("", "mail", "/x"), ("", "home", "%$"), ("s", "sieve", ""), ("p", "quota", "")],
)
def test_attributes_that_have_no_equivalent(given: tuple[str, str, str]) -> None:
    with pytest.raises(Untranslatable):
        attribute(*given)
