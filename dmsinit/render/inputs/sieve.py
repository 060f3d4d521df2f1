"""What Sieve scripts may call: programs of the administrator, and as which user they run."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dmsinit.render.paths import VOLUME, Root, mount_points
from dmsinit.volume import Account

DIRECTORY: Final = "/usr/lib/dovecot"
_OURS: Final = re.compile(r"learn-(?:spam|ham)\.(?:sieve|svbin)")
_SOCKET_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_OWNER_FIELD: Final = re.compile(r"\buserdb_(?:uid|gid)(?::\w+)?=")
_OWNER_SETTING: Final = re.compile(
    r"^[^#\n]*\b(?:(?:mail_|userdb_)?[ug]id|service\s+lmtp\b[^}]*\buser)\b\s*[=:]", re.MULTILINE
)


@dataclass(frozen=True)
class Programs:
    """Names of programs that users' scripts may call by `pipe` and by `filter`."""

    pipe: tuple[str, ...] = ()
    filter: tuple[str, ...] = ()
    several_owners: bool = False
    """Whether mailboxes may belong to other users than vmail, so that LMTP has to be able to become any of them."""

    @property
    def pipe_sockets(self) -> tuple[str, ...]:
        """Those of `pipe` whose name fits into a socket's name and Dovecot's syntax."""
        return tuple(name for name in self.pipe if _SOCKET_NAME.fullmatch(name))

    @property
    def filter_sockets(self) -> tuple[str, ...]:
        """Those of `filter` whose name fits into a socket's name and Dovecot's syntax."""
        return tuple(name for name in self.filter if _SOCKET_NAME.fullmatch(name))


def programs(accounts: Iterable[Account], *, ldap_owners: bool, root: Root) -> Programs:
    """Return what the config volume (or a mount in the image) has for Sieve scripts.

    `ldap_owners`: the directory says to whom a mailbox belongs.
    """
    mounts = mount_points(root)
    several = ldap_owners or any(_OWNER_FIELD.search(account.extra) for account in accounts)
    try:
        text = (root.read(f"{VOLUME}/dovecot.cf") or b"").decode("utf-8", "replace")
    except OSError:  # which is told when it is applied
        text = ""
    several = several or bool(_OWNER_SETTING.search(text))
    return Programs(_names("sieve-pipe", mounts, root), _names("sieve-filter", mounts, root), several)


def _names(folder: str, mounts: frozenset[str], root: Root) -> tuple[str, ...]:
    """Return the programs in a folder of the volume, and what is mounted where they are installed."""
    installed = f"{DIRECTORY}/{folder}"
    mounted = root.listing(installed) if installed in mounts else []
    mounted += [path.removeprefix(f"{installed}/") for path in mounts if path.startswith(f"{installed}/")]
    try:
        given = [name for name in root.listing(f"{VOLUME}/{folder}") if _is_file(f"{VOLUME}/{folder}/{name}", root)]
    except OSError:  # which is told when it is copied
        given = []
    found = (name for name in {*given, *mounted} if not name.startswith(".") and not _OURS.fullmatch(name))
    return tuple(sorted(found))


def _is_file(path: str, root: Root) -> bool:
    return os.path.isfile(root(path))
