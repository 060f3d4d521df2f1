"""Values that Postfix reads when the first message comes, and then defers it: restrictions, transports, next hops.

No daemon looks at them when it starts, so they are checked here, by what postconf(5) says of their form.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from dmsinit.base import ciphers
from dmsinit.base.next_hop import next_hop
from dmsinit.problem import Problem
from dmsinit.render.check.findings import Line
from dmsinit.render.check.master_cf import Entry
from dmsinit.render.check.mini_master import DAEMONS

_RESTRICTIONS: Final = re.compile(r"smtpd_(?:client|helo|sender|relay|recipient|data|end_of_data|etrn)_restrictions")
_CLASSES: Final = "smtpd_restriction_classes"
_TAKES_ARGUMENT: Final = re.compile(r"check_\w+|reject_(?:rbl|rhsbl)_\w+|permit_(?:dnswl|rhswl)_\w+|sleep")
_TRANSPORTS: Final = frozenset(
    {"content_filter", "default_transport", "local_transport", "relay_transport", "virtual_transport",
     "mailbox_transport", "fallback_transport", "error_delivery_slot_transport"}
)  # fmt: skip
_NEXT_HOPS: Final = frozenset({"relayhost", "smtp_fallback_relay", "fallback_relay", "lmtp_fallback_relay"})
_DIRECTORIES: Final = frozenset(
    {"queue_directory", "data_directory", "command_directory", "daemon_directory", "meta_directory", "shlib_directory",
     "config_directory"}
)  # fmt: skip
"""A check gives the daemons others in their place."""
_CIPHER_LIST: Final = re.compile(r"tls_(?:high|medium|low|export|null)_cipherlist")
_FORMS: Final = (
    (r"(?:smtp|lmtp)_bind_address6?", r"[0-9A-Fa-f.:\[\]]+", "an IP address"),
    (r"\w+_tls_(?:mandatory_)?ciphers", r"high|medium|low|export|null", "high, medium, low, export or null"),
    (r"\w+_tls_(?:mandatory_)?protocols", r"[!<>=]*(?:SSLv[23]|TLSv1(?:\.[123])?|[0-9A-Fa-f]{2,4}|0x[0-9A-Fa-f]{4})",
     "a list such as >=TLSv1.2"),
    (r"\w+_sasl_(?:tls_)?security_options", "no(?:plaintext|active|dictionary|anonymous)|mutual_auth|forward_secrecy",
     "a list of noplaintext, noactive, nodictionary, noanonymous, mutual_auth and forward_secrecy"),
)  # fmt: skip
"""Parameters that daemons read when the first client or message comes; the form of each word; that in words."""
_MILTERS: Final = frozenset({"smtpd_milters", "non_smtpd_milters"})
_ENDPOINT: Final = re.compile(r"(?:inet6?|unix|local):\S+")
_WORD: Final = re.compile(r"\{[^{}]*\}|[^\s,]+")
_MENTION: Final = re.compile(r"\$(?:\{([\w-]+)\}|\(([\w-]+)\)|([\w-]+))")
_DEPTH: Final = 8


def check(
    lines: Iterable[Line],
    settings: Mapping[str, str],
    entries: Iterable[Entry],
    read: Callable[[str], bytes],
    is_directory: Callable[[str], bool] = os.path.isdir,
) -> list[Problem]:
    """Return problems of the users' `lines`, given all `settings` of main.cf and the services of master.cf.

    `read` returns the bytes of a file of the system; `is_directory` returns whether a directory is there.
    """
    services, entries = read("/etc/services"), list(entries)
    transports = {entry.name for entry in entries if entry.kind == "unix"}
    keywords = read(f"{DAEMONS}/smtpd")
    lists = _restriction_lists(settings, entries)
    classes = set(_words(settings.get(_CLASSES, "")))
    found = []
    for line in lines:
        value = expanded(line.value, settings)
        causes: Iterable[str] = ()
        if _CIPHER_LIST.fullmatch(line.name):
            causes = filter(None, [ciphers.problem(value)])
        elif any(re.fullmatch(names, line.name) for names, _, _ in _FORMS):
            causes = _form(line.name, value)
        elif line.name in _TRANSPORTS:
            causes = _transport(value, transports)
        elif line.name in _NEXT_HOPS:
            causes = filter(None, (next_hop(word, services) for word in _words(value)))
        elif line.name in _DIRECTORIES:
            causes = [] if is_directory(value) else [f"there is no directory {value}, so Postfix would not start"]
        elif line.name in _MILTERS:
            causes = _milters(value)
        elif line.name in lists or line.name in classes:
            causes = _restrictions(value, keywords, classes)
        found += [Problem(line.where, f"{line.name}: {cause}", "correct it, see postconf(5)") for cause in causes]
    return found


def expanded(value: str, settings: Mapping[str, str]) -> str:
    """Return `value` with $name, ${name} and $(name) replaced, as far as main.cf sets them."""
    for _ in range(_DEPTH):
        text = _MENTION.sub(lambda match: settings.get(match.group(1) or match.group(2) or match.group(3), ""), value)
        if text == value:
            break
        value = text
    return value


def _form(name: str, value: str) -> Iterator[str]:
    for names, form, words in _FORMS:
        if re.fullmatch(names, name):
            for word in re.split(r"[\s,:]+" if "protocols" in name else r"[\s,]+", value):
                if word and not re.fullmatch(form, word, re.IGNORECASE):
                    yield f"{word} is not {words}, so mail would be deferred or go without TLS"


def _words(value: str) -> list[str]:
    return _WORD.findall(value)


def _transport(value: str, transports: set[str]) -> Iterator[str]:
    name = value.partition(":")[0].strip()
    if name and name not in transports:
        yield f"master.cf has no transport {name}, so mail for it would be deferred"


def _milters(value: str) -> Iterator[str]:
    for word in _words(value):
        inner = word.strip("{}").split(",")[0].strip()
        if not _ENDPOINT.fullmatch(inner.split()[0] if inner else ""):
            yield f"{inner or word} is not a milter; write inet:host:port or unix:path"


def _restriction_lists(settings: Mapping[str, str], entries: Iterable[Entry]) -> set[str]:
    """Return the names of all parameters that end up in a list of restrictions."""
    values = [(name, value) for name, value in settings.items() if _RESTRICTIONS.fullmatch(name)]
    for entry in entries:
        values += [(name, value) for name, value in entry.options.items() if _RESTRICTIONS.fullmatch(name)]
    found = {name for name, _ in values}
    pending = [value for _, value in values]
    while pending:
        for word in _words(pending.pop()):
            match = _MENTION.fullmatch(word)
            name = (match.group(1) or match.group(2) or match.group(3)) if match else ""
            if name in settings and name not in found:
                found.add(name)
                pending.append(settings[name])
    return found


def _restrictions(value: str, keywords: bytes, classes: set[str]) -> Iterator[str]:
    """Yield what is no restriction; smtpd(8) holds the names of all that there are (`keywords`)."""
    words = iter(_words(value))
    for word in words:
        name = word.lower()
        if _TAKES_ARGUMENT.fullmatch(name) and _is_keyword(name, keywords):
            if next(words, None) is None:
                yield f"{word} needs an argument, so mail would be deferred"
        elif word not in classes and not re.search(r"[:${]", word) and not _is_keyword(name, keywords):
            yield f"{word} is not a restriction that Postfix knows, so mail would be deferred"


def _is_keyword(name: str, keywords: bytes) -> bool:
    return name.encode("utf-8", "replace") + b"\0" in keywords
