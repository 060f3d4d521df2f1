"""The checks of what the world sees in DNS: names, mail exchangers, SPF, DKIM, DMARC."""

import ipaddress
from collections.abc import Callable, Iterator
from typing import Final

from dmsinit.doctor.facts import Answer, Facts, Key, dmarc_names
from dmsinit.doctor.keys import tags
from dmsinit.doctor.report import Finding

_PRIVATE: Final = tuple(
    map(
        ipaddress.ip_network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16", "100.64.0.0/10",
         "fc00::/7", "fe80::/10", "::1/128"),
    )
)  # fmt: skip
"""Addresses that nobody else reaches (RFC 1918, RFC 6598, RFC 4193); not those for documentation."""


def resolver(facts: Facts) -> Iterator[Finding]:
    """Somebody answers questions about names."""
    asked = ", ".join(facts.names.resolvers) or "none: /etc/resolv.conf has no name server"
    if not facts.names.answers and facts.names.resolvers:
        return  # there was nothing to ask
    if not _alive(facts):
        what = f"no answer within {facts.names.seconds:.1f} s (asked {asked})"
        why = "mail cannot be delivered, and nothing else of DNS could be checked"
        yield Finding("fail", "resolver", what, why, "check the container's network and the engine's --dns")
        return
    yield Finding("ok", "resolver", f"{asked} answers")
    lost = sorted({name for (name, _), answer in facts.names.answers.items() if not answer.known})
    if lost:
        what = f"cannot tell about {', '.join(lost[:5])}{' …' if len(lost) > 5 else ''}"
        yield Finding("warn", "resolver", what, "there was no answer or an error", "try again")


def host(facts: Facts) -> Iterator[Finding]:
    """The server's name has addresses, and they have its name."""
    if not _alive(facts):
        return
    if not facts.fqdn:
        yield Finding(
            "fail", "name", "the server has none", remedy="set the container's hostname, or OVERRIDE_HOSTNAME"
        )
        return
    if not facts.addresses:
        if all(facts.names.ask(facts.fqdn, kind).known for kind in ("A", "AAAA")):
            why = "this server cannot be found by its name"
            yield Finding("fail", "name", f"{facts.fqdn} has no address in DNS", why, "add an A record (AAAA for IPv6)")
        return
    yield Finding("ok", "name", f"{facts.fqdn} is {', '.join(facts.addresses)}")
    for address in facts.addresses:
        yield from _reverse(address, facts)


def _reverse(address: str, facts: Facts) -> Iterator[Finding]:
    if any(ipaddress.ip_address(address) in network for network in _PRIVATE):
        why = "public DNS cannot be checked from here"
        yield Finding(
            "warn", "reverse", f"{address} is a private address", why, "ask a resolver outside: dig NAME @9.9.9.9"
        )
        return
    pointer = ipaddress.ip_address(address).reverse_pointer
    answer = facts.names.ask(pointer, "PTR")
    if not answer.known:
        return
    why = "many servers refuse mail from an address without its name"
    remedy = f"let the owner of the address (your provider) set its reverse name to {facts.fqdn}"
    if not answer.records:
        yield Finding("fail", "reverse", f"{address} has no name", why, remedy)
    elif facts.fqdn.lower() in answer.records:
        yield Finding("ok", "reverse", f"{address} is {facts.fqdn}, both ways")
    else:
        yield Finding("fail", "reverse", f"{address} is {', '.join(answer.records)}, not {facts.fqdn}", why, remedy)


def exchangers(facts: Facts) -> Iterator[Finding]:
    """Mail for each hosted domain is sent here."""
    for domain, answer in _each(facts, "MX"):
        hosts = [record.split()[-1] for record in answer.records]
        here = [name for name in hosts if _is_here(name, facts)]
        add = f"add: {domain}. MX 10 {facts.fqdn}."
        if here:
            yield Finding("ok", "mx", f"mail for {domain} comes to {', '.join(here)}")
        elif hosts == ["."]:
            yield Finding("fail", "mx", f"{domain} says that it takes no mail (RFC 7505)", remedy=add)
        elif hosts:
            why = "mail does not come here, unless that host forwards it"
            yield Finding("fail", "mx", f"mail for {domain} goes to {', '.join(hosts)}", why, add)
        else:
            why = "mail comes only if the domain itself has this server's address"
            yield Finding("fail", "mx", f"{domain} has no MX record", why, add)


def _is_here(name: str, facts: Facts) -> bool:
    found = facts.names.ask(name, "A").records + facts.names.ask(name, "AAAA").records
    return name == facts.fqdn.lower() or bool(set(found) & set(facts.addresses))


