"""`setup fail2ban …`: who is banned, ban and unban by hand (fail2ban-client(1) in the running container)."""

import ast
import ipaddress
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dmsinit.cli.setup.debug import show_file
from dmsinit.cli.setup.kernel_bans import kernel_bans
from dmsinit.cli.setup.session import Refused, Session
from dmsinit.cli.setup.verb import Verb

LOG: Final = Path("/var/log/mail/fail2ban.log")
CUSTOM: Final = "custom"
"""The jail of bans by hand."""

USAGE: Final = (
    "Usage: setup fail2ban                   show who is banned\n"
    "       setup fail2ban ban|unban ADDRESS an IP address or a network such as 192.0.2.0/24\n"
    "       setup fail2ban status|log|help   show the jails, the log, this text\n"
)


def fail2ban(session: Session, arguments: list[str]) -> int:
    """Carry out one command; only the log is there without a running Fail2ban."""
    command, *rest = arguments or ["list"]
    if command in ("help", "-h", "--help"):
        print(USAGE, end="")
        return 0
    if command == "log":
        return show_file(LOG)
    if command not in _COMMANDS:
        print(USAGE, end="")
        raise Refused(f"fail2ban has no command {command}")
    if command in ("ban", "unban") and not rest:
        hint = "" if command == "ban" else "; `setup fail2ban` lists who is banned"
        session.log.warn(f"an IP address is needed: setup fail2ban {command} 192.0.2.7{hint}")
        return 0
    _check_alive()
    return _COMMANDS[command](session, rest)


def _client(*arguments: str) -> tuple[int, str]:
    try:
        done = subprocess.run(["fail2ban-client", *arguments], capture_output=True, text=True, check=False)
    except OSError as error:
        raise Refused(f"cannot ask Fail2ban: fail2ban-client: {error.strerror}") from None
    return done.returncode, done.stdout.strip() or done.stderr.strip()


def _check_alive() -> None:
    code, _ = _client("ping")
    if code:
        raise Refused("Fail2ban does not run here; set ENABLE_FAIL2BAN=1, and see `dmsctl status fail2ban`")


def _banned() -> dict[str, list[str]]:
    """Return the banned addresses of each jail."""
    code, text = _client("banned")
    if code:
        raise Refused(f"Fail2ban does not say who is banned: {text}")
    found: list[dict[str, list[str]]] = ast.literal_eval(text or "[]")
    return {jail: addresses for entry in found for jail, addresses in entry.items()}


def _list(session: Session, _: Sequence[str]) -> int:
    banned = {jail: addresses for jail, addresses in _banned().items() if addresses}
    for jail, addresses in banned.items():
        print(f"Banned in {jail}: {' '.join(addresses)}")
    if not banned:
        session.log.info("nobody is banned")
    return 0


def _check_address(verb: str, address: str) -> None:
    try:
        ipaddress.ip_network(address, strict=False)
    except ValueError:
        raise Refused(
            f"cannot {verb} {address}: not an IP address or network; write for example 192.0.2.7 or 192.0.2.0/24"
        ) from None


def _ban(session: Session, addresses: Sequence[str]) -> int:
    _check_address("ban", addresses[0])
    code, text = _client("set", CUSTOM, "banip", addresses[0])
    if not code and text == "0" and addresses[0] in _banned().get(CUSTOM, []):
        session.log.info(f"{addresses[0]} is banned already")
        return 0
    if code or text == "0":
        reason = text if code else "fail2ban-jail.cf ignores this address (ignoreip)"
        raise Refused(f"cannot ban {addresses[0]}: {reason}")
    if not kernel_bans(addresses[0]):
        cause = "Fail2ban lists it, but the kernel has no rule for it, so nothing is blocked"
        raise Refused(f"cannot ban {addresses[0]}: {cause}; `setup fail2ban log` says why")
    print(f"Banned custom IP: {text}")
    return 0


def _unban(session: Session, addresses: Sequence[str]) -> int:
    _check_address("unban", addresses[0])
    results = {jail: _client("set", jail, "unbanip", addresses[0]) for jail in _banned()}
    freed = {jail: count for jail, (code, count) in results.items() if not code and count != "0"}
    for jail, count in freed.items():
        print(f"Unbanned IP from {jail}: {count}")
    if not freed:
        session.log.warn(f"{addresses[0]} is not banned; `setup fail2ban` lists who is")
    return 0


def _status(_: Session, __: Sequence[str]) -> int:
    print("\n\n".join(_client("status", jail)[1] for jail in _banned()))
    return 0


_COMMANDS: Final = {"list": _list, "ban": _ban, "unban": _unban, "status": _status}

VERBS = tuple(
    Verb(
        words,
        "[ban|unban ADDRESS | status | log]",
        summary,
        fail2ban,
        maximum=None,
        has_help=False,
        examples=("setup fail2ban", "setup fail2ban ban 192.0.2.0/24", "setup fail2ban unban 192.0.2.7"),
    )
    for words, summary in (
        (("fail2ban",), "show and change who is banned"),
        (("debug", "fail2ban"), "the same as `setup fail2ban`"),
    )
)
