"""Where everything lies, under one root: `/` in the image, a temporary directory in tests.

Paths in the rest of this package are written as they are in the image; only a Root turns them into places to open.
"""

import os
from typing import Final

VOLUME: Final = "/tmp/docker-mailserver"  # noqa: S108 - the contract's mount point, not a temporary file
STATE: Final = "/var/mail-state"
MAIL: Final = "/var/mail"
LOGS: Final = "/var/log/mail"

USER_PATCHES: Final = f"{VOLUME}/user-patches.sh"

TEMPLATES: Final = "/usr/share/dmsinit/templates"
TEMPLATE_CACHE: Final = "/usr/share/dmsinit/cache/templates.bin"
SERVICES: Final = "/usr/share/dmsinit/services"
LOCAL_SERVICES: Final = "/etc/dmsinit/services"
VOLUME_SERVICES: Final = f"{VOLUME}/services"

WORK: Final = "/var/lib/dmsinit"
STATE_NOTED: Final = f"{WORK}/state-directories"
"""Which directories have been moved to the state volume since the container started."""
STAGED: Final = f"{WORK}/staged"
RENDERED: Final = f"{WORK}/rendered"
RENDERED_BEFORE: Final = f"{RENDERED}.old"
SPARE: Final = f"{STAGED}.old"
PREVIOUS: Final = f"{WORK}/previous"
JOURNAL: Final = f"{WORK}/changes.json"
CONFLICTS: Final = f"{WORK}/conflicts"

SNAPSHOT: Final = "/tmp/docker-mailserver-config-chksum"  # noqa: S108 - the contract's place
CHANGED: Final = "/run/dmsinit/config-changed"
"""Written where files are polled, to say that one of them may have changed."""


class Root:
    """A root directory: `root("/etc/aliases")` is the place of that file; users and groups are those of its /etc."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix.rstrip("/")
        self._ids: dict[str, dict[str, int]] = {}

    def __call__(self, path: str) -> str:
        return self.prefix + path

    def exists(self, path: str) -> bool:
        """Return whether something (a broken link too) stands at `path`."""
        return os.path.lexists(self.prefix + path)

    def read(self, path: str) -> bytes | None:
        """Return the bytes of a file, or None when there is none; other errors are the caller's (OSError)."""
        try:
            with open(self.prefix + path, "rb") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def read_size(self, path: str) -> int | None:
        """Return the size of the file at `path`, behind symbolic links too; None when there is none."""
        try:
            return os.stat(self.prefix + path).st_size
        except OSError:
            return None

    def listing(self, path: str) -> list[str]:
        """Return the sorted names in a directory; none when it does not exist."""
        try:
            return sorted(os.listdir(self.prefix + path))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def uid(self, name: str) -> int | None:
        """Return the numeric id of a user of this root, or None; no name service is asked."""
        return self._numeric("/etc/passwd", name)

    def gid(self, name: str) -> int | None:
        """Return the numeric id of a group of this root, or None."""
        return self._numeric("/etc/group", name)

    def forget_ids(self) -> None:
        """Read users and groups again at the next question: somebody changed them."""
        self._ids.clear()

    def _numeric(self, path: str, name: str) -> int | None:
        if name == "root":
            return 0
        if name.isdecimal():
            return int(name)
        if path not in self._ids:
            lines = (self.read(path) or b"").decode("utf-8", "replace").splitlines()
            fields = [line.split(":") for line in lines if line.count(":") >= 2]
            self._ids[path] = {entry[0]: int(entry[2]) for entry in fields if entry[2].isdecimal()}
        return self._ids[path].get(name)


def mount_points(root: Root) -> frozenset[str]:
    """Return what is mounted (files too), from /proc/self/mountinfo (proc_pid_mountinfo(5), field 5)."""
    text = (root.read("/proc/self/mountinfo") or b"").decode("utf-8", "replace")
    fields = [line.split(" ", 5) for line in text.splitlines()]
    return frozenset(entry[4].replace("\\040", " ") for entry in fields if len(entry) > 5)
