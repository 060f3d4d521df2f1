"""A small system in a temporary directory: enough for a whole run of `dmsinit render`."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dmsinit.render.paths import Root

ACCOUNT = "anna@hill.test|{SHA512-CRYPT}$6$abcdefgh$0123456789"


class System:
    """A root directory with short ways to write and read its files."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = Root(str(directory))

    def path(self, name: str) -> Path:
        return self.directory / name.lstrip("/")

    def write(self, name: str, content: str | bytes, mode: int = 0o644) -> Path:
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return path

    def read(self, name: str) -> str:
        return self.path(name).read_text()

    def volume(self, name: str, content: str | bytes) -> Path:
        return self.write(f"/tmp/docker-mailserver/{name}", content)

    def template(self, name: str, content: str) -> Path:
        return self.write(f"/usr/share/dmsinit/templates/{name}", content)

    def service(self, name: str, content: str) -> Path:
        return self.write(f"/usr/share/dmsinit/services/{name}.toml", content)

    def tree(self) -> dict[str, tuple[int, int]]:
        """Return inode and time of change of every file: what a run that writes nothing leaves as it is."""
        found = {}
        for parent, _, names in os.walk(self.directory):
            for name in names:
                status = os.lstat(f"{parent}/{name}")
                found[f"{parent}/{name}"] = (status.st_ino, status.st_ctime_ns)
        return found


@contextmanager
def dying_at_rename(survivors: int) -> Iterator[None]:
    """Die, as by a kill, at the rename that comes after so many others."""
    real, left = os.rename, survivors

    def die(source: str, target: str, **directories: int) -> None:
        nonlocal left
        if left == 0:
            raise KeyboardInterrupt
        left -= 1
        real(source, target, **directories)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "rename", die)
        with pytest.raises(KeyboardInterrupt):
            yield


@pytest.fixture
def system(tmp_path: Path) -> System:
    made = System(tmp_path / "system")
    made.write("/etc/hosts", f"127.0.0.1 localhost\n10.0.0.2 mail.example.test {os.uname().nodename}\n")
    made.write("/etc/passwd", f"root:x:0:0::/root:/bin/sh\ndocker:x:{os.getuid()}:{os.getgid()}::/:/bin/false\n")
    made.write("/etc/group", f"root:x:0:\ndocker:x:{os.getgid()}:\n")
    made.volume("postfix-accounts.cf", f"{ACCOUNT}\n")
    return made