def spf(facts: Facts) -> Iterator[Finding]:
    """This host may send mail of each hosted domain."""
    relay = facts.settings.get("DEFAULT_RELAY_HOST") or facts.settings.get("RELAY_HOST")
    for domain, answer in _each(facts, "TXT"):
        if not any(record.lower().partition(" ")[0] == "v=spf1" for record in answer.records):
            remedy = f'add: {domain}. TXT "v=spf1 mx -all"'
            yield Finding("warn", "spf", f"{domain} has no record", "large providers refuse mail without", remedy)
            continue
        if domain not in facts.names.spf:
            continue  # the server's own address is not known, which is told elsewhere
        result = facts.names.spf[domain]
        reason = f" ({result.reason})" if result.reason else ""
        if relay:
            yield Finding(
                "warn", "spf", f"cannot tell for {domain}", f"mail leaves through {relay}", "let it be included"
            )
        elif result.result == "pass":
            yield Finding("ok", "spf", f"{domain} lets this server send")
        elif result.result == "unknown":
            yield Finding("warn", "spf", f"cannot tell for {domain}{reason}")
        elif result.result == "neutral":
            yield Finding(
                "warn", "spf", f"{domain} does not say whether this server may send", remedy="add `mx`, end with -all"
            )
        else:
            what = f"{domain} does not let this server send: {result.result}{reason}"
            yield Finding(
                "fail", "spf", what, "receivers refuse its mail", "add `mx` or this server's address to the record"
            )


def dkim(facts: Facts) -> Iterator[Finding]:
    """DNS has the public half of each key that signs."""
    signing = facts.on("ENABLE_OPENDKIM") or facts.on("ENABLE_RSPAMD")
    if signing:
        signed = {key.domain for key in facts.keys}
        for domain in (name for name in facts.domains if name not in signed):
            why = "large providers refuse unsigned mail"
            if domain in facts.domains_with_keys:
                yield Finding("warn", "dkim", f"the key of {domain} exists but is not in use", why, "run: dmsctl apply")
                continue
            yield Finding("warn", "dkim", f"{domain} has no key", why, f"setup config dkim domain {domain}")
    for key in facts.keys:
        if key.problem:
            yield Finding(
                "fail", "dkim", key.problem, f"{key.signer} cannot sign mail of {key.domain}", "make a new one"
            )
        elif _alive(facts):
            yield from _published(key, facts)


def _published(key: Key, facts: Facts) -> Iterator[Finding]:
    name = f"{key.selector}._domainkey.{key.domain}"
    answer = facts.names.ask(name, "TXT")
    if not answer.known:
        return
    records = [tags(record) for record in answer.records]
    values = [record["p"] for record in records if "p" in record]
    broken = "receivers take its signatures for forged"
    publish = f"publish the text that was made with the key of {key.signer}"
    if not values:
        why = "receivers cannot check its signatures"
        yield Finding("fail", "dkim", f"{name} has no record", why, publish)
    elif key.public not in values:
        what = f"{name} is revoked" if values == [""] else f"{name} is not the half of the key that signs"
        yield Finding("fail", "dkim", what, broken, publish)
    elif any("y" in record.get("t", "").split(":") for record in records):
        why = "receivers treat signed mail like unsigned"
        yield Finding("warn", "dkim", f"{name} is marked as a test", why, "take t=y out of the record")
    else:
        yield Finding("ok", "dkim", f"{name} is the public half of {key.signer}'s key")


def dmarc(facts: Facts) -> Iterator[Finding]:
    """Each hosted domain says what to do with mail that pretends to be from it."""
    for domain in facts.domains if _alive(facts) else ():
        answers = [facts.names.ask(name, "TXT") for name in dmarc_names(domain)]
        if not all(answer.known for answer in answers):
            continue
        policies = [found for found in map(_policies, answers) if found]
        if not policies:
            remedy = f'add: _dmarc.{domain}. TXT "v=DMARC1; p=quarantine; rua=mailto:postmaster@{domain}"'
            yield Finding("warn", "dmarc", f"{domain} has no record", "large providers refuse mail without", remedy)
        elif len(policies[0]) > 1:
            what = f"{domain} has {len(policies[0])} records"
            yield Finding("fail", "dmarc", what, "receivers then use none (RFC 7489)", "leave one")
        else:
            yield Finding("ok", "dmarc", f"{domain} has the policy {policies[0][0]}")


def _policies(answer: Answer) -> list[str]:
    records = [tags(record) for record in answer.records]
    return [record.get("p", "none") for record in records if record.get("v", "").upper() == "DMARC1"]


def _each(facts: Facts, kind: str) -> Iterator[tuple[str, Answer]]:
    """Yield each hosted domain with the answer to a question about it, where there is one."""
    for domain in facts.domains if _alive(facts) else ():
        answer = facts.names.ask(domain, kind)
        if answer.known:
            yield domain, answer


def _alive(facts: Facts) -> bool:
    return any(answer.known for answer in facts.names.answers.values())


CHECKS: Final[tuple[Callable[[Facts], Iterator[Finding]], ...]] = (
    resolver, host, exchangers, spf, dkim, dmarc,
)  # fmt: skip
