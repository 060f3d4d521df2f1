"""Asking DNS: all questions at once, with one deadline for all of them together."""

import asyncio
import time
from collections.abc import Iterable
from typing import Final

import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.resolver
import dns.reversename

from dmsinit.doctor import spf
from dmsinit.doctor.facts import Answer, Names, Spf, dmarc_names

DEADLINE_SECONDS: Final = 3.0
_SLACK_SECONDS: Final = 0.2
"""A question gives up that long before the deadline, so that it can still say that there was silence."""


async def look_up(fqdn: str, domains: Iterable[str], keys: Iterable[tuple[str, str]]) -> Names:
    """Ask everything about the server's name, the hosted domains, and the DKIM keys (domain, selector)."""
    began = time.monotonic()
    try:
        resolver = dns.asyncresolver.Resolver()
    except dns.exception.DNSException:
        return Names()
    inquiry = _Inquiry(resolver, began + DEADLINE_SECONDS - _SLACK_SECONDS)
    tasks = [inquiry.host(fqdn)] if fqdn else []
    tasks += [inquiry.domain(domain, fqdn) for domain in domains]
    tasks += [inquiry.only(f"{selector}._domainkey.{domain}", "TXT") for domain, selector in keys]
    await asyncio.gather(*tasks)
    servers = tuple(str(server) for server in resolver.nameservers)
    return Names(servers, inquiry.answers, inquiry.spf, time.monotonic() - began)


class _Inquiry:
    """Asks each question once, however many want its answer."""

    def __init__(self, resolver: dns.asyncresolver.Resolver, deadline: float) -> None:
        self.answers: dict[tuple[str, str], Answer] = {}
        self.spf: dict[str, Spf] = {}
        self._resolver = resolver
        self._deadline = deadline
        self._asked: dict[tuple[str, str], asyncio.Task[Answer]] = {}

    async def ask(self, name: str, kind: str) -> Answer:
        """Return the answer to a question."""
        question = (name.lower().rstrip("."), kind)
        if question not in self._asked:
            self._asked[question] = asyncio.create_task(self._resolve(*question))
        answer = await self._asked[question]
        self.answers[question] = answer
        return answer

    async def only(self, name: str, kind: str) -> None:
        """Ask one question, to be found in `answers`."""
        await self.ask(name, kind)

    async def host(self, fqdn: str) -> None:
        """Ask for the server's addresses and for their names."""
        addresses = await self._addresses(fqdn)
        await asyncio.gather(*(self.ask(reverse_name(address), "PTR") for address in addresses))

    async def domain(self, domain: str, fqdn: str) -> None:
        """Ask for a hosted domain's MX (and its hosts' addresses), SPF, and DMARC."""
        others = asyncio.gather(*(self.ask(name, "TXT") for name in (domain, *dmarc_names(domain))))
        mx, addresses, _ = await asyncio.gather(self.ask(domain, "MX"), self._addresses(fqdn), others)
        hosts = [record.split()[-1] for record in mx.records]
        await asyncio.gather(*(self._addresses(host) for host in hosts if host != "."), self._spf(domain, addresses))

    async def _spf(self, domain: str, addresses: tuple[str, ...]) -> None:
        if spf.spf_records(await self.ask(domain, "TXT")) and addresses:
            results = await asyncio.gather(*(spf.evaluate(domain, address, self.ask) for address in addresses))
            self.spf[domain] = next((one for one in results if one.result != "pass"), results[0])

    async def _addresses(self, name: str) -> tuple[str, ...]:
        four, six = await asyncio.gather(self.ask(name, "A"), self.ask(name, "AAAA"))
        return four.records + six.records

    async def _resolve(self, name: str, kind: str) -> Answer:
        left = self._deadline - time.monotonic()
        if left <= 0 or not name:
            return Answer("silence")
        try:
            async with asyncio.timeout(left):
                found = await self._resolver.resolve(f"{name}.", kind, lifetime=left, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            return Answer("none")
        except (TimeoutError, dns.resolver.LifetimeTimeout):
            return Answer("silence")
        except (dns.exception.DNSException, OSError, UnicodeError):
            return Answer("error")
        records = tuple(_text(record) for record in found.rrset or ())
        return Answer("found" if records else "none", records)


def reverse_name(address: str) -> str:
    """Return the name under which DNS has the name of an address (RFC 1035 section 3.5, RFC 3596)."""
    return str(dns.reversename.from_address(address)).rstrip(".").lower()


def _text(record: "dns.rdata.Rdata") -> str:
    if record.rdtype == dns.rdatatype.TXT:
        return b"".join(record.strings).decode("utf-8", "replace")  # type: ignore[attr-defined]  # of TXT alone
    text = record.to_text()
    return text.lower() if text.endswith(" .") else text.rstrip(".").lower()
