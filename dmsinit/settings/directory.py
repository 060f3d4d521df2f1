"""Variables of a directory server: LDAP for Postfix, Dovecot and saslauthd."""

from typing import Final

from dmsinit.settings.field import Choice, FilePath, Flag, Same, Section, Text
from dmsinit.settings.kinds import Filter, Pairs, Words, YesNo

_LDAP: Final = "ACCOUNT_PROVISIONER=LDAP"
_SASLAUTHD: Final = "ENABLE_SASLAUTHD=1"
_SASLAUTHD_LDAP: Final = "ENABLE_SASLAUTHD=1 and SASLAUTHD_MECHANISMS=ldap"
_SHIPPED: Final = " Empty: the filter of the LDAP file stays."


class Ldap(Section):
    """LDAP: Postfix's look-ups, and the defaults of the others."""

    __slots__ = ()

    ldap_server_host = Text(
        "",
        "Directory server, with scheme: `ldap://host` or `ldaps://host`.",
        when=_LDAP,
        example="ldaps://ldap.example.com",
    )
    ldap_search_base = Text("", "Where searches begin.", when=_LDAP, free=True, example="ou=people,dc=example,dc=com")
    ldap_bind_dn = Text("", "Who asks the directory.", when=_LDAP, free=True, example="cn=mail,dc=example,dc=com")
    ldap_bind_pw = Text("", "Password of LDAP_BIND_DN.", when=_LDAP, secret=True)
    ldap_start_tls = YesNo("no", "Use STARTTLS towards the directory.", when=_LDAP)
    ldap_query_filter_user = Text(
        "", "Which entries are users." + _SHIPPED, when=_LDAP, free=True, example="(&(mail=%s)(mailEnabled=TRUE))"
    )
    ldap_query_filter_group = Text(
        "",
        "Which entries are groups." + _SHIPPED,
        when=_LDAP,
        free=True,
        example="(&(mailGroupMember=%s)(mailEnabled=TRUE))",
    )
    ldap_query_filter_alias = Text(
        "",
        "Which entries hold an alias." + _SHIPPED,
        when=_LDAP,
        free=True,
        example="(&(mailAlias=%s)(mailEnabled=TRUE))",
    )
    ldap_query_filter_domain = Text(
        "",
        "Which entries make a domain ours." + _SHIPPED,
        when=_LDAP,
        free=True,
        example="(|(mail=*@%s)(mailAlias=*@%s))",
    )
    ldap_query_filter_senders = Text(
        "", "Which entries may use a sender address. Empty: users, aliases and groups decide.",
        when=f"{_LDAP} and SPOOF_PROTECTION=1", free=True, example="(|(mail=%s)(mailAlias=%s))",
    )  # fmt: skip


class DovecotLdap(Section):
    """LDAP for Dovecot: its look-ups, where they differ."""

    __slots__ = ()

    dovecot_uris = Words(
        Same("LDAP_SERVER_HOST"), "Directory servers, with scheme.", when=_LDAP, example="ldaps://ldap.example.com"
    )
    dovecot_base = Text(
        Same("LDAP_SEARCH_BASE"), "Where searches begin.", when=_LDAP, free=True, example="ou=people,dc=example,dc=com"
    )
    dovecot_dn = Text(
        Same("LDAP_BIND_DN"), "Who asks the directory.", when=_LDAP, free=True, example="cn=dovecot,dc=example,dc=com"
    )
    dovecot_dnpass = Text(Same("LDAP_BIND_PW"), "Password of DOVECOT_DN.", when=_LDAP, secret=True)
    dovecot_tls = YesNo("no", "Use STARTTLS towards the directory.", when=_LDAP)
    dovecot_userdb_ldap_filter = Filter(
        "",
        "Which entry is the mailbox of a user." + _SHIPPED,
        when=_LDAP,
        free=True,
        example="(&(objectClass=inetOrgPerson)(mail=%{user}))",
    )
    dovecot_passdb_ldap_filter = Filter(
        Same("DOVECOT_USERDB_LDAP_FILTER"),
        "Which entry is the login of a user." + _SHIPPED,
        when=_LDAP,
        free=True,
        example="(&(objectClass=inetOrgPerson)(mail=%{user}))",
    )
    dovecot_auth_bind = YesNo("no", "Check passwords by binding as the user; becomes `passdb_ldap_bind`.", when=_LDAP)
    dovecot_default_pass_scheme = Text("SSHA", "Scheme of passwords without a prefix.", when=_LDAP, one_word=True)
    dovecot_user_attrs = Pairs(
        "mailHomeDirectory=home,mailUidNumber=uid,mailGidNumber=gid,mailStorageDirectory=mail",
        "Which attributes make a mailbox; becomes the userdb fields. Templates of Dovecot 2.3 are translated.",
        when=_LDAP,
    )  # fmt: skip
    dovecot_pass_attrs = Pairs(
        "uniqueIdentifier=user,userPassword=password", "Which attributes make a login; becomes the passdb fields.",
        when=_LDAP,
    )  # fmt: skip


