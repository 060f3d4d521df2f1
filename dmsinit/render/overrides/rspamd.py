"""rspamd/ in the config volume: override.d, custom-commands.conf, and the keys that sign (config-files.tsv)."""

import os
import re
import stat
from collections.abc import Iterator
from typing import Final

from dmsinit.base.beneath import opened, owner_of
from dmsinit.problem import Problem
from dmsinit.render.inputs.context import Inputs
from dmsinit.render.overrides import rspamd_commands, signing_switch
from dmsinit.render.paths import VOLUME, Root
from dmsinit.render.stage import Origin, Stage, StagedFile
from dmsinit.settings import Settings

USER: Final = "_rspamd"
OVERRIDES: Final = "/etc/rspamd/override.d"
KEYS_IN_USE: Final = "/etc/rspamd/dkim-keys.sha256"
"""Digests of the signing keys, which are used where they lie: a new key is a change of what Rspamd is made of."""

_DIRECTORY: Final = "rspamd"
_COMMANDS: Final = f"{_DIRECTORY}/custom-commands.conf"
_FORMER_COMMANDS: Final = "rspamd-modules.conf"
_KEYS: Final = f"{VOLUME}/{_DIRECTORY}/dkim"
_SIGNING: Final = f"{OVERRIDES}/dkim_signing.conf"
_MODE: Final = 0o640  # the password of the controller stands in one of them


def apply(stage: Stage, inputs: Inputs, root: Root) -> tuple[list[Problem], list[Problem]]:
    """Stage what the user says about Rspamd; return problems and warnings."""
    if not inputs.settings.enable_rspamd:
        return [], []
    problems: list[Problem] = []
    texts = dict(_copies(root, problems))
    for name, text in texts.items():
        _add(stage, name, text).origin = Origin(1, f"{_DIRECTORY}/override.d/{name}")
    given = set(texts)
    warnings = signing_switch.for_rspamd(stage, inputs.settings, root, texts)
    for name in texts.keys() - given:
        _add(stage, name, texts[name])
    warnings += _commands(stage, texts, inputs, root, problems)
    if _FORMER_COMMANDS in inputs.overrides:
        warnings.append(Problem(_FORMER_COMMANDS, "is not read any more", f"rename it to {_COMMANDS}"))
    _fingerprint(stage, root)
    return problems, [*warnings, *_lacking_keys(stage, root)]


def _copies(root: Root, problems: list[Problem]) -> Iterator[tuple[str, str]]:
    folder = f"{VOLUME}/{_DIRECTORY}/override.d"
    for name in root.listing(folder):
        if os.path.isfile(root(f"{folder}/{name}")) and not name.startswith("."):
            yield name, _read(root, f"{_DIRECTORY}/override.d/{name}", problems)


def _read(root: Root, name: str, problems: list[Problem]) -> str:
    try:
        data = root.read(f"{VOLUME}/{name}") or b""
    except OSError as error:
        problems.append(Problem(name, f"cannot be read: {error.strerror}", "make it readable for root"))
        return ""
    return data.decode("utf-8", "surrogateescape").replace("\r\n", "\n")


def _add(stage: Stage, name: str, text: str) -> StagedFile:
    return stage.add(f"{OVERRIDES}/{name}", text, group=USER, mode=_MODE)


def _commands(
    stage: Stage, texts: dict[str, str], inputs: Inputs, root: Root, problems: list[Problem]
) -> list[Problem]:
    if _COMMANDS not in inputs.overrides:
        return []
    before = dict(texts)
    skipped = rspamd_commands.apply(_read(root, _COMMANDS, problems), texts)
    for name in (name for name, text in texts.items() if before.get(name) != text):
        _add(stage, name, texts[name])
    remedy = f"the commands are {', '.join(rspamd_commands.COMMANDS)}"
    return [Problem(f"{_COMMANDS}:{number}", f"{cause}; it is skipped", remedy) for number, cause in skipped]


def _fingerprint(stage: Stage, root: Root) -> None:
    from hashlib import sha256

    lines = [
        f"{sha256(root.read(f'{_KEYS}/{name}') or b'').hexdigest()}  {name}\n"
        for name in root.listing(_KEYS)
        if os.path.isfile(root(f"{_KEYS}/{name}"))
    ]
    if lines:
        stage.add(KEYS_IN_USE, "".join(lines))


def _lacking_keys(stage: Stage, root: Root) -> Iterator[Problem]:
    """Yield a warning for each key of the signing configuration that is not there or that Rspamd cannot read."""
    file = stage.files.get(_SIGNING)
    text = file.content.decode("utf-8", "replace") if file else ""
    where = f"{_DIRECTORY}/override.d/dkim_signing.conf"
    for path in dict.fromkeys(re.findall(r"^\s*path\s*[=:]\s*[\"']?(/[^\"';\s]+)", text, re.MULTILINE)):
        if "$" in path or (path.startswith(f"{_KEYS}/") and os.path.isfile(root(path))):
            continue  # a pattern; a key that own_keys gives to Rspamd
        if not os.path.isfile(root(path)):
            yield Problem(where, f"the key {path} does not exist", "make it: setup config dkim")
        elif not _readable(os.stat(root(path)), root):
            yield Problem(where, f"{USER} cannot read the key {path}", f"give it to {USER}, or make it readable")


def _readable(status: os.stat_result, root: Root) -> bool:
    mode = status.st_mode
    owned = status.st_uid == root.uid(USER) and mode & 0o400
    return bool(mode & 0o004 or owned or (status.st_gid == root.gid(USER) and mode & 0o040))


def own_keys(settings: Settings, root: Root) -> list[Problem]:
    """Give the signing keys to Rspamd (behaviour 13); return warnings."""
    uid, gid = root.uid(USER), root.gid(USER)
    if not settings.enable_rspamd or os.geteuid() != 0 or uid is None or gid is None or not os.path.isdir(root(_KEYS)):
        return []
    try:
        with opened(root(_KEYS), owner_of(root(VOLUME))) as keys:
            keys.own(".", uid, gid, stat.S_IMODE(os.fstat(keys.fd).st_mode) | 0o700)
            for entry in keys.entries():
                if entry.is_file(follow_symlinks=False):
                    keys.own(entry.name, uid, gid, stat.S_IMODE(entry.stat().st_mode) | 0o400)
    except OSError as error:
        cause = f"cannot be given to {USER}: {error.strerror}"
        return [Problem(f"{_DIRECTORY}/dkim", cause, "mount the config volume writable")]
    return []
