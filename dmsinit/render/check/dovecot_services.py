"""The check of what Dovecot's services need when they start: programs, directories, groups, addresses and files.

doveconf(1) opens none of it; Dovecot's master ends with it, or the service ends with each client.
"""

import ipaddress
import os
import re
import socket
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from dmsinit.render.check.dovecot import BASE, Setting
from dmsinit.render.paths import STATE, Root
from dmsinit.render.tls.ssl_type import SNAKEOIL_CERT, SNAKEOIL_KEY

LIBEXEC: Final = "/usr/lib/dovecot"
_MADE_BY_DOVECOT: Final = ("login", "token-login", "empty")
_MADE_BY_DMSINIT: Final = ("/etc/dms/", f"{STATE}/dmsinit/", SNAKEOIL_CERT, SNAKEOIL_KEY)
"""Certificates that come with the installation, or are made while checks run."""
_OF_ALL: Final = {
    "default_internal_user": "user",
    "default_internal_group": "group",
    "mail_uid": "user",
    "mail_gid": "group",
    "mail_access_groups": "group",
    "mail_privileged_group": "group",
}
_EVERYWHERE: Final = ("*", "::", "0.0.0.0")
_VARIABLE: Final = re.compile(r"[%$]")
_LOOKS_NUMERIC: Final = re.compile(r"[\d.]+|[\da-fA-F.]*:[\da-fA-F:.]*")


def unstartable(entries: Collection[Setting], root: Root) -> Iterator[str]:
    """Yield what a service of Dovecot would end with, the culprit in quotes; `entries` is what `doveconf -n` says."""
    base = _global(entries, "base_dir", BASE)
    yield from _no_programs(entries, root)
    yield from _no_roots(entries, base, root)
    yield from _no_owners(entries, root)
    yield from _no_addresses(entries)
    yield from _no_directories(entries, base, root)


def _global(entries: Iterable[Setting], name: str, default: str) -> str:
    return next((entry.value for entry in entries if not entry.blocks and entry.name == name), default)


def _of_services(entries: Iterable[Setting], name: str) -> Iterator[tuple[str, str]]:
    """Yield the service and the value, where one sets `name` itself."""
    for blocks, key, value in entries:
        if len(blocks) == 1 and blocks[0][0] == "service" and key == name and value and not _VARIABLE.search(value):
            yield blocks[0][1], value


def _no_programs(entries: Collection[Setting], root: Root) -> Iterator[str]:
    place = _global(entries, "libexec_dir", LIBEXEC)
    if place != LIBEXEC and not root.exists(f"{place}/anvil"):
        yield f"libexec_dir '{_plain(place)}' does not have Dovecot's programs, so Dovecot would not start"
        return
    for service, value in _of_services(entries, "executable"):
        program = value.split()[0]
        if not os.access(root(program if program.startswith("/") else f"{place}/{program}"), os.X_OK):
            yield f"the program '{program}' of service {service} does not exist, so Dovecot would not start"


def _no_roots(entries: Collection[Setting], base: str, root: Root) -> Iterator[str]:
    listeners = [blocks[1][1] for blocks, name, _ in entries if not name and len(blocks) == 2]
    sockets = {os.path.dirname(os.path.join(base, path)) for path in listeners}
    own = {os.path.join(base, name) for name in _MADE_BY_DOVECOT}
    for service, value in _of_services(entries, "chroot"):
        path = os.path.realpath(os.path.join(base, value))
        if path in own or path in {os.path.realpath(place) for place in own}:
            continue
        if not os.path.isdir(root(path)):
            yield f"the directory '{_plain(value)}' (chroot of service {service}) does not exist, so it would not start"
        elif service.endswith("-login") and path not in sockets:
            cause = "does not have the sockets that it needs, so logins would fail"
            yield f"the directory '{_plain(value)}' (chroot of service {service}) {cause}"


def _no_owners(entries: Iterable[Setting], root: Root) -> Iterator[str]:
    look_up = {"user": root.uid, "group": root.gid}
    for blocks, name, value in entries:
        kind = _OF_ALL.get(name, "")
        if [block for block, _ in blocks] == ["service"] and name == "extra_groups":
            kind = "group"
        elif any(block in ("service", "passdb", "userdb") for block, _ in blocks):
            continue
        for one in re.split(r"[\s,]+", value) if kind and not _VARIABLE.search(value) else []:
            if one and look_up[kind](one) is None:
                of = f" of {' '.join(blocks[-1])}" if blocks else ""
                yield f"{kind} '{one}' ({name}{of}) does not exist, so logins would fail"


def _no_addresses(entries: Iterable[Setting]) -> Iterator[str]:
    for blocks, name, value in entries:
        if name != "listen" or (blocks and blocks[-1][0] != "inet_listener"):
            continue
        for address in re.split(r"[\s,]+", value):
            if address not in _EVERYWHERE and not _is_ours(address.strip("[]")):
                yield f"'{address}' (listen) is not an address of this container, so Dovecot would not start"


def _is_ours(address: str) -> bool:
    """Return whether one can listen at the address; True for a name, since no name server is asked here."""
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        return _LOOKS_NUMERIC.fullmatch(address) is None
    if ipaddress.ip_address(address).is_unspecified:
        return True
    with socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_STREAM) as listener:
        try:
            listener.bind((address, 0))
        except OSError:
            return False
    return True


def _no_directories(entries: Iterable[Setting], base: str, root: Root) -> Iterator[str]:
    """Name directories in which a socket cannot be made; those of Dovecot itself and below /run come at the start."""
    for blocks, name, _ in entries:
        if name or len(blocks) != 2 or blocks[1][0] not in ("unix_listener", "fifo_listener"):
            continue
        path = blocks[1][1]
        if not path.startswith("/") or path.startswith((f"{base}/", "/run/", "/var/run/")):
            continue
        if not os.path.isdir(root(os.path.dirname(path))):
            yield f"the directory of the socket '{_plain(path)}' does not exist, so Dovecot would not start"


def absent_files(entries: Iterable[Setting], staged: Collection[str], root: Root) -> Iterator[str]:
    """Yield certificates, keys and other files (of a passdb, …) that a setting `…_file` names and that do not exist.

    `staged` are the paths of files that are going to be installed.
    """
    for _, name, value in entries:
        path = value.removeprefix("<").strip()
        if not name.endswith("_file") or not path.startswith("/") or _VARIABLE.search(path):
            continue
        if path not in staged and not path.startswith(_MADE_BY_DMSINIT) and not os.path.exists(root(path)):
            yield f"the file '{_plain(path)}' does not exist, and Dovecot does not work without it"


def _plain(path: str) -> str:
    return path.rstrip("/") or path