class Saslauthd(Section):
    """saslauthd: passwords that it checks for Postfix."""

    __slots__ = ()

    enable_saslauthd = Flag("0", "Let saslauthd check passwords on 587 and 465 instead of Dovecot.")
    saslauthd_mechanisms = Choice("ldap", ("ldap", "rimap"), "How saslauthd checks passwords.", when=_SASLAUTHD)
    saslauthd_mech_options = Text(
        "", "Option -O of saslauthd: the IMAP server that rimap asks.", when=_SASLAUTHD, example="127.0.0.1"
    )
    saslauthd_ldap_server = Text(
        Same("LDAP_SERVER_HOST"),
        "Directory server, with scheme.",
        when=_SASLAUTHD_LDAP,
        example="ldaps://ldap.example.com",
    )
    saslauthd_ldap_start_tls = YesNo("no", "Use STARTTLS towards the directory.", when=_SASLAUTHD_LDAP)
    saslauthd_ldap_tls_check_peer = YesNo("no", "Check the directory's certificate.", when=_SASLAUTHD_LDAP)
    saslauthd_ldap_tls_cacert_dir = FilePath(
        "", "Directory of trusted certificates.", when=_SASLAUTHD_LDAP, example="/etc/ssl/certs"
    )
    saslauthd_ldap_tls_cacert_file = FilePath(
        "", "File of trusted certificates.", when=_SASLAUTHD_LDAP, example="/certs/ca.pem"
    )
    saslauthd_ldap_bind_dn = Text(
        Same("LDAP_BIND_DN"),
        "Who asks the directory.",
        when=_SASLAUTHD_LDAP,
        free=True,
        example="cn=sasl,dc=example,dc=com",
    )
    saslauthd_ldap_password = Text(
        Same("LDAP_BIND_PW"), "Password of SASLAUTHD_LDAP_BIND_DN.", when=_SASLAUTHD_LDAP, secret=True
    )
    saslauthd_ldap_search_base = Text(
        Same("LDAP_SEARCH_BASE"),
        "Where searches begin.",
        when=_SASLAUTHD_LDAP,
        free=True,
        example="ou=people,dc=example,dc=com",
    )
    saslauthd_ldap_filter = Text(
        "(&(uniqueIdentifier=%u)(mailEnabled=TRUE))",
        "Which entry is the login of a user.",
        when=_SASLAUTHD_LDAP,
        free=True,
        example="(mail=%U@%r)",
    )
    saslauthd_ldap_password_attr = Text(
        "",
        "Attribute of the password; empty: saslauthd's default, userPassword.",
        when=_SASLAUTHD_LDAP,
        example="userPassword",
    )
    saslauthd_ldap_auth_method = Choice(
        "bind", ("bind", "fastbind", "custom"), "How the directory checks the password.", when=_SASLAUTHD_LDAP
    )
    saslauthd_ldap_mech = Text(
        "", "SASL mechanism towards the directory; empty: none is named.", when=_SASLAUTHD_LDAP, example="PLAIN"
    )
