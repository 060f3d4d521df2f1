"""Bring the staged files to where daemons read them: only what changed, each atomically, nothing of others lost.

What was rendered last is kept beside the system (`rendered`). That is what tells our changes from a user's: a file
whose rendered form is the same as last time is not touched, whatever stands in the system now; one that changed on
both sides is merged line by line (diff3(1)), or left alone with a warning where both changed the same lines.

All new content is written (to a temporary file beside its target) before the first file is replaced: a full disk
changes nothing. A process that dies in between leaves whole files only, and the next run completes the work; what was
about to change is noted beforehand (`journal`), so that the daemons concerned still hear of it.
"""

import errno
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from dmsinit.base import capabilities
from dmsinit.base.atomic import (
    TEMPORARY_SUFFIX,
    Places,
    correct,
    make_directories,
    make_newer,
    read,
    remove,
    remove_tree,
    rename,
    replace_link,
    write_file,
    write_in,
)
from dmsinit.base.beneath import Directory, parent_of
from dmsinit.problem import Problem, ProblemsFound
from dmsinit.render.install import journal, rollback
from dmsinit.render.install.merge import merge
from dmsinit.render.paths import CONFLICTS, RENDERED, RENDERED_BEFORE, SPARE, STAGED, Root
from dmsinit.render.stage import Stage, StagedDirectory, StagedFile

_NOT_OURS: Final = (errno.EROFS, errno.EBUSY, errno.EXDEV)
"""What replacing a file says when the user mounted something there."""

Kind = rollback.Kind


@dataclass
class Result:
    """What installing did, or would do: changed paths in order, and what a person should know."""

    changes: dict[str, Kind] = field(default_factory=dict)
    warnings: list[Problem] = field(default_factory=list)
    diffs: dict[str, str] = field(default_factory=dict)


@dataclass
class _Write:
    """One file to be replaced: `file.content` is the new content, at `target`."""

    file: StagedFile
    target: str
    kind: Kind


