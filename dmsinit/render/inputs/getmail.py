"""getmail/NAME.cf: an rc file for each remote mailbox, made of a general part and the user's file.

Releases before v15 had getmail-NAME.cf beside the other files. Release v14 kept in getmail/ what getmail has seen
already (`oldmail-…`): without it all mail would come a second time.
"""

import os
import re
from collections.abc import Iterable, Iterator
from typing import Final

from dmsinit.base.atomic import replace_file
from dmsinit.problem import Problem
from dmsinit.render.inputs.texts import Findings, read
from dmsinit.render.paths import VOLUME, Root
from dmsinit.render.stage import Origin, Stage, StagedFile
from dmsinit.settings import Settings

FOLDER: Final = "getmail"
GENERAL_PART: Final = "getmailrc_general.cf"
GENERAL: Final = "/etc/getmailrc_general"
RCS: Final = "/etc/getmailrc.d"
STATE: Final = "/var/lib/getmail"
OWNER: Final = "docker"
"""As whom it runs: the owner of the mail, whom Dovecot's `deliver` needs to be."""

_SEEN: Final = "oldmail-"
_SECTIONS: Final = ("retriever", "destination")
_SECTION: Final = r"^\[{}\]"
_MODE: Final = 0o600  # passwords stand in them
_DELIVERY: Final = """
[destination]
type = MDA_external
path = /usr/lib/dovecot/deliver
arguments = ("-d", "{}")
allow_root_commands = true
"""
"""What is appended to a file that is named after an address and does not say where its mail goes."""


def names(overrides: Iterable[str]) -> dict[str, str]:
    """Return the mailboxes that files of the config volume describe: name → file."""
    found = {}
    for file in sorted(overrides):  # getmail-x.cf comes before getmail/x.cf, which counts
        match = re.fullmatch(r"getmail[-/]([^/]+)\.cf", file)
        if match and file != f"{FOLDER}/{GENERAL_PART}":
            found[match.group(1)] = file
    return found


def apply(stage: Stage, overrides: Iterable[str], root: Root, findings: Findings) -> None:
    """Stage an rc file for each mailbox; the general part is staged already, unless nothing is to be fetched."""
    general = stage.files.get(GENERAL)
    if general is None:
        return
    head = general.content.decode("utf-8", "surrogateescape")
    for name, file in names(overrides).items():
        text = read(root, file, findings)
        if text is None:
            continue
        before = "" if _has(text, "options") else head
        after = "" if "@" not in name or _has(text, "destination") else _DELIVERY.format(name)
        staged = stage.add(f"{RCS}/{name}", before + text + after, owner=OWNER, group=OWNER, mode=_MODE)
        staged.origin = Origin(before.count("\n") + 1, file)
        findings.problems += _problems(staged, file)


def _has(text: str, section: str) -> bool:
    return re.search(_SECTION.format(section), text, re.MULTILINE) is not None


def _problems(file: StagedFile, name: str) -> Iterator[Problem]:
    """Yield what getmail could not read; never a line itself, which may hold a password."""
    import configparser  # rare: only where mail is fetched with getmail

    remedy = "see https://getmail6.org/configuration.html"
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(file.content.decode("utf-8", "replace"))
    except configparser.ParsingError as error:
        line = error.errors[0][0] if error.errors else getattr(error, "lineno", 0)
        yield Problem(file.source(line), "getmail cannot read it: must be [section] or name = value", remedy)
    except (configparser.DuplicateSectionError, configparser.DuplicateOptionError) as error:
        yield Problem(file.source(error.lineno or 0), "getmail cannot read it: duplicate entry", remedy)
    else:
        for section in _SECTIONS:
            if not parser.has_option(section, "type"):
                yield Problem(name, f"has no [{section}] with a type", remedy)


def keep_seen(settings: Settings, root: Root) -> list[Problem]:
    """Take over what release v14 noted in the config volume of mail that is here already; return warnings."""
    if not settings.enable_getmail:
        return []
    folder = f"{VOLUME}/{FOLDER}"
    uid, gid = (root.uid(OWNER) or -1, root.gid(OWNER) or -1) if os.geteuid() == 0 else (-1, -1)
    try:
        for name in root.listing(folder):
            if name.startswith(_SEEN) and not root.exists(f"{STATE}/{name}"):
                seen = root.read(f"{folder}/{name}") or b""
                replace_file(root(f"{STATE}/{name}"), seen, mode=_MODE, uid=uid, gid=gid)
    except OSError as error:
        cause = f"cannot be copied to {STATE}: {error.strerror} ({error.filename})"
        return [Problem(folder, cause, "make it readable, or mail that was fetched before comes again")]
    return []
