"""All variables in one frozen object."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from dmsinit.settings.directory import DovecotLdap, Ldap, Saslauthd
from dmsinit.settings.dovecot import Dovecot
from dmsinit.settings.field import Field, Section
from dmsinit.settings.filters import Amavis, Banning, Rspamd, Spam
from dmsinit.settings.postfix import Authentication, Fetchers, Greylisting, Postfix, Relaying
from dmsinit.settings.server import Certificates, Network, Reports, Server

SECTIONS: Final[tuple[type[Section], ...]] = (
    Server, Network, Certificates, Postfix, Relaying, Authentication, Greylisting, Dovecot, Spam, Amavis, Rspamd,
    Banning, Fetchers, Ldap, DovecotLdap, Saslauthd, Reports,
)  # fmt: skip
"""The sections in the order in which documents show them."""


def _fields() -> dict[str, Field[Any]]:
    found = (item for section in SECTIONS for item in vars(section).values() if isinstance(item, Field))
    return {field.name: field for field in found}


FIELDS: Final[Mapping[str, Field[Any]]] = MappingProxyType(_fields())
"""Every variable that has an effect, by name."""

MASK: Final = "********"


class Settings(
    Server, Network, Certificates, Postfix, Relaying, Authentication, Greylisting, Dovecot, Spam, Amavis, Rspamd,
    Banning, Fetchers, Ldap, DovecotLdap, Saslauthd, Reports,
):  # fmt: skip
    """The effective settings; every variable is an attribute of its name in lower case.

    `fqdn` and `domain` are the mail names. `ldap_passthrough` and `dovecot_passthrough` hold the `LDAP_<KEY>` and
    `DOVECOT_<KEY>` variables that are not in the table, by key in lower case.
    """

    __slots__ = ("_texts", "domain", "dovecot_passthrough", "fqdn", "ldap_passthrough")

    _texts: dict[str, str]
    fqdn: str
    domain: str
    ldap_passthrough: Mapping[str, str]
    dovecot_passthrough: Mapping[str, str]

    def __init__(
        self, values: dict[str, Any], texts: dict[str, str], *, fqdn: str, domain: str,
        ldap: dict[str, str], dovecot: dict[str, str],
    ) -> None:  # fmt: skip
        set_ = object.__setattr__
        set_(self, "_values", values)
        set_(self, "_texts", texts)
        set_(self, "fqdn", fqdn)
        set_(self, "domain", domain)
        set_(self, "ldap_passthrough", MappingProxyType(ldap))
        set_(self, "dovecot_passthrough", MappingProxyType(dovecot))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"settings are frozen: cannot set {name}")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Settings):
            return NotImplemented
        return (self.fqdn, self.domain, self.effective()) == (other.fqdn, other.domain, other.effective())

    def effective(self) -> dict[str, str]:
        """Return every variable with its text, sorted by name; secrets included (for root's files only)."""
        texts = dict(self._texts)
        texts.update((f"LDAP_{key.upper()}", value) for key, value in self.ldap_passthrough.items())
        texts.update((f"DOVECOT_{key.upper()}", value) for key, value in self.dovecot_passthrough.items())
        return dict(sorted(texts.items()))

    def secrets(self) -> list[str]:
        """Return every text that must not be shown."""
        return [text for name, text in self.effective().items() if is_secret(name) and text]

    def masked(self) -> dict[str, str]:
        """Return what `effective` returns with secrets hidden; a secret that is not set stays empty."""
        return {name: _masked(name, text) for name, text in self.effective().items()}


def _masked(name: str, text: str) -> str:
    if is_secret(name) and text:
        return MASK
    scheme, mark, rest = text.partition("://")
    authority = rest.partition("/")[0]
    if mark and "@" in authority:
        return f"{scheme}://{MASK}@{rest[authority.rindex('@') + 1 :]}"
    return text


def is_secret(name: str) -> bool:
    """Return whether the value of a variable must not be shown; a name that is not in the table says so itself."""
    field = FIELDS.get(name)
    return field.secret if field else any(word in name for word in ("PASS", "PW", "SECRET"))
