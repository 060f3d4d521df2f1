"""Does it answer? One function for each kind of probe, with one timeout around all of them.

`ask` is all that most need; `connect` and `read_line` are for other questions to a daemon. Kinds `process` and `notify`
are not asked here: the supervisor knows by itself whether a process lives and what it notified. A probe never resolves
names, starts no thread, and keeps no state.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from dmsinit.plan import Probe
from dmsinit.probes import _protocols
from dmsinit.probes._stream import (
    PEERS,
    REACH,
    CannotAsk,
    NoAnswer,
    ProbeFailed,
    Reach,
    connect,
    read_line,
    split_inet,
)

__all__ = ["CannotAsk", "NoAnswer", "ProbeFailed", "Reach", "RunCommand", "ask", "connect", "read_line", "split_inet"]

RunCommand = Callable[[Sequence[str]], Awaitable[int]]
"""Runs a command and returns its exit code; the supervisor gives it, since it owns all children."""

WRONG_ANSWER: Final = 69
"""The exit code (EX_UNAVAILABLE of sysexits.h) of a command that got an answer, and a bad one: no work excuses that."""

_LOOPBACK: Final = ("127.0.0.1", "[::1]", "localhost")
_KINDS: Final[Mapping[str, Callable[[Probe], Awaitable[None]]]] = {
    "tcp": _protocols.tcp,
    "unix": _protocols.unix,
    "smtp": _protocols.smtp,
    "lmtp": _protocols.lmtp,
    "imap": _protocols.imap,
    "milter": _protocols.milter,
    "clamd": _protocols.clamd,
    "redis": _protocols.redis,
    "http": _protocols.http,
}


async def ask(probe: Probe, run: RunCommand, reach: Reach | None = None) -> Sequence[int]:
    """Ask once; return when the answer is right, raise ProbeFailed otherwise, at the latest after its timeout.

    `reach` connects to sockets on file systems that may hang; without it they cannot be asked.

    What is returned are the pids of the processes that listen where it was asked, as far as the kernel tells: at Unix
    sockets, and 0 for a process of another container.

    It is a NoAnswer when nothing came, which a daemon that is full has in common with one that hangs; a command may
    have ended for any reason, unless it ends with WRONG_ANSWER.

    Raises CannotAsk when we ourselves lack what it takes to ask.
    """
    peers: list[int] = []
    token, reaching = PEERS.set(peers), REACH.set(reach)
    try:
        async with asyncio.timeout(probe.timeout_seconds):
            if probe.kind == "file":
                if await run(("test", "-e", probe.address)):  # a child looks: the path may be on a mount that hangs
                    raise ProbeFailed(f"{probe.address} does not exist")
            elif probe.kind == "command":
                code = await run(probe.command)
                if code == WRONG_ANSWER:
                    raise ProbeFailed(f"{_asked(probe)} found something wrong")
                if code != 0:
                    raise NoAnswer(f"{_asked(probe)} ended with exit code {code}")
            else:
                await _KINDS[probe.kind](probe)
    except TimeoutError:
        raise NoAnswer(_no_answer(probe)) from None
    except OSError as error:
        raise CannotAsk(f"cannot ask {_asked(probe)}: {error.strerror or error}") from None
    finally:
        PEERS.reset(token)
        REACH.reset(reaching)
    return peers


def _no_answer(probe: Probe) -> str:
    """Return the sentence for a probe whose time is up."""
    limit = f"within {probe.timeout_seconds:g} s"
    if probe.kind == "command":
        return f"{_asked(probe)} did not end {limit}"
    what = "greeting" if probe.kind in ("smtp", "lmtp", "imap") else "answer"
    return f"no {what} on {_asked(probe)} {limit}"


def _asked(probe: Probe) -> str:
    """Return what is asked, for people: a port, a path, a URL, or the program that asks; never the text of a script."""
    if probe.kind == "command":
        return f"its check ({os.path.basename(probe.command[0])})"
    return " or ".join(map(_place, probe.address.split()))


def _place(address: str) -> str:
    kind, _, rest = address.partition(":")
    if kind == "inet":
        host, _, port = rest.rpartition(":")
        return f"port {port}" if host in _LOOPBACK else f"port {port} of {host}"
    return rest if kind == "unix" else address
