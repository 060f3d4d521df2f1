"""The staged tree: every file as it shall be, beside the system, so that validators see it before a daemon does."""

import os
from dataclasses import dataclass, field
from typing import Any, Final

from dmsinit.base import trees
from dmsinit.base.atomic import write_in
from dmsinit.base.beneath import Directory, opened
from dmsinit.render.paths import Root

# What a daemon's own checker reads beside the files that are rendered: links to what is installed.
_CHECKED_DIRECTORIES: Final = (
    "/etc/postfix", "/etc/dovecot", "/etc/dovecot/conf.d", "/etc/rspamd", "/etc/amavis/conf.d",
    "/etc/fail2ban", "/etc/fail2ban/action.d", "/etc/fail2ban/filter.d", "/etc/fail2ban/jail.d",
)  # fmt: skip


_Tree = dict[str, Any]
"""What a directory holds: the bytes of each file, and such a table of each directory."""


@dataclass(frozen=True)
class Origin:
    """Which lines of a staged file come from which file of the user's: lines `first`… are its lines 1…"""

    first: int
    name: str


@dataclass(frozen=True)
class Edit:
    """A change that a line of the user's made in a staged file: where the line stands (`name:line`), and the change."""

    where: str
    text: str


@dataclass
class StagedFile:
    """One file: where it belongs, its bytes, owner and mode, and whose text it holds."""

    path: str
    content: bytes
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644
    origin: Origin | None = None
    edits: tuple[Edit, ...] = ()

    def source(self, line: int = 0) -> str:
        """Return where a person finds line `line` (0: the file): in the user's file if it comes from there."""
        if self.origin is not None and line >= self.origin.first:
            return f"{self.origin.name}:{line - self.origin.first + 1}"
        if self.origin is not None and line == 0 and self.origin.first == 1:
            return self.origin.name
        return f"{self.path}:{line}" if line else self.path


@dataclass(frozen=True)
class StagedDirectory:
    """A directory that must exist with this owner and mode."""

    path: str
    owner: str = "root"
    group: str = "root"
    mode: int = 0o755


@dataclass
class Stage:
    """All files, directories and symbolic links that the configuration consists of."""

    files: dict[str, StagedFile] = field(default_factory=dict)
    directories: dict[str, StagedDirectory] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def add(
        self, path: str, content: bytes | str, *, owner: str = "root", group: str = "root", mode: int = 0o644
    ) -> StagedFile:
        """Stage a file, in place of what was staged there before, and return it."""
        data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
        self.files[path] = StagedFile(path, data, owner, group, mode)
        return self.files[path]

    def add_directory(self, path: str, *, owner: str = "root", group: str = "root", mode: int = 0o755) -> None:
        """Stage a directory that has to exist."""
        self.directories[path] = StagedDirectory(path, owner, group, mode)

    def write(self, directory: str) -> None:
        """Make `directory`, which only root can read because some files hold secrets, hold these files and no others.

        What an earlier run has left there is compared, and written only where it differs.
        """
        wanted: _Tree = {}
        for file in self.files.values():
            *above, name = file.path.strip("/").split("/")
            here = wanted
            for step in above:
                here = here.setdefault(step, {})
            here[name] = file.content
        with opened(directory, make=0o700) as top:
            os.fchmod(top.fd, 0o700)
            _fill(top, wanted)

    def where(self, path: str, line: int) -> str:
        """Return the place of a line (from 1; 0 for the whole file) of what is staged at `path`, in terms of a user."""
        return self.files[path].source(line) if path in self.files else path

    def complete(self, directory: str, root: Root) -> None:
        """Link into `directory` what validators read and nothing renders: the package's and mounted files."""
        for checked in _CHECKED_DIRECTORIES:
            if not os.path.isdir(directory + checked):
                continue
            for name in root.listing(checked):
                path = f"{checked}/{name}"
                if not os.path.lexists(directory + path):
                    os.symlink(root(path), directory + path)


def _fill(here: Directory, wanted: _Tree) -> None:
    """Make a directory hold what is wanted and nothing else; the same bytes are not written again."""
    present = set()
    for entry in here.entries():
        kind = dict if entry.is_dir(follow_symlinks=False) else bytes if entry.is_file(follow_symlinks=False) else None
        if kind is not None and isinstance(wanted.get(entry.name), kind):
            present.add(entry.name)
        else:
            trees.remove(here, entry.name)
    for name, content in wanted.items():
        if isinstance(content, dict):
            if name not in present:
                here.make(name, 0o755)
            with here.enter(name) as inner:
                _fill(inner, content)
        elif name not in present or here.read(name) != content:
            here.unlink(name)
            write_in(here, name, content, 0o600)
