"""What the checks look at: plain values, gathered at once."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Outcome = Literal["found", "none", "silence", "error"]


@dataclass(frozen=True)
class Answer:
    """What DNS says to one question: the records as text (TXT joined, names without the last dot), or why not."""

    outcome: Outcome = "none"
    records: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether this is an answer: there are such records, or there are none."""
        return self.outcome in ("found", "none")


@dataclass(frozen=True)
class Port:
    """How a port answered: `greeting` is its first line, `problem` why there is none."""

    number: int
    name: str
    greeting: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Certificate:
    """What a TLS port shows. `trust` is "" when the chain leads to a public authority, else OpenSSL's objection."""

    port: int
    fingerprint: str
    subject: str
    names: tuple[str, ...]
    begins: float
    ends: float
    trust: str = ""


@dataclass(frozen=True)
class Space:
    """Room in a volume; shares are of 1, inodes None where the file system does not count them."""

    path: str
    mounted: bool
    free_bytes: int
    free_share: float
    free_inodes: float | None


@dataclass(frozen=True)
class Key:
    """A DKIM key: `public` is the half that DNS has to have, "" when it cannot be read (`problem`)."""

    domain: str
    selector: str
    signer: str
    public: str
    problem: str = ""


@dataclass(frozen=True)
class Spf:
    """What SPF (RFC 7208) says of this host: a result, `unknown` where this program cannot tell; `reason` says why."""

    result: str
    reason: str = ""


@dataclass(frozen=True)
class Names:
    """What DNS says; `resolvers` are the name servers asked, `seconds` how long that took."""

    resolvers: tuple[str, ...] = ()
    answers: Mapping[tuple[str, str], Answer] = field(default_factory=dict)
    spf: Mapping[str, Spf] = field(default_factory=dict)
    seconds: float = 0.0

    def ask(self, name: str, kind: str) -> Answer:
        """Return the answer to a question that was asked; silence for any other."""
        return self.answers.get((name.lower().rstrip("."), kind), Answer("silence"))


def dmarc_names(domain: str) -> list[str]:
    """Return where a domain's DMARC policy may stand: its own, then those of the domains above, but top-level ones."""
    labels = domain.split(".")
    return [f"_dmarc.{'.'.join(labels[start:])}" for start in range(max(1, len(labels) - 1))]


@dataclass(frozen=True)
class Facts:
    """Everything. `status` is the control API's answer, None when dmsinit does not answer (`unreachable` says why)."""

    now: float = 0.0
    fqdn: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    status: Mapping[str, Any] | None = None
    unreachable: str = ""
    ports: tuple[Port, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    volume_problems: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    """Files of the config volume with secrets that every user in the container can read."""
    domains: tuple[str, ...] = ()
    unreachable_addresses: Mapping[str, str] = field(default_factory=dict)
    """Addresses that the server writes to and that nobody reads, by the variable that names them."""
    spaces: tuple[Space, ...] = ()
    outdated_mounts: tuple[str, ...] = ()
    """Files that are mounted by themselves and were replaced on the host since."""
    memory_limit: float = math.inf
    mynetworks: str | None = None
    """Whom Postfix trusts; "" for nobody, None where it cannot be asked."""
    relay_restrictions: str = ""
    clock_synchronised: bool | None = None
    built: float = 0.0
    keys: tuple[Key, ...] = ()
    bans: tuple[int, tuple[str, ...]] | None = None
    """How many bans Fail2ban lists, and those that the kernel has no rule for; None where it does not run."""
    domains_with_keys: frozenset[str] = frozenset()
    """Domains that the config volume holds a key for, in use or not."""
    names: Names = field(default_factory=Names)

    def on(self, setting: str) -> bool:
        """Say whether a switch is on."""
        return self.settings.get(setting) == "1"

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses of the server's name, as DNS has them."""
        return self.names.ask(self.fqdn, "A").records + self.names.ask(self.fqdn, "AAAA").records
