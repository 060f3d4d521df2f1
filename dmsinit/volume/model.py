"""The config volume as values: who has a mailbox, what goes where, who may what.

All addresses are lower-case. Secrets (hashes, relay passwords) are left out of every `repr`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from dmsinit.problem import Problem
from dmsinit.volume.names import is_login


@dataclass(frozen=True, slots=True)
class Account:
    """A mailbox with a login; `extra` holds further Dovecot passwd-file fields, such as `userdb_mail=mbox:/x`."""

    address: str
    password_hash: str = field(repr=False)
    extra: str = ""

    @property
    def local_part(self) -> str:
        return self.address.rpartition("@")[0]

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Alias:
    """A virtual alias: `address` is local@domain, @domain (catch-all) or a bare local part; at least one target."""

    address: str
    targets: tuple[str, ...]

    @property
    def domain(self) -> str:
        """The domain that becomes hosted by this alias; "" for a bare local part."""
        return self.address.rpartition("@")[2] if "@" in self.address else ""


@dataclass(frozen=True, slots=True)
class Master:
    """A master user: it logs in to anybody's mailbox as USER*NAME."""

    name: str
    password_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RelayRoute:
    """Where mail of a sender (address or @domain) goes, such as `[smtp.relay.test]:587`; "": delivered directly."""

    sender: str
    relay: str


@dataclass(frozen=True, slots=True)
class SaslPassword:
    """Credentials for a relay; `key` is a sender (address or @domain) or a relay (`[host]:port`)."""

    key: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AccessRule:
    """A line of an access(5) table, such as `spam@hill.test` → `REJECT`."""

    pattern: str
    action: str


@dataclass(frozen=True, slots=True)
class Dummy:
    """A login that exists only so that Dovecot answers a quota question for an alias with `account`'s quota."""

    address: str
    account: Account


@dataclass(frozen=True)
class Volume:
    """What the config volume says; made by `read`.

    Every table keeps the order of its file, and where a key stands twice only the first counts, as for the daemons
    that read it. `quotas` maps an address to a size such as `5G` or `0`. `regexp_lines` and `local_aliases` are lines
    as written (pcre_table(5), aliases(5)). `present` names the files that exist.
    """

    directory: Path
    accounts: tuple[Account, ...] = ()
    aliases: tuple[Alias, ...] = ()
    regexp_lines: tuple[str, ...] = ()
    local_aliases: tuple[str, ...] = ()
    quotas: Mapping[str, str] = field(default_factory=dict)
    masters: tuple[Master, ...] = ()
    relay_map: tuple[RelayRoute, ...] = ()
    sasl_passwords: tuple[SaslPassword, ...] = ()
    send_access: tuple[AccessRule, ...] = ()
    receive_access: tuple[AccessRule, ...] = ()
    present: frozenset[str] = frozenset()
    warnings: tuple[Problem, ...] = ()

    @cached_property
    def domains(self) -> tuple[str, ...]:
        """The hosted domains, sorted: those of accounts and of aliases."""
        names = {account.domain for account in self.accounts}
        names.update(alias.domain for alias in self.aliases)
        return tuple(sorted(names - {""}))

    @cached_property
    def send_denied(self) -> tuple[str, ...]:
        """Who may not send: the patterns that are rejected."""
        return _rejected(self.send_access)

    @cached_property
    def receive_denied(self) -> tuple[str, ...]:
        """Who may not receive: the patterns that are rejected."""
        return _rejected(self.receive_access)

    @cached_property
    def dummies(self) -> tuple[Dummy, ...]:
        """The dummy logins that aliases need while quotas are on (see `alias_dummies`)."""
        return alias_dummies(self.accounts, self.aliases)


def alias_dummies(accounts: Iterable[Account], aliases: Iterable[Alias]) -> tuple[Dummy, ...]:
    """Return a dummy for each local@domain alias with an account among its targets (the first one that is), in order.

    Dovecot's quota-status service is asked about the recipient as the client wrote it, before Postfix expands aliases.
    Catch-alls, bare local parts, aliases with outside targets only, and aliases that are accounts get none; nor do
    those whose name no login can have: Dovecot does not know them and lets them pass.
    """
    by_address = {account.address: account for account in accounts}
    dummies: dict[str, Dummy] = {}
    for alias in aliases:
        name = alias.address
        if not is_login(name) or name in by_address or name in dummies:
            continue
        for target in alias.targets:
            account = by_address.get(target.lower())
            if account is not None:
                dummies[name] = Dummy(name, account)
                break
    return tuple(dummies.values())


def _rejected(rules: Iterable[AccessRule]) -> tuple[str, ...]:
    return tuple(rule.pattern for rule in rules if rule.action.split(None, 1)[0].upper() == "REJECT")
