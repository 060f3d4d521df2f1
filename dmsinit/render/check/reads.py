"""Which daemons of Postfix read which parameters: a daemon's program holds the names of those that it asks for.

A configuration is tried with the daemons that it concerns only. What a user has written concerns a daemon that reads
one of its parameters, or reads one whose value mentions it (`$name`), in main.cf or by -o in master.cf.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

from dmsinit.render.check.master_cf import Entry
from dmsinit.render.check.mini_master import DAEMONS, NOT_TRIED

LIBRARIES: Final = tuple(f"/usr/lib/postfix/libpostfix-{name}.so" for name in ("global", "master", "tls", "util"))
_MENTION: Final = re.compile(r"\$[{(]?([\w-]+)")

PER_TRANSPORT: Final = (
    "_initial_destination_concurrency", "_destination_concurrency_limit", "_destination_recipient_limit",
    "_destination_concurrency_positive_feedback", "_destination_concurrency_negative_feedback",
    "_destination_concurrency_failed_cohort_limit", "_destination_rate_delay", "_transport_rate_delay",
    "_recipient_limit", "_extra_recipient_limit", "_recipient_refill_limit", "_recipient_refill_delay",
    "_delivery_slot_cost", "_delivery_slot_loan", "_delivery_slot_discount", "_minimum_delivery_slots",
)  # fmt: skip
"""Ends of names that the queue manager reads for each transport, when its first message comes (qmgr(8))."""
PROXY_PROTOCOL: Final = "smtpd_upstream_proxy_protocol"
_DELIVERY_AGENTS: Final = ("discard", "error", "lmtp", "local", "pipe", "smtp", "virtual")
_WITHOUT_PREFIX: Final = ("_initial_destination_concurrency",)


def touched(names: Iterable[str], values: Mapping[str, str]) -> set[str]:
    """Return `names` and all parameters in `values` that mention one of them, directly or not."""
    mentions = {name: set(_MENTION.findall(value)) for name, value in values.items() if "$" in value}
    found = set(names)
    while more := {name for name, mentioned in mentions.items() if name not in found and mentioned & found}:
        found |= more
    return found


def concerned(
    entries: Iterable[Entry], names: set[str], edited: set[str], program: Callable[[str], bytes]
) -> list[Entry]:
    """Return the services to try, each kind once: those that read one of `names`, or whose own line was `edited`.

    `edited` holds `name/kind`; `program` returns the bytes of a daemon or library.
    """
    entries = [entry for entry in entries if entry.command not in NOT_TRIED]
    programs = {entry.command: program(f"{DAEMONS}/{entry.command}") for entry in entries}
    readers = {command: {name for name in names if _holds(data, name)} for command, data in programs.items()}
    # What no daemon names may be read by a library that all of them share.
    others = names - set().union(*readers.values()) if readers else set()
    libraries = b"".join(program(path) for path in LIBRARIES) if others else b""
    shared = {name for name in others if _holds(libraries, name)}
    found: dict[tuple[object, ...], Entry] = {}
    for entry in entries:
        mentioned = set(_MENTION.findall(" ".join(entry.arguments)))
        if shared or readers[entry.command] or mentioned & names or f"{entry.name}/{entry.kind}" in edited:
            found.setdefault(_likeness(entry), entry)
    return list(found.values())


def _holds(program: bytes, name: str) -> bool:
    return name.encode("utf-8", "surrogateescape") + b"\0" in program


def _likeness(entry: Entry) -> tuple[object, ...]:
    """Return what two services that would say the same have in common."""
    pairs = [f"{name}={value}" for name, value in entry.options.items() if name != "syslog_name"]
    return (entry.command, entry.process_limit, entry.unprivileged, *sorted(pairs))


def of_transports(entries: Iterable[Entry], values: Mapping[str, str]) -> list[Entry]:
    """Return one more daemon for each value that is read when the first message comes, given as the default one.

    The queue manager and local(8) read the defaults at once, with the same limits.
    """
    entries = list(entries)
    agents = {entry.name for entry in entries if entry.command in _DELIVERY_AGENTS}
    timed = {f"{entry.name}_time_limit" for entry in entries if entry.command in ("pipe", "spawn")}
    found = []
    for name, value in values.items():
        suffix = next((suffix for suffix in PER_TRANSPORT if name.removesuffix(suffix) in agents), "")
        if suffix:
            found += _with(
                entries, "qmgr", name, suffix[1:] if suffix in _WITHOUT_PREFIX else f"default{suffix}", value
            )
        elif name in timed:
            found += _with(entries, "local", name, "command_time_limit", value)
    return found


def behind_proxies(wanted: Iterable[Entry], values: Mapping[str, str]) -> list[Entry]:
    """Return one more smtpd(8) for each whose clients a proxy announces: the stand-alone mode does not read how."""
    return [
        replace(entry, behind_proxy=True)
        for entry in wanted
        if entry.command == "smtpd" and {**values, **entry.options}.get(PROXY_PROTOCOL)
    ]


def _with(entries: list[Entry], command: str, name: str, default: str, value: str) -> list[Entry]:
    reader = next((entry for entry in entries if entry.command == command), None)
    if reader is None:
        return []
    return [replace(reader, arguments=(*reader.arguments, "-o", f"{default}={value}"), instead=(default, name))]
