"""Does an SPF record (RFC 7208) let a host send? As much of it as most records use; the rest is `unknown`.

Macros, `ptr` and `exists` are not evaluated. Looking up is the caller's: `ask` answers (name, type).
"""

import ipaddress
from collections.abc import Awaitable, Callable
from typing import Final

from dmsinit.doctor.facts import Answer, Spf

Ask = Callable[[str, str], Awaitable[Answer]]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_RESULTS: Final = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
_MOST_LOOKUPS: Final = 10
"""RFC 7208 section 4.6.4: a record that needs more is a permanent error for everybody."""


class _Unknown(Exception):
    """It cannot be told; the message says why."""


class _Broken(Exception):
    """The record is wrong, so that receivers do not use it (permerror)."""


def record(answer: Answer) -> str:
    """Return the SPF record among TXT records, "" when there is none or more than one (see `count`)."""
    found = spf_records(answer)
    return found[0] if len(found) == 1 else ""


def spf_records(answer: Answer) -> list[str]:
    """Return all records that claim to be SPF (RFC 7208 section 4.5)."""
    return [text for text in answer.records if text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")]


async def evaluate(domain: str, address: str, ask: Ask) -> Spf:
    """Return whether `domain` lets `address` send mail."""
    try:
        return Spf(await _Evaluation(ipaddress.ip_address(address), ask).of(domain))
    except _Unknown as unknown:
        return Spf("unknown", str(unknown))
    except _Broken as broken:
        return Spf("permerror", str(broken))


class _Evaluation:
    def __init__(self, address: Address, ask: Ask) -> None:
        self._address = address
        self._ask = ask
        self._lookups = 0

    async def of(self, domain: str) -> str:
        answer = await self._answer(domain, "TXT")
        records = spf_records(answer)
        if len(records) > 1:
            raise _Broken(f"{domain} has {len(records)} SPF records, of which none counts")
        if not records:
            return "none"
        redirect = ""
        for term in records[0].split()[1:]:
            name, separator, value = term.partition("=")
            if separator and ":" not in name and "/" not in name:
                redirect = value if name.lower() == "redirect" else redirect
                continue
            qualifier, mechanism = (term[0], term[1:]) if term[0] in _RESULTS else ("+", term)
            if await self._matches(mechanism, domain):
                return _RESULTS[qualifier]
        if not redirect:
            return "neutral"
        self._count_lookup()
        result = await self.of(_plain(redirect))
        if result == "none":
            raise _Broken(f"{domain} redirects to {redirect}, which has no SPF record")
        return result

    async def _matches(self, mechanism: str, domain: str) -> bool:
        name, _, argument = mechanism.partition(":")
        name, slash, prefix = (name.lower(), "", "") if argument else _cut(name.lower())
        if name == "all":
            return True
        if name in ("ip4", "ip6"):
            return self._in_network(argument)
        if name == "include":
            self._count_lookup()
            result = await self.of(_plain(argument))
            if result == "none":
                raise _Broken(f"{domain} includes {argument}, which has no SPF record")
            return result == "pass"
        if name in ("a", "mx"):
            target, slash, prefix = _cut(argument) if argument else (domain, slash, prefix)
            self._count_lookup()
            return await self._is_host(name, _plain(target), prefix if slash else "")
        if name in ("ptr", "exists"):
            raise _Unknown(f"{domain} uses `{name}`")
        raise _Broken(f"{domain} has an unknown mechanism {mechanism!r}")

    async def _is_host(self, kind: str, name: str, prefix: str) -> bool:
        hosts = [name]
        if kind == "mx":
            hosts = [entry.split()[-1] for entry in (await self._answer(name, "MX")).records]
        found = [
            record
            for host in hosts
            for record in (await self._answer(host, "A" if self._address.version == 4 else "AAAA")).records
        ]
        four, _, six = prefix.partition("//")
        length = (four if self._address.version == 4 else six) or str(self._address.max_prefixlen)
        return any(self._in_network(f"{record}/{length}") for record in found)

    def _in_network(self, text: str) -> bool:
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise _Broken(f"{text!r} is not a network") from None
        return network.version == self._address.version and self._address in network

    async def _answer(self, name: str, kind: str) -> Answer:
        answer = await self._ask(name, kind)
        if not answer.known:
            raise _Unknown(f"no answer for {name} {kind}")
        return answer

    def _count_lookup(self) -> None:
        self._lookups += 1
        if self._lookups > _MOST_LOOKUPS:
            raise _Broken(f"it needs more than {_MOST_LOOKUPS} look-ups")


def _cut(text: str) -> tuple[str, str, str]:
    """Return the name before a prefix length, whether there is one, and it (`24`, `24//64`, `/64`)."""
    return text.partition("/")


def _plain(name: str) -> str:
    if "%" in name:
        raise _Unknown(f"{name} has macros")
    return name.lower().rstrip(".")
