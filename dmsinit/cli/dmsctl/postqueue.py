"""`dmsctl queue`: look at Postfix's queue and operate on it, by postqueue(1), postsuper(1) and postcat(1).

Needs no running dmsinit. Whatever is shown came from strangers, so that control characters never reach a terminal.
"""

import json
import re
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

from dmsinit.base import text

ALL: Final = "all"
_ID: Final = re.compile(
    r"[0-9A-F]{6,20}"  # short: microseconds and inode in hexadecimal
    r"|[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]{10,20}z[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-y]{1,20}"  # long: time z inode
)
"""Both kinds of queue ids (enable_long_queue_ids, postconf(5)); none spells ALL, which postsuper(1) takes for all."""
_POSTSUPER: Final = {"hold": "-h", "release": "-H", "delete": "-d", "requeue": "-r"}
_DONE: Final = {"hold": "put on hold", "release": "released", "delete": "deleted", "requeue": "queued again"}
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SHOWN_RECIPIENTS: Final = 10
_LOOKS_SECONDS: Final = (0.0, 0.1, 0.3)
"""Pauses before looking for a message: one that moves to another queue meanwhile is in no listing."""


class Refused(Exception):
    """It cannot be done; the message is for the person who asked."""


# Values


def parse_listing(output: str) -> list[dict[str, Any]]:
    """Return the messages of `postqueue -j`, oldest first; Refused when it is not what that prints."""
    try:
        messages = [json.loads(line) for line in output.splitlines() if line.strip()]
        return sorted(messages, key=lambda message: (message["arrival_time"], message["queue_id"]))
    except (ValueError, KeyError, TypeError):
        raise Refused("cannot understand what postqueue -j printed; look at it with: postqueue -p") from None


def table(messages: Sequence[dict[str, Any]], now: float) -> str:
    """Return a row for each recipient, the message's own columns in the first of them, and the sum."""
    if not messages:
        return "the queue is empty"
    rows: list[tuple[str, ...]] = [("ID", "QUEUE", "AGE", "SIZE", "SENDER", "RECIPIENT", "REASON")]
    for message in messages:
        rows += _rows(message, now)
    total = sum(message["message_size"] for message in messages)
    count = f"{len(messages)} message" + ("s" if len(messages) != 1 else "")
    return text.table(rows, right=(2, 3)) + f"\n{count}, {text.size(total)}"


def _rows(message: dict[str, Any], now: float) -> Iterator[tuple[str, ...]]:
    head: tuple[str, ...] = (
        message["queue_id"], message["queue_name"], text.duration(max(0, int(now - message["arrival_time"])) or 0.0),
        text.size(message["message_size"]), harmless(message["sender"] or "<>"),
    )  # fmt: skip
    recipients = message["recipients"]
    for one in recipients[:_SHOWN_RECIPIENTS]:
        yield (*head, harmless(one["address"]), harmless(one.get("delay_reason", "")))
        head = ("",) * 5
    if len(recipients) > _SHOWN_RECIPIENTS:
        yield (*head, f"… and {len(recipients) - _SHOWN_RECIPIENTS} more", "")


def harmless(foreign: str) -> str:
    """Return text with its control characters (all but tab and newline) written out: `\\x1b`."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", foreign)


def checked_ids(words: Iterable[str]) -> list[str]:
    """Return queue ids as written in the queue's listing (there with `*` or `!` behind); Refused on anything else."""
    ids = [word.rstrip("*!") for word in words]
    for one in ids:
        if not _ID.fullmatch(one):
            raise Refused(f"{one!r} is not a queue id; `dmsctl queue` lists them")
    return list(dict.fromkeys(ids))


# Commands


def listing() -> list[dict[str, Any]]:
    """Return what is in the queue."""
    return parse_listing(_run("postqueue", "-j"))


def flush(ids: Sequence[str]) -> None:
    """Have Postfix try to deliver at once: everything, or these messages."""
    if not ids or ids == [ALL]:
        _run("postqueue", "-f")
        return
    for one in _present(ids):
        _run("postqueue", "-i", one)


def operate(action: str, ids: Sequence[str]) -> int:
    """Hold, release, delete or requeue; return how many messages that was. Refused when one is not there."""
    if ids == [ALL]:
        printed = _run("postsuper", _POSTSUPER[action], "ALL", merged=True)
    else:
        words = "".join(f"{one}\n" for one in _present(ids))
        printed = _run("postsuper", _POSTSUPER[action], "-", stdin=words, merged=True)
    if action == "requeue":
        with suppress(Refused):  # without a running Postfix it happens when that starts
            _run("postkick", "public", "pickup", "W")  # which else looks once a minute
    counts = re.findall(r": (\d+) messages?\b", printed)
    return int(counts[-1]) if counts else 0


def outcome(action: str, count: int) -> str:
    """Return the result of `operate` in words."""
    return f"{count} message{'s' if count != 1 else ''} {_DONE[action]}"


def show(word: str, *, body: bool) -> str:
    """Return a message's headers, with its body if asked."""
    (one,) = _present([word])
    return _run("postcat", "-hbq" if body else "-hq", one)


def _present(words: Sequence[str]) -> list[str]:
    """Return the ids; Refused for those that are in no queue, because postsuper(1) passes over them in silence."""
    ids = checked_ids(words)
    missing = set(ids)
    for pause in _LOOKS_SECONDS:
        time.sleep(pause)
        missing -= {message["queue_id"] for message in listing()}
        if not missing:
            return ids
    absent = ", ".join(one for one in ids if one in missing)
    raise Refused(f"no message {absent} in the queue; it may have been delivered")


def _run(*command: str, stdin: str = "", merged: bool = False) -> str:
    try:
        done = subprocess.run(command, input=stdin.encode(), capture_output=True, check=False)
    except OSError as error:
        raise Refused(f"cannot run {command[0]}: {error.strerror}; run this in the image") from None
    errors = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode:
        cause = errors.splitlines()[-1] if errors else f"it ended with {done.returncode}"
        raise Refused(f"cannot do that by {command[0]}: {harmless(cause)}")
    output = done.stdout.decode("utf-8", "replace")
    return output + errors if merged else output


def now() -> float:
    """Return the time that ages are counted from."""
    return time.time()
