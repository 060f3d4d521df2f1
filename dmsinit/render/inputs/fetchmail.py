"""fetchmail.cf: one rc file for all servers, or one for each (FETCHMAIL_PARALLEL=1).

In fetchmail(1)'s own format lines mean nothing: an entry begins where the keyword `poll` (or `server`, its synonym)
stands, and ends where the next one begins. Keywords in comments, in quoted strings and as the value of `user`, `pass`,
`is` or `to` are none. What fetchmail thinks of the rest, it says itself (render/check).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from dmsinit.render.inputs.texts import Findings, read
from dmsinit.render.paths import Root
from dmsinit.render.stage import Origin, Stage
from dmsinit.settings import Settings, Severe

NAME: Final = "fetchmail.cf"
RC: Final = "/etc/fetchmailrc"
_RC_OF_ENTRY: Final = "/etc/fetchmailrc.d/fetchmail-{}.rc"

_POLLED: Final = ("poll", "server")
_BEGINNINGS: Final = (*_POLLED, "skip", "defaults")
_BEFORE_A_NAME: Final = ("user", "username", "pass", "password", "is", "to")

_GAP: Final = re.compile(r"[\s,;:=]+")
_TOKENS: Final = (
    re.compile(r"#.*"),
    re.compile(r"\"[^\"]*\"|'[^']*'"),
    re.compile(r"[^\s,;:=]+"),
)
"""A comment, a quoted string (there are no escaped quotes), a word; the longest counts, as in fetchmail's own lexer."""


@dataclass(frozen=True)
class Servers:
    """What fetchmail.cf says: the text, what holds for all servers, and each server that is polled."""

    text: str = ""
    common: str = ""
    entries: tuple[str, ...] = ()


def split(text: str) -> Servers:
    """Return the entries of an rc file; those that are skipped are left out, defaults hold for all."""
    starts = [*_beginnings(text), (len(text), "")]
    parts = [(word, text[at:end]) for (at, word), (end, _) in pairwise(starts)]
    common = text[: starts[0][0]] + "".join(part for word, part in parts if word == "defaults")
    return Servers(text, common, tuple(part for word, part in parts if word in _POLLED))


def _beginnings(text: str) -> Iterator[tuple[int, str]]:
    """Yield where something begins that is not about the server before it, and with which word."""
    before = ""
    for at, token in _tokens(text):
        if token.startswith("#"):
            continue
        if before in _BEFORE_A_NAME:
            token = ""
        elif token in _BEGINNINGS:
            yield at, token
        before = token


def _tokens(text: str) -> Iterator[tuple[int, str]]:
    at = 0
    while at < len(text):
        if gap := _GAP.match(text, at):
            at = gap.end()
            continue
        end = max(match.end() for pattern in _TOKENS if (match := pattern.match(text, at)))
        yield at, text[at:end]
        at = end


def servers_of(settings: Settings, root: Root, findings: Findings) -> Servers:
    """Return what fetchmail.cf of the config volume says, when mail is to be fetched."""
    if not settings.enable_fetchmail:
        return Servers()
    servers = split(read(root, NAME, findings) or "")
    if not servers.entries:
        cause = f"there is nothing to fetch: {NAME} polls no server, so fetchmail is not started"
        remedy = f"write an entry that begins with poll into {NAME}, or set ENABLE_FETCHMAIL=0"
        findings.warnings.append(Severe("ENABLE_FETCHMAIL", cause, remedy))
    return servers


def apply(stage: Stage, servers: Servers, *, parallel: bool) -> None:
    """Append the servers to the staged general part; in parallel each also gets a file of its own."""
    general = stage.files.get(RC)
    if general is None:
        return
    head = general.content
    if parallel:
        for number, entry in enumerate(servers.entries, 1):
            text = servers.common + entry
            path = _RC_OF_ENTRY.format(number)
            stage.add(path, head + _bytes(text), owner=general.owner, group=general.group, mode=general.mode)
    general.content = head + _bytes(servers.text)
    general.origin = Origin(head.count(b"\n") + 1, NAME)


def _bytes(text: str) -> bytes:
    """Return what stood in the user's file, whatever its encoding."""
    return text.encode("utf-8", "surrogateescape")
