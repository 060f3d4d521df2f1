"""`[[override]]` of services/NAME.toml: files of the config volume that become files of a service as they are."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from dmsinit.problem import Problem
from dmsinit.render.inputs.texts import Findings, read
from dmsinit.render.overrides import dovecot23
from dmsinit.render.paths import VOLUME, Root
from dmsinit.render.stage import Origin, Stage

FORMATS: Final[Mapping[str, Callable[[str, str], list[Problem]]]] = {"dovecot": dovecot23.scan}
"""Formats in which mistakes are looked for before the daemon's own checker does: file name, text → what is wrong."""


@dataclass(frozen=True)
class Override:
    """A file of the volume, or a directory with all that is in it, which replaces `target`."""

    name: str
    target: str
    tree: bool = False
    proof: str = ""
    """A file without which the directory is not meant to replace anything."""
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644
    """Of files; directories have 0755."""
    private: tuple[str, ...] = ()
    """Directories in it that only the owner may read: mode 0700, files 0600."""
    format: str = ""


def copy(stage: Stage, override: Override, root: Root, findings: Findings) -> None:
    """Stage what an override that exists becomes."""
    if override.tree:
        _tree(stage, override, root, findings)
        return
    text = read(root, override.name, findings)
    if text is None:
        return
    if override.format:
        findings.problems += FORMATS[override.format](override.name, text)
    file = stage.add(override.target, text, owner=override.owner, group=override.group, mode=override.mode)
    file.origin = Origin(1, override.name)


def _tree(stage: Stage, tree: Override, root: Root, findings: Findings) -> None:
    base = root(f"{VOLUME}/{tree.name}")
    if tree.proof and not os.path.isfile(f"{base}/{tree.proof}"):
        return
    for parent, directories, names in os.walk(base, onerror=_unreadable(tree.name, findings)):
        directories.sort()
        relative = parent[len(base) :]
        private = relative.strip("/").split("/")[0] in tree.private
        mode = 0o600 if private else tree.mode
        for name in sorted(names):
            source = f"{tree.name}{relative}/{name}"
            try:
                data = root.read(f"{VOLUME}/{source}")
            except OSError as error:
                findings.problems.append(Problem(source, f"cannot be read: {error.strerror}", "make it readable"))
                continue
            file = stage.add(
                f"{tree.target}{relative}/{name}", data or b"", owner=tree.owner, group=tree.group, mode=mode
            )
            file.origin = Origin(1, source)
        stage.add_directory(
            tree.target + relative, owner=tree.owner, group=tree.group, mode=0o700 if private else 0o755
        )


def _unreadable(name: str, findings: Findings) -> Callable[[OSError], None]:
    def report(error: OSError) -> None:
        findings.problems.append(Problem(name, f"cannot be read: {error.strerror}", "make it readable for root"))

    return report
