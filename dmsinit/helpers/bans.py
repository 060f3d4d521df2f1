"""Whether Fail2ban answers, and whether the kernel holds the bans that it lists: the health of services/fail2ban.toml.

    python3 -I -m dmsinit.helpers.bans SOCKET             it answers
    python3 -I -m dmsinit.helpers.bans SOCKET firewall    and nftables, or iptables by it, has what it has banned

Whoever flushes the ruleset (`nft flush ruleset`) takes all bans away, and Fail2ban does not notice: it goes on listing
them. Jails with lost bans are started again, which sets them anew. Bans of jails whose actions use no firewall of the
kernel are not looked for. What cannot be set is reported once.

exit: 0 well, 1 no answer, 69 bans were lost (the last line of the output says which). STATE has how many bans there
are, which the kernel does not have, and how many were set again since the container started.
"""

import io
import ipaddress
import json
import os
import pickle
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

STATE: Final = "/run/dmsinit/bans"
"""JSON: {"banned": 3, "missing": ["192.0.2.7"], "restored": 0}."""
LOST: Final = 69
"""The exit code (EX_UNAVAILABLE of sysexits.h) of a check that has an answer, and a bad one."""

SOCKET: Final = "/var/run/fail2ban/fail2ban.sock"
"""Where Fail2ban listens, unless its configuration says otherwise."""

_END: Final = b"<F2B_END_COMMAND>"
_REST_SECONDS: Final = 4.0
"""A ban is listed before its action has run, and after a start one is set after the other. What has been missing for
this time, while no other was set, is lost."""
_PATIENCE_SECONDS: Final = 12.0
"""How long bans may be set meanwhile; twice this time is within the timeout of the check."""
_PAUSE_SECONDS: Final = 0.5
_FIREWALL: Final = re.compile(r"\b(?:nft|ip6?tables)\b")
_NETWORK: Final = re.compile(r"(?<![\w.:/-])([0-9a-fA-F:.]{2,45}(?:/\d{1,3})?)(?:-([0-9a-fA-F:.]{2,45}))?(?![\w.:/-])")

Command = Callable[..., Any]


class Ruleset:
    """The addresses that a ruleset (`nft list ruleset`) names, alone or in networks and ranges."""

    def __init__(self, text: str) -> None:
        self._alone: set[str] = set()
        self._ranges: list[tuple[int, int, int]] = []
        for first, last in _NETWORK.findall(text):
            if not last and "/" not in first:
                self._alone.add(first)
            try:
                network = ipaddress.ip_network(first, strict=False)
                end = ipaddress.ip_address(last) if last else network[-1]
            except ValueError:
                continue
            if last or network.num_addresses > 1:
                self._ranges.append((network.version, int(network[0]), int(end)))

    def names(self, address: str) -> bool:
        """Return whether it names `address`, an address or network, alone or in a larger one."""
        if address in self._alone:
            return True
        wanted = ipaddress.ip_network(address, strict=False)
        if wanted.num_addresses == 1 and str(wanted[0]) in self._alone:
            return True
        first, last = int(wanted[0]), int(wanted[-1])
        return any(version == wanted.version and low <= first and last <= high for version, low, high in self._ranges)


def ruleset() -> Ruleset | None:
    """Return what the kernel has; None when that cannot be read. Raises OSError when nft(8) cannot be started."""
    done = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=False)
    return None if done.returncode else Ruleset(done.stdout)


class _Plain(pickle.Unpickler):
    """Reads an answer of Fail2ban: strings and containers, and no objects."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("builtins", "str"):
            return str  # what an address is sent as
        raise pickle.UnpicklingError(f"{module}.{name}")


def client(path: str) -> Command:
    """Return a function that gives Fail2ban's server one command and returns its answer; None when it refuses it."""

    def ask(*words: str) -> Any:
        with socket.socket(socket.AF_UNIX) as server:
            server.connect(path)
            server.sendall(pickle.dumps(list(words), 2) + _END)
            answer = b""
            while _END not in answer:
                part = server.recv(65536)
                if not part:
                    raise ConnectionError("it closed the connection")
                answer += part
        code, value = _Plain(io.BytesIO(answer)).load()
        return None if code else value

    return ask


