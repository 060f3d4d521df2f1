"""The rim: asks the control API, the ports, the files and DNS, all at once, and returns Facts."""

import asyncio
import ctypes
import math
import os
import re
import shlex
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Final

import dmsinit
from dmsinit.base import mounts
from dmsinit.base.literal import clean
from dmsinit.base.server_name import NoDomain, full_name
from dmsinit.control.client import Unreachable, request
from dmsinit.doctor import keys, names, ports, secrets
from dmsinit.doctor.facts import Facts, Space
from dmsinit.helpers import bans
from dmsinit.problem import ProblemsFound
from dmsinit.volume import read, reliance

CONFIG: Final = "/tmp/docker-mailserver"  # noqa: S108 - the contract's mount point
VOLUMES: Final = (CONFIG, "/var/mail", "/var/mail-state", "/var/log/mail")
_SETTINGS: Final = Path("/etc/dms-settings")
_VHOSTS: Final = Path("/etc/postfix/vhost")
_TIMEX_BYTES: Final = 512
"""Room for struct timex (adjtimex(2)) on any architecture; all zero, it asks and sets nothing."""
_TIME_ERROR: Final = 5


async def gather() -> Facts:
    """Return everything the checks look at."""
    status, unreachable = _status()
    settings = _settings()
    fqdn = str(status["fqdn"]) if status else _full_name()
    problems, domains = _volume()
    unread = _unread(settings, fqdn)
    found = keys.keys(settings)
    (listening, certificates), answers = await asyncio.gather(
        ports.look(settings), names.look_up(fqdn, domains, [(key.domain, key.selector) for key in found])
    )
    return Facts(
        now=time.time(), fqdn=fqdn, settings=settings, status=status, unreachable=unreachable, ports=listening,
        certificates=certificates, volume_problems=problems, domains=domains, unreachable_addresses=unread,
        spaces=_spaces(), outdated_mounts=tuple(mounts.outdated(_mounts())),
        memory_limit=_memory_limit() if status else math.inf, mynetworks=_postconf("mynetworks"),
        relay_restrictions=_postconf("smtpd_relay_restrictions", "smtpd_recipient_restrictions") or "",
        clock_synchronised=_clock(), built=os.stat(dmsinit.__file__).st_mtime, keys=found, names=answers,
        domains_with_keys=keys.made(Path(CONFIG)), exposed=tuple(secrets.exposed(Path(CONFIG))),
        bans=_bans(settings) if status else None,
    )  # fmt: skip


def _bans(settings: Mapping[str, str]) -> tuple[int, tuple[str, ...]] | None:
    """Return how many bans there are, and those that the kernel does not have."""
    if settings.get("ENABLE_FAIL2BAN") != "1":
        return None
    try:
        banned, missing = bans.lost(bans.client(bans.SOCKET))
    except (OSError, UnpicklingError):
        return None  # the service itself is a finding then
    return banned, tuple(address for found in missing.values() for address in found)


def _status() -> tuple[Mapping[str, Any] | None, str]:
    try:
        status: Mapping[str, Any] = request("GET", "/v1/status").json()
    except (Unreachable, ValueError) as error:
        return None, str(error)
    return (status, "") if "services" in status else (None, str(status.get("detail", "it answers with an error")))


def _settings() -> dict[str, str]:
    """Return the effective settings, as /etc/dms-settings has them: NAME='value' for a shell."""
    try:
        text = _SETTINGS.read_text(encoding="utf-8")
        pairs = (word.partition("=") for word in shlex.split(text))
        return {name: value for name, separator, value in pairs if separator}
    except (OSError, ValueError):
        return {}


def _full_name() -> str:
    """Return the name that the server would have; a host name with a dot needs no resolver."""
    nodename = os.uname().nodename
    try:
        return full_name(clean(os.environ.get("OVERRIDE_HOSTNAME", "")).text or (nodename if "." in nodename else ""))
    except NoDomain:
        return ""


def _volume() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what is wrong with the config volume, and the hosted domains."""
    if not os.path.isdir(CONFIG) or not os.access(CONFIG, os.R_OK | os.X_OK):
        return (f"{CONFIG} is not there or cannot be read",), _domains(())
    try:
        volume = read(Path(CONFIG))
    except ProblemsFound as found:
        return tuple(map(str, found.problems)), _domains(())
    return (), _domains(volume.domains)


def _unread(settings: Mapping[str, str], fqdn: str) -> Mapping[str, str]:
    """Return addresses that the server writes to and nobody reads."""
    if settings.get("ACCOUNT_PROVISIONER", "FILE") != "FILE":
        return {}
    try:
        volume = read(Path(CONFIG))
    except (ProblemsFound, OSError):
        return {}
    return reliance.unreachable(reliance.relied_on(settings), volume, fqdn) if volume.accounts else {}


def _domains(otherwise: tuple[str, ...]) -> tuple[str, ...]:
    """Return the domains that Postfix hosts now; before it was ever configured those of the volume."""
    try:
        return tuple(dict.fromkeys(_VHOSTS.read_text(encoding="utf-8").split()))
    except OSError:
        return otherwise


def _spaces() -> tuple[Space, ...]:
    found = []
    for path in VOLUMES:
        try:
            room = os.statvfs(path)
        except OSError:
            found.append(Space(path, False, 0, 0.0, None))
            continue
        share = room.f_bavail / room.f_blocks if room.f_blocks else 1.0
        inodes = room.f_favail / room.f_files if room.f_files else None
        found.append(Space(path, _is_mounted(path), room.f_bavail * room.f_frsize, share, inodes))
    return tuple(found)


def _is_mounted(path: str) -> bool:
    """Say whether something is mounted there or above, below the root."""
    place = os.path.realpath(path)
    return any(place == point or (point != "/" and place.startswith(f"{point}/")) for point in _mounts())


def _mounts() -> Mapping[str, str]:
    return mounts.parse(Path(mounts.MOUNTINFO).read_text(errors="surrogateescape"))


def _memory_limit() -> float:
    """Return how many bytes the container may use: its limit, or all that the machine has."""
    try:
        text = request("GET", "/metrics").body().decode("utf-8", "replace")
        total = re.search(r"^MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
        limit = re.search(r"^dms_container_memory_limit_bytes (\S+)$", text, re.MULTILINE)
        return min(float(total[1]) * 1024 if total else math.inf, float(limit[1]) if limit else math.inf)
    except (Unreachable, OSError, ValueError):
        return math.inf


def _postconf(*names: str) -> str | None:
    """Return the values of parameters of Postfix, one after the other; None where it is not configured."""
    try:
        done = subprocess.run(["postconf", "-h", *names], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return None if done.returncode else " ".join(done.stdout.split())


def _clock() -> bool | None:
    """Return whether the kernel's clock is kept right by somebody (adjtimex(2)); None where one may not ask."""
    try:
        answer: int = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if answer < 0 else answer != _TIME_ERROR
