"""Names that older set-ups still use: removed, deprecated, internal, or never implemented.

Each says what to write instead; where the old value has a meaning today, it is translated, but only while the
variable that replaced it is empty.
"""

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from types import MappingProxyType
from typing import Final

from dmsinit.base.dovecot_fields import modern_variables
from dmsinit.problem import Problem, Severe


@dataclass(frozen=True)
class Former:
    """One such name.

    `status` continues the sentence "NAME …", `remedy` says what to do. `target` is the variable that `translate`
    feeds; it returns "" for values without a meaning. `loud`: the complaint is Severe. `quiet`: no word at all,
    because the name belongs to someone else or was never read in the container.
    """

    kind: str
    default: str
    status: str
    remedy: str = ""
    _: KW_ONLY
    target: str = ""
    translate: Callable[[str], str] = str
    loud: bool = False
    quiet: bool = False

    def complaint(self, name: str, meaning: str) -> Problem:
        """Return what to tell a user who set this name; `meaning`: what its value was translated to."""
        remedy = self.remedy if meaning or not self.target else f"remove it, or {self.remedy}"
        return (Severe if self.loud and meaning else Problem)(name, self.status, remedy)


def _with_scheme(text: str) -> str:
    return " ".join(word if "://" in word else f"ldap://{word}" for word in text.replace(",", " ").split())


def _one_means(word: str) -> Callable[[str], str]:
    return lambda text: word if text.strip() == "1" else ""


def _interval(text: str) -> str:
    return text.strip() if text.strip() in ("daily", "weekly", "monthly") else ""


def _subject(text: str) -> str:
    return "" if text.strip() == "undef" else text


def _internal(instead: str) -> Former:
    return Former("string", "", "is computed by the server and ignored", f"write {instead}")


FORMER: Final[Mapping[str, Former]] = MappingProxyType({
    "DMS_DEBUG": Former(
        "bool", "0", "was removed in v11", "write LOG_LEVEL=debug",
        target="LOG_LEVEL", translate=_one_means("debug"),
    ),
    "ENABLE_LDAP": Former(
        "bool", "0", "was removed in v13", "write ACCOUNT_PROVISIONER=LDAP",
        target="ACCOUNT_PROVISIONER", translate=_one_means("LDAP"), loud=True,
    ),
    "ENABLE_POSTFIX_VIRTUAL_TRANSPORT": Former(
        "bool", "0", "was removed in v12", "remove it; POSTFIX_DAGENT alone is enough"
    ),
    "REPORT_INTERVAL": Former(
        "enum", "daily", "was removed in v11", "write LOGROTATE_INTERVAL",
        target="LOGROTATE_INTERVAL", translate=_interval,
    ),
    "SA_SPAM_SUBJECT": Former(
        "string", "***SPAM*** ", "is deprecated", "write SPAM_SUBJECT", target="SPAM_SUBJECT", translate=_subject
    ),
    "DOVECOT_HOSTS": Former(
        "string", "LDAP_SERVER_HOST", "was removed in v13", "write DOVECOT_URIS, with ldap:// or ldaps://",
        target="DOVECOT_URIS", translate=_with_scheme,
    ),
    "DOVECOT_USER_FILTER": Former(
        "string", "", "is deprecated", "write DOVECOT_USERDB_LDAP_FILTER, with %{user} for %u",
        target="DOVECOT_USERDB_LDAP_FILTER", translate=modern_variables,
    ),
    "DOVECOT_PASS_FILTER": Former(
        "string", "DOVECOT_USER_FILTER", "is deprecated", "write DOVECOT_PASSDB_LDAP_FILTER, with %{user} for %u",
        target="DOVECOT_PASSDB_LDAP_FILTER", translate=modern_variables,
    ),
    "SASL_PASSWD": Former(
        "string", "", "was removed in v12", "write RELAY_USER and RELAY_PASSWORD, or use postfix-sasl-password.cf",
    ),
    "ONE_DIR": Former(
        "bool", "1", "was removed in v14 and is ignored",
        "remove it; state is kept in /var/mail-state whenever that is mounted",
    ),
    "PANIC_STRATEGY": Former("string", "", "was removed in v12.1 and is ignored", "remove it"),
    "DATABASE": Former("path", "", "was removed and is ignored", "remove it"),
    "USER_DATABASE": Former("path", "postfix-accounts.cf", "was removed and is ignored", "remove it"),
    "DOVECOT_LDAP_VERSION": Former(
        "int", "3", "was removed with Dovecot 2.4 and is ignored", "remove it; version 3 of LDAP is always used"
    ),
    "DMS_FQDN": Former("string", "", "was never implemented", "write OVERRIDE_HOSTNAME"),
    "DMS_DOMAINNAME": Former("string", "", "was never implemented", "write OVERRIDE_HOSTNAME"),
    "DMS_HOSTNAME": Former("string", "", "was never implemented", "write OVERRIDE_HOSTNAME"),
    "GETMAIL_PARALLEL": Former("bool", "0", "is reserved and has no effect", "remove it"),
    "LDAP_QUERY_FILTER": _internal("LDAP_QUERY_FILTER_USER, _GROUP, _ALIAS, _DOMAIN or _SENDERS"),
    "DOVECOT_LDAP_URIS": _internal("DOVECOT_URIS"),
    "DOVECOT_LDAP_BASE": _internal("DOVECOT_BASE"),
    "DOVECOT_LDAP_AUTH_DN": _internal("DOVECOT_DN"),
    "DOVECOT_LDAP_AUTH_DN_PASSWORD": _internal("DOVECOT_DNPASS"),
    "DOVECOT_LDAP_STARTTLS": _internal("DOVECOT_TLS"),
    "DOVECOT_COMMUNITY_REPO": Former("bool", "0", "matters only while an image is built", quiet=True),
    "NAME": Former("string", "", "matters only to a wrapper on the host", quiet=True),
})  # fmt: skip
"""Every former name. Versions are docker-mailserver's."""


def aliases_of(name: str) -> tuple[str, ...]:
    """Return the former names that still feed a variable."""
    return tuple(former for former, what in FORMER.items() if what.target == name)
