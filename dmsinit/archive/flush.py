"""Services that run write what they hold into their files, as `[backup]` of services/NAME.toml says how."""

import socket
import subprocess
import time
from typing import BinaryIO, Final

import msgspec

from dmsinit.control.client import Unreachable, request
from dmsinit.plan import Backup

_ANSWER_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 0.05


def services() -> list[str]:
    """Have all services that run write what they hold; return what went wrong. Without a server there is nothing."""
    try:
        plan = request("GET", "/v1/plan/current")
    except Unreachable:
        return []
    if plan.status != 200:  # which there is not during the boot
        return []
    warnings: list[str] = []
    for service in plan.json()["services"]:
        if "backup" in service and service.get("enabled", True):
            warnings += one(service["name"], msgspec.convert(service["backup"], Backup))
    return warnings


def one(name: str, backup: Backup) -> list[str]:
    """Have one service write what it holds; return what went wrong."""
    found = [save_redis(backup.redis, backup.timeout_seconds)] if backup.redis else []
    if backup.command:
        found.append(_run(backup))
    remedy = "the backup has what it saved before"
    return [f"{name} did not save what it holds: {problem}; {remedy}" for problem in found if problem]


def _run(backup: Backup) -> str:
    program, *_ = backup.command
    try:
        done = subprocess.run(
            backup.command, stdin=subprocess.DEVNULL, capture_output=True, timeout=backup.timeout_seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return f"{program} does not end within {backup.timeout_seconds:g} s"
    except OSError as error:
        return f"cannot run {program}: {error.strerror}"
    said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
    return f"{program} ended with {done.returncode}{': ' + said if said else ''}" if done.returncode else ""


# Redis


def save_redis(address: str, timeout: float) -> str:
    """Have the Redis server at `address` write its file, within `timeout` seconds; return what went wrong.

    Where none listens there is nothing to save.
    """
    try:
        with _connected(address) as connection:
            return _save(connection, timeout)
    except (ConnectionRefusedError, FileNotFoundError):
        return ""
    except OSError as error:
        return str(error)


def _connected(address: str) -> socket.socket:
    """Return a connection to `inet:HOST:PORT`, or to `unix:PATH` or a path."""
    if address.startswith("inet:"):
        host, _, port = address.removeprefix("inet:").rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_SECONDS)
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(_ANSWER_SECONDS)
    try:
        connection.connect(address.removeprefix("unix:"))
    except OSError:
        connection.close()
        raise
    return connection


def _save(connection: socket.socket, timeout: float) -> str:
    with connection.makefile("rb") as answers:
        answer = _ask(connection, answers, b"BGSAVE SCHEDULE")
        if answer.startswith(b"-"):
            return answer[1:].decode("ascii", "replace")
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if b"rdb_bgsave_in_progress:0" in _ask(connection, answers, b"INFO persistence"):
                return ""
            time.sleep(_LOOK_SECONDS)
        return f"it is still saving after {timeout:g} s"


def _ask(connection: socket.socket, answers: BinaryIO, command: bytes) -> bytes:
    """Send an inline command and return its answer (Redis serialization protocol): a line, or a bulk string."""
    connection.sendall(command + b"\r\n")
    line = answers.readline().rstrip(b"\r\n")
    if line.startswith(b"$") and line != b"$-1":
        return answers.read(int(line[1:]) + 2)
    return line