class Installer:
    """One installation of a Stage.

    `fresh`: the system is made from the templates anew (a start of the container), so that nothing counts as a user's
    change; `durable`: each file is synced to disk before it is replaced. A start needs no syncing: what a crash of the
    machine damages there is rendered again by the next start.
    """

    def __init__(self, stage: Stage, root: Root, *, fresh: bool, mounted: frozenset[str] = frozenset()) -> None:
        self._stage = stage
        self._root = root
        self._fresh = fresh
        self._mounted = mounted
        self._rendered = root(RENDERED)
        if not os.path.isdir(self._rendered) and os.path.isdir(root(RENDERED_BEFORE)):
            rename(root(RENDERED_BEFORE), self._rendered)  # the last run died between two renames
        self._result = Result()
        self._places = Places()
        self._kept: set[str] = set()
        self._preparing = ""
        self._conflicts: dict[str, bytes] = {}

    def preview(self, secrets: Iterable[str] | None = None) -> Result:
        """Return what `install` would do, and do nothing; with `secrets`, the lines that differ, without these."""
        writes = self._decide()
        obsolete = self._obsolete()
        if secrets is not None:
            from dmsinit.render.install.differences import difference

            changed = {write.file.path: (write.file.content, write.file.mode) for write in writes}
            changed.update(dict.fromkeys(obsolete, (b"", 0o644)))
            for path, (content, mode) in changed.items():
                self._result.diffs[path] = difference(path, self._root, content, mode, secrets)
        return self._result

    def install(self) -> Result:
        """Install everything; ProblemsFound when a file cannot be written, with nothing changed."""
        with self._places:
            return self._install()

    def _install(self) -> Result:
        for directory in self._stage.directories.values():
            self._make_directory(directory)
        writes = self._decide()
        obsolete = self._obsolete()
        try:
            for write in writes:
                self._preparing = write.file.path
                self._prepare(write)
            if not self._fresh:
                rollback.keep(self._result.changes, self._stage.links, self._root)
            if not self._fresh:
                journal.note(self._result.changes, self._root)
        except OSError as error:
            for write in writes:
                self._discard(write)
            path = str(error.filename or "").removesuffix(TEMPORARY_SUFFIX).removeprefix(self._root.prefix)
            remedy = (capabilities.remedy() if error.errno == errno.EPERM else "") or "make room, or make it writable"
            remedy += "; nothing was changed"
            raise ProblemsFound(
                [Problem(path or self._preparing, f"cannot be written: {error.strerror}", remedy)]
            ) from error
        for write in writes:
            self._replace(write)
        for path in obsolete:
            self._delete(path)
        for link, target in self._stage.links.items():
            self._link(link, target)
        self._keep_rendered()
        changes = {**journal.noted(self._root), **self._result.changes}
        self._result.changes = {path: kind for path, kind in changes.items() if path not in self._kept}
        return self._result

    def _decide(self) -> list[_Write]:
        """Return the files to write, with merged content where both sides changed."""
        writes = []
        for path, file in self._stage.files.items():
            if path in self._mounted:
                self._warn_mounted(path)
                self._kept.add(path)
                continue
            installed = self._read(path)
            content = file.content if self._fresh else self._merge(file, installed)
            if content is None:
                continue
            kind: Kind = "create" if installed is None else "modify"
            target = self._root(path)
            if installed != content or not self._corrected(target, file):
                changed = StagedFile(path, content, file.owner, file.group, file.mode)
                writes.append(_Write(changed, target, kind))
                self._result.changes[path] = kind
        return writes

    def _read(self, path: str) -> bytes | None:
        try:
            return read(self._root(path))
        except OSError:
            return None

    def _merge(self, file: StagedFile, installed: bytes | None) -> bytes | None:
        """Return the content to install; None leaves the file as it is."""
        before = self._root.read(RENDERED + file.path)
        if before == file.content and installed is not None:
            return None
        if installed is None or before is None or installed in (before, file.content):
            return file.content
        merged, clean = merge(installed, RENDERED + file.path, STAGED + file.path, self._root)
        if clean:
            return merged
        cause = "was changed by hand or by user-patches.sh in the same lines as now by dmsinit; it stays as it is"
        remedy = f"both versions are in {CONFLICTS}{file.path}; restart the container to render it anew"
        self._result.warnings.append(Problem(file.path, cause, remedy))
        self._conflicts[file.path] = merged
        return None

    def _obsolete(self) -> list[str]:
        """Return the files that were rendered last time and are not any more, and that nobody changed since."""
        found = []
        for parent, _, names in os.walk(self._rendered):
            for name in names:
                path = f"{parent}/{name}"[len(self._rendered) :]
                if path in self._stage.files or path in self._mounted or os.path.islink(f"{parent}/{name}"):
                    continue
                installed = self._read(path)
                if installed is None:
                    continue
                if not self._fresh and installed != self._root.read(RENDERED + path):
                    cause = "is no longer part of the configuration, but was changed by hand; it stays"
                    self._result.warnings.append(Problem(path, cause, "delete it if it is not needed"))
                    continue
                self._result.changes[path] = "delete"
                found.append(path)
        return found

    def _prepare(self, write: _Write) -> None:
        """Write the new content beside the file. Raises OSError."""
        uid, gid = self._owner(write.file.path, write.file.owner, write.file.group)
        try:
            directory, name = self._places.of(write.target, make=0o755)
            temporary = name + TEMPORARY_SUFFIX
            directory.unlink(temporary)
            durable = not self._fresh
            write_in(directory, temporary, write.file.content, write.file.mode, uid=uid, gid=gid, durable=durable)
            if not self._fresh:
                make_newer(directory, temporary, name)
        except OSError as error:
            if error.errno != errno.EROFS:
                raise

    def _discard(self, write: _Write) -> None:
        with suppress(OSError):  # it is overwritten the next time
            remove(write.target + TEMPORARY_SUFFIX)

    def _replace(self, write: _Write) -> None:
        try:
            directory, name = self._places.of(write.target)
            directory.rename(name + TEMPORARY_SUFFIX, name)
        except OSError as error:
            self._discard(write)
            self._result.changes.pop(write.file.path, None)
            self._kept.add(write.file.path)
            if error.errno in _NOT_OURS or error.errno == errno.ENOENT:
                self._warn_mounted(write.file.path)
            else:
                cause = f"cannot be replaced: {error.strerror}; it stays as it is"
                self._result.warnings.append(Problem(write.file.path, cause, "move away what is there"))

    def _delete(self, path: str) -> None:
        try:
            remove(self._root(path))
        except OSError as error:
            self._result.changes.pop(path, None)
            self._kept.add(path)
            cause = f"is no longer part of the configuration, but cannot be deleted: {error.strerror}"
            self._result.warnings.append(Problem(path, cause, "delete it, or unmount it"))

    def _warn_mounted(self, path: str) -> None:
        cause = "is mounted or read-only, so it is used as it is; what dmsinit would write there is not in force"
        remedy = f"compare it with {RENDERED}{path}; prefer the override files of the config volume"
        self._result.warnings.append(Problem(path, cause, remedy))

    def _corrected(self, target: str, file: StagedFile) -> bool:
        """Give a file that needs no new content its owner and mode; False where only a new file can have them."""
        try:
            correct(target, *self._owner(file.path, file.owner, file.group), file.mode)
        except OSError as error:
            return error.errno in _NOT_OURS
        return True

    def _make_directory(self, directory: StagedDirectory) -> None:
        ids = self._owner(directory.path, directory.owner, directory.group)
        try:
            with parent_of(self._root(directory.path), make=0o755) as (parent, name):
                if self._leads_elsewhere(parent, name, directory.path):
                    parent.unlink(name)
                parent.make(name)
            correct(self._root(directory.path), *ids, directory.mode)
        except OSError as error:
            cause = f"cannot be made: {error.strerror}"
            self._result.warnings.append(Problem(directory.path, cause, "make its parent writable"))

    def _leads_elsewhere(self, parent: Directory, name: str, path: str) -> bool:
        """Return whether there is a link that another user may have made, and warn of it."""
        try:
            parent.link_to_follow(name)
        except OSError as error:
            cause = f"{error.strerror}; a directory took its place"
            self._result.warnings.append(Problem(path, cause, "if it was yours, mount that directory here instead"))
            return True
        return False

    def _owner(self, path: str, owner: str, group: str) -> tuple[int, int]:
        """Return numeric ids; (-1, -1) leaves them alone where this process may not change them."""
        if os.geteuid() != 0:
            return -1, -1
        uid, gid = self._root.uid(owner), self._root.gid(group)
        if uid is None or gid is None:
            name = owner if uid is None else group
            cause = f"should belong to {name}, a user that does not exist; it belongs to root"
            self._result.warnings.append(Problem(path, cause, "install the package that makes this account"))
        return uid or 0, gid or 0

    def _link(self, path: str, target: str) -> None:
        place = self._root(path)
        try:
            if os.path.islink(place) and os.readlink(place) == target:
                return
            kind: Kind = "modify" if os.path.lexists(place) else "create"
            replace_link(place, target)
            self._result.changes[path] = kind
        except OSError as error:
            cause = f"cannot be made a link to {target}: {error.strerror}"
            self._result.warnings.append(Problem(path, cause, "it stays as it is"))

    def _keep_rendered(self) -> None:
        """Make the staged tree the rendered one; what could not be installed keeps its old form, to be tried again."""
        staged, old = self._root(STAGED), self._root(RENDERED_BEFORE)
        for path in self._kept | self._conflicts.keys():
            mounted = path in self._mounted
            content = self._stage.files[path].content if mounted else self._root.read(RENDERED + path)
            remove(staged + path)
            if content is not None:
                make_directories(os.path.dirname(staged + path), 0o700)
                write_file(staged + path, content, 0o600)
        self._keep_conflicts()
        # The tree of the run before last becomes the one to stage in: of it, only what differs is written.
        spare = self._root(SPARE)
        remove_tree(spare)
        if os.path.isdir(old):
            rename(old, spare)
        if os.path.isdir(self._rendered):
            rename(self._rendered, old)
        rename(staged, self._rendered)
        if os.path.isdir(spare):
            rename(spare, staged)
        if self._fresh:
            remove_tree(old)
            rollback.forget(self._root)

    def _keep_conflicts(self) -> None:
        directory = self._root(CONFLICTS)
        remove_tree(directory)
        for path, content in self._conflicts.items():
            make_directories(os.path.dirname(directory + path), mode=0o700)
            write_file(directory + path, content, 0o600)
