"""Old patches edit supervisord's files: their effect is kept, and the new way is told.

docker-mailserver's FAQ lets `user-patches.sh` change a command line in /etc/supervisor/conf.d/saslauth.conf. There is
no supervisord here; the template writes that file in the old form for such scripts, and after they ran its commands
are compared with what was rendered. A changed one replaces the command of the service with that name.
"""

import shlex
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from dmsinit.plan import Service
from dmsinit.problem import Problem
from dmsinit.render.paths import RENDERED, Root

DIRECTORY: Final = "/etc/supervisor/conf.d"
_PROGRAM: Final = "program:"


def apply_edits(services: Sequence[Service], root: Root) -> tuple[tuple[Service, ...], list[Problem]]:
    """Return the services with the commands that somebody edited in supervisord's files, and what to say about it."""
    edited: dict[str, list[str]] = {}
    warnings: list[Problem] = []
    known = {service.name for service in services}
    for name in root.listing(DIRECTORY):
        path = f"{DIRECTORY}/{name}"
        now, before = root.read(path), root.read(f"{RENDERED}{path}")
        if not name.endswith(".conf") or now is None or now == before:
            continue
        for program, command in _changed(now, before or b"", path, warnings).items():
            way = f"write services/{program}.toml in the config volume instead"
            if program in known:
                edited[program] = command
                warnings.append(Problem(path, f"its command of {program} was edited and is used", way))
            else:
                warnings.append(Problem(path, f"there is no service {program}; the file is not read for new ones", way))
    changed = (
        msgspec.structs.replace(service, command=tuple(edited[service.name])) if service.name in edited else service
        for service in services
    )
    return tuple(changed), warnings


def _changed(now: bytes, before: bytes, path: str, warnings: list[Problem]) -> Mapping[str, list[str]]:
    """Return the commands of `now` that differ from those of `before`, by program."""
    import configparser  # rare: only where somebody edits these files

    def commands(text: bytes) -> dict[str, str]:
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        parser.read_string(text.decode("utf-8", "replace"))
        programs = [section for section in parser.sections() if section.startswith(_PROGRAM)]
        return {one.removeprefix(_PROGRAM): parser[one]["command"] for one in programs if "command" in parser[one]}

    try:
        old, new = commands(before), commands(now)
        return {program: shlex.split(command) for program, command in new.items() if command != old.get(program)}
    except (configparser.Error, ValueError) as error:
        cause = str(error).splitlines()[0]
        warnings.append(Problem(path, f"cannot be understood: {cause}", "its edits have no effect; correct them"))
        return {}