def lost(ask: Command, kernel: Callable[[], Ruleset | None] = ruleset) -> tuple[int, dict[str, list[str]]]:
    """Return how many bans there are, and those that the kernel does not have, by jail."""
    banned = {jail: list(map(str, found)) for entry in ask("banned") or () for jail, found in entry.items() if found}
    total = sum(map(len, banned.values()))
    held = kernel() if banned else None
    if held is None:
        return total, {}
    missing = {jail: [one for one in found if not _holds(held, one)] for jail, found in banned.items()}
    return total, {jail: found for jail, found in missing.items() if found and _uses_firewall(ask, jail)}


def _holds(held: Ruleset, address: str) -> bool:
    try:
        return held.names(address)
    except ValueError:
        return True  # a jail can ban what is no address (a user's name), by an action that knows what to do


def _uses_firewall(ask: Command, jail: str) -> bool:
    actions = ask("get", jail, "actions") or ()
    return any(_FIREWALL.search(str(ask("get", jail, "action", name, "actionban"))) for name in actions)


def _all(found: Mapping[str, Iterable[str]]) -> set[str]:
    return {f"{jail} {address}" for jail, addresses in found.items() for address in addresses}


def watch(ask: Command, state: str = STATE) -> str:
    """Look for lost bans, and set them again; return what to tell of it, "" when there is nothing new."""
    before = _read(state)
    known = set(before["missing"])
    banned, missing = lost(ask)
    at_work = False
    if _all(missing) - known:
        banned, missing, at_work = _at_rest(ask)
    new = set() if at_work else _all(missing) - known
    left = _all(missing)
    if new:
        for jail in {line.partition(" ")[0] for line in new}:
            restart = ["fail2ban-client", "restart", jail]
            subprocess.run(restart, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)
        banned, missing, at_work = _at_rest(ask)
        left = _all(missing)
    missed = left & known if at_work else left
    restored = len(new - left)
    _write(state, {"banned": banned, "missing": sorted(missed), "restored": before["restored"] + restored})
    return _sentence(restored, sorted(missed & new)) if new else ""


def _at_rest(ask: Command) -> tuple[int, dict[str, list[str]], bool]:
    """Return what `lost` does when it has not changed for a while, and whether it still does after PATIENCE_SECONDS."""
    began = since = time.monotonic()
    banned, missing = lost(ask)
    while missing and (now := time.monotonic()) - since < _REST_SECONDS:
        if now - began > _PATIENCE_SECONDS:
            return banned, missing, True
        time.sleep(_PAUSE_SECONDS)
        last = missing
        banned, missing = lost(ask)
        since = since if missing == last else time.monotonic()
    return banned, missing, False


def _sentence(restored: int, left: list[str]) -> str:
    parts = []
    if restored:
        parts.append(f"the kernel had lost {restored} bans (somebody has flushed its rules), and they were set again")
    if left:
        shown = ", ".join(line.partition(" ")[2] for line in left[:3])
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        parts.append(f"the kernel has no rule for {shown}{more}, which Fail2ban lists as banned; see fail2ban.log")
    return "; ".join(parts)


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        found = {}
    return {"missing": found.get("missing", []), "restored": found.get("restored", 0)}


def _write(path: str, state: Mapping[str, Any]) -> None:
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump(state, file)
    os.rename(f"{path}.new", path)


def main() -> int:
    """Ask as the arguments say."""
    path, *rest = sys.argv[1:]
    ask = client(path)
    try:
        if ask("ping") != "pong":
            return 1
        told = watch(ask) if rest == ["firewall"] else ""
    except (OSError, pickle.UnpicklingError) as error:
        sys.stdout.write(f"error: cannot ask Fail2ban: {error}\n")
        return 1
    if told:
        sys.stdout.write(f"error: {told}\n")
    return LOST if told else 0


if __name__ == "__main__":
    sys.exit(main())
