"""Try a Postfix configuration: the daemons that it concerns read it, and open the tables that it names.

They get a copy of main.cf and master.cf in which each file that is staged is named at its place in a tree of this run,
with the owner and mode that it is going to have: some daemons open tables without privileges. Lists that dmsinit makes
from accounts and aliases are empty there; a hundred thousand lines would be read by each daemon anew.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final

from dmsinit.render.check.indexes import Index
from dmsinit.render.check.master_cf import Entry
from dmsinit.render.check.mini_master import ASKED_BY_OTHERS, Attempt, MiniMaster, Said
from dmsinit.render.paths import Root
from dmsinit.render.programs import run_all
from dmsinit.render.stage import StagedFile

PLACE: Final = "/run/dmsinit"
"""Where the tree is made: a daemon's socket has a short path, and daemons without privileges can come there."""
CONFIGURATION: Final = "/etc/postfix"
MAIN_CF: Final = f"{CONFIGURATION}/main.cf"
MASTER_CF: Final = f"{CONFIGURATION}/master.cf"
LISTS: Final = tuple(f"{CONFIGURATION}/{name}" for name in ("virtual", "vmailbox", "vhost"))
INDEX: Final = ".db"

_OLD: Final = 0.0
"""When files were changed last, for daemons that read them: they take one of less than two seconds ago for half
written, and read it again until it is older (dict_load_file_xt() of Postfix)."""
_PATH: Final = re.compile(r"/[^\s,;{}:=\"'()$]+")


@dataclass(frozen=True)
class Copy:
    """A file as daemons are going to find it: its bytes, owner and mode."""

    content: bytes
    uid: int
    gid: int
    mode: int


@dataclass(frozen=True)
class Texts:
    """What is tried: both files, and the files they may name that are not installed (yet) as they are here."""

    main: str
    master: str
    files: Mapping[str, Copy]


def copies(files: Iterable[StagedFile], root: Root) -> dict[str, Copy]:
    """Return staged files as daemons are going to find them."""
    return {
        file.path: Copy(
            b"" if file.path in LISTS else file.content, root.uid(file.owner) or 0, root.gid(file.group) or 0, file.mode
        )
        for file in files
    }


def attempt(
    texts: Texts, wanted: Iterable[Entry], helpers: Iterable[Entry], outdated: Iterable[Index], root: Root
) -> list[Attempt]:
    """Start the `wanted` services with `texts`, and return what became of them; paths in it are those of the system.

    `helpers` start when others ask for them; the `outdated` indexes are made in the tree, as they will be later.
    """
    with _directory(root) as directory:
        named = {path for text in (texts.main, texts.master) for path in _PATH.findall(text)}
        moved = {path: copy for path, copy in texts.files.items() if path.removesuffix(INDEX) in named or path in named}
        built = [index for index in outdated if index.file not in moved]
        moved |= {index.path: Copy(root.read(index.path) or b"", 0, 0, 0o644) for index in built}
        _write_tree(f"{directory}/files", moved)
        run_all(index.command(f"{directory}/files{index.path}") for index in built)
        translate = _translation(f"{directory}/files", moved)
        _configuration(f"{directory}/conf", texts, translate, root)
        wanted = [_translated(entry, translate) for entry in wanted]
        helpers = [_translated(entry, translate) for entry in helpers if entry.command in ASKED_BY_OTHERS]
        uid, gid = root.uid("postfix"), root.gid("postfix")
        owner = (uid, gid) if uid is not None and gid is not None and os.geteuid() == 0 else None
        attempts = MiniMaster(f"{directory}/conf", f"{directory}/queue", owner=owner).run(wanted, helpers)
        for done in attempts:
            done.said = [_in_terms_of_the_system(said, directory, *done.entry.instead) for said in done.said]
        return attempts


@contextmanager
def _directory(root: Root) -> Iterator[str]:
    os.makedirs(root(PLACE), exist_ok=True)
    directory = tempfile.mkdtemp(prefix="check-", dir=root(PLACE))
    try:
        os.chmod(directory, 0o711)  # noqa: S103 - daemons without privileges come through, and list nothing
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _write_tree(directory: str, files: Mapping[str, Copy]) -> None:
    os.makedirs(directory, mode=0o711)
    for path, copy in files.items():
        os.makedirs(os.path.dirname(directory + path), mode=0o711, exist_ok=True)
        descriptor = os.open(directory + path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(copy.content)
            if os.geteuid() == 0:
                os.fchown(descriptor, copy.uid, copy.gid)
            os.fchmod(descriptor, copy.mode)
            file.flush()
            os.utime(descriptor, (_OLD, _OLD))


def _translation(directory: str, files: Mapping[str, Copy]) -> Callable[[str], str]:
    places = {path: directory + path for path in files}
    return lambda text: _PATH.sub(lambda match: places.get(match.group(0), match.group(0)), text)


def _translated(entry: Entry, translate: Callable[[str], str]) -> Entry:
    return replace(entry, arguments=tuple(translate(argument) for argument in entry.arguments))


def _configuration(directory: str, texts: Texts, translate: Callable[[str], str], root: Root) -> None:
    """Make a configuration directory: both files, and links to the rest (dynamicmaps.cf, for one)."""
    os.makedirs(directory, mode=0o755)
    for name in root.listing(CONFIGURATION):
        os.symlink(root(f"{CONFIGURATION}/{name}"), f"{directory}/{name}")
    for path, text in ((MAIN_CF, texts.main), (MASTER_CF, texts.master)):
        target = f"{directory}/{os.path.basename(path)}"
        with suppress(FileNotFoundError):
            os.unlink(target)
        with open(target, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(translate(text))
            file.flush()
            os.utime(file.fileno(), (_OLD, _OLD))


def _in_terms_of_the_system(said: Said, directory: str, default: str, name: str) -> Said:
    text = said.text.replace(f"{directory}/files", "").replace(f"{directory}/conf", CONFIGURATION)
    text = text.replace(default, name) if default else text
    return Said(said.level, text.replace(f"{directory}/queue", "/var/spool/postfix"))
