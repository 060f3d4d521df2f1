"""The keys of services/NAME.toml: what each may hold, and the plan.Service that they make.

SECTIONS is the format: section ("" for the top) → key → function that converts a value or raises Unusable.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from dmsinit.plan import Backup, Health, Limits, Needs, Probe, Readiness, Reload, Reread, Restart, Service, Stop
from dmsinit.render.overrides.copies import FORMATS, Override
from dmsinit.render.services.logs import LogFile, Rotation
from dmsinit.render.services.state import Folder, StateDirectory
from dmsinit.render.templates.manifest import truth

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min|m|h|d)?")
_GIVE_UP: Final = re.compile(r"(\d+) in (.+)")


class Unusable(Exception):
    """A value that cannot be used: the message completes `KEY …`, `remedy` says what to write."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause)
        self.remedy = remedy


def text(value: Any) -> str:
    """A string."""
    if not isinstance(value, str):
        raise Unusable("must be a string", "put it in double quotes")
    return value


def flag(value: Any) -> bool:
    """A boolean, or a string that an expression yielded: True, 1, yes."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return truth(value)
    raise Unusable("must be true or false", 'write true, false, or an expression such as "{{ enable_opendkim }}"')


def whole(value: Any) -> int:
    """A whole number, also as a string that an expression yielded."""
    if isinstance(value, bool) or not re.fullmatch(r"-?\d+", str(value)):
        raise Unusable("must be a whole number", "write digits")
    return int(value)


def duration(value: Any) -> float:
    """A time in seconds: `20s`, `5m`, `1h`, `500ms`, or a number of seconds."""
    match = _DURATION.fullmatch(str(value).strip()) if not isinstance(value, bool) else None
    if not match:
        raise Unusable("must be a duration", 'write for example "500ms", "20s", "5m", "6h"')
    return float(match.group(1)) * _UNITS[match.group(2) or "s"]


def texts(value: Any) -> tuple[str, ...]:
    """A list of strings."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Unusable("must be a list of strings", 'write for example ["one", "two"]')
    return tuple(value)


def command(value: Any) -> tuple[str, ...]:
    """A program and its arguments."""
    found = texts(value)
    if not found or not found[0].strip():
        raise Unusable("must name a program", 'write for example ["/usr/sbin/daemon", "-f"]')
    return found


def table(value: Any) -> dict[str, str]:
    """A table of strings."""
    if not isinstance(value, dict) or not all(isinstance(item, str | int) for item in value.values()):
        raise Unusable("must be a table of strings", 'write for example { NAME = "value" }')
    return {key: str(item) for key, item in value.items()}


def one_of(*choices: str) -> Callable[[Any], str]:
    """One of a closed list of words."""

    def convert(value: Any) -> str:
        if value not in choices:
            raise Unusable(f"must be one of {', '.join(choices)}", "use one of them")
        return str(value)

    return convert


def umask(value: Any) -> str:
    """An octal file mode creation mask, such as `027`."""
    if not re.fullmatch(r"0?[0-7]{3}", str(value)):
        raise Unusable("must be an octal mask", 'write for example "027"')
    return str(value)


def mode(value: Any) -> int:
    """The permissions of a file, an octal number such as `0640`."""
    if not isinstance(value, str) or not re.fullmatch(r"[0-7]{3,4}", value):
        raise Unusable("must be an octal mode in quotation marks", 'write for example "0750"')
    return int(value, 8)


def fields(known: Mapping[str, Callable[[Any], Any]]) -> Callable[[Any], dict[str, Any]]:
    """A table with exactly these keys."""

    def convert(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or set(value) != set(known):
            raise Unusable(f"must be a table of {', '.join(known)}", f"write {{ {' = …, '.join(known)} = … }}")
        return {key: known[key](item) for key, item in value.items()}

    return convert


def several(kind: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, ...]]:
    """A list of such values."""

    def convert(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise Unusable("must be a list", "put it in square brackets")
        return tuple(kind(item) for item in value)

    return convert


def pattern(value: Any) -> re.Pattern[str]:
    """A regular expression (re of Python)."""
    try:
        return re.compile(text(value))
    except re.error as error:
        raise Unusable(f"is no regular expression: {error}", "see docs.python.org/3/library/re.html") from None


def signal(value: Any) -> str:
    """A signal's name without SIG."""
    name = text(value).upper().removeprefix("SIG")
    if not re.fullmatch(r"[A-Z][A-Z0-9+-]*", name):
        raise Unusable("must be a signal", 'write for example "TERM"')
    return name


def give_up(value: Any) -> tuple[int, float]:
    """`never`, or `5 in 60s`: that many restarts within that time."""
    if value == "never":
        return 0, 0.0
    match = _GIVE_UP.fullmatch(str(value))
    if not match:
        raise Unusable("cannot be understood", 'write "never" or "5 in 60s"')
    return int(match.group(1)), duration(match.group(2))


PROBES: Final = (
    "process", "tcp", "unix", "smtp", "lmtp", "imap", "milter", "clamd", "redis", "http", "command", "file", "notify",
)  # fmt: skip

_PROBE: Final[Mapping[str, Callable[[Any], Any]]] = {
    "probe": one_of(*PROBES), "address": text, "command": command, "timeout": duration,
    "listener": one_of("own", "any"),
}  # fmt: skip

SECTIONS: Final[Mapping[str, Mapping[str, Callable[[Any], Any]]]] = {
    "": {
        "description": text, "enabled": flag, "command": command, "user": text, "group": text, "groups": texts,
        "env": table, "cwd": text, "umask": umask, "type": one_of("simple", "oneshot"), "every": duration,
        "late": flag, "essential": flag, "stdout": one_of("log", "inherit"), "requires": texts, "wants": texts,
        "after": texts, "before": texts, "pauses_for": texts, "pauses": texts, "files": texts,
        "on_change": one_of("reload", "restart", "none"), "on_recovery": command, "syslog": texts,
    },
    "needs": {"files": texts, "why": text},
    "ready": _PROBE,
    "health": {**_PROBE, "interval": duration, "failures": whole, "busy_timeout": duration, "asks": texts},
    "restart": {
        "policy": one_of("always", "on-failure", "never"), "delay": duration, "max_delay": duration,
        "reset_after": duration, "give_up": give_up,
    },
    "stop": {"signal": signal, "command": command, "grace": duration},
    "reload": {"signal": signal, "command": command, "renews": texts, "keeps_old": flag},
    "reread": {"files": texts, "command": command},
    "backup": {"redis": text, "command": command, "timeout": duration},
    "limits": {
        "oom_score_adj": whole, "nofile": whole, "nice": whole, "no_new_privs": flag, "capabilities": texts,
    },
}  # fmt: skip
"""`env` is a table as well, but one of the top level's keys: its names are the user's."""


LOG: Final[Mapping[str, Callable[[Any], Any]]] = {
    "path": text, "create": flag, "owner": text, "group": text, "link": text,
    "rotate": one_of("", "daily", "weekly", "monthly", "yearly"), "keep": whole, "truncate": flag,
    "rotate_as": text, "rotate_in": text, "then": texts,
}  # fmt: skip

_OWNED: Final = {"owner": text, "group": text}
STATE: Final[Mapping[str, Callable[[Any], Any]]] = {
    "path": text, "name": text, **_OWNED, "mode": mode, "top": fields(_OWNED), "leftovers": texts, "when": flag,
    "folders": several(fields({"name": text, **_OWNED, "mode": mode})),
}  # fmt: skip

OVERRIDE: Final[Mapping[str, Callable[[Any], Any]]] = {
    "file": text, "target": text, **_OWNED, "mode": mode, "proof": text, "private": texts,
    "format": one_of("", *FORMATS), "when": flag,
}  # fmt: skip

CHECK: Final[Mapping[str, Callable[[Any], Any]]] = {"command": command, "complaint": pattern, "remedy": text}

ARRAYS: Final[Mapping[str, Mapping[str, Callable[[Any], Any]]]] = {
    "log": LOG,
    "state": STATE,
    "override": OVERRIDE,
    "check": CHECK,
}
"""Tables of which there may be several, `[[log]]`. They are read before all else, by `facts`; the Plan has none."""


def log_file(service: str, values: Mapping[str, Any]) -> LogFile:
    """Return the log file that the converted values of a `[[log]]` make."""
    rotation = {
        "every": values.get("rotate"), "keep": values.get("keep"), "truncate": values.get("truncate"),
        "owner": values.get("rotate_as"), "then": values.get("then"),
    }  # fmt: skip
    rest = {key: values.get(key) for key in ("path", "create", "owner", "group", "link")}
    return LogFile(service, rotation=Rotation(values.get("rotate_in", service), **_given(rotation)), **_given(rest))


def state_directory(values: Mapping[str, Any]) -> StateDirectory:
    """Return the state directory that the converted values of a `[[state]]` make."""
    path = values["path"]
    name = values.get("name") or "-".join(path.rsplit("/", 2)[1:])
    top = values.get("top")
    rest = {key: values.get(key) for key in ("owner", "mode", "leftovers")}
    return StateDirectory(
        path, name, group=values.get("group", values.get("owner", "")),
        top=(top["owner"], top["group"]) if top else ("", ""),
        folders=tuple(Folder(**folder) for folder in values.get("folders", ())),
        **_given(rest),
    )  # fmt: skip


def override(values: Mapping[str, Any]) -> Override:
    """Return the override that the converted values of an `[[override]]` make."""
    name = values["file"].rstrip("/")
    rest = {key: values.get(key) for key in ("owner", "group", "mode", "proof", "private", "format")}
    return Override(name, values["target"].rstrip("/"), tree=values["file"].endswith("/"), **_given(rest))


def build(name: str, values: dict[str, Any]) -> Service:
    """Return the service that converted values make."""
    values = dict(values)
    parts: dict[str, Any] = {}
    if "every" in values:
        values["every_seconds"] = values.pop("every")
    if (ready := values.pop("ready", None)) is not None:
        timeout = {"timeout_seconds": ready["timeout"]} if "timeout" in ready else {}
        parts["ready"] = Readiness(probe=_probe(ready), **timeout)
    if (health := values.pop("health", None)) is not None:
        timing = {
            "interval_seconds": health.get("interval"), "failures": health.get("failures"),
            "busy_timeout_seconds": health.get("busy_timeout"), "asks": health.get("asks"),
        }  # fmt: skip
        parts["health"] = Health(probe=_probe(health, timeout=health.get("timeout")), **_given(timing))
    if (needs := values.pop("needs", None)) is not None:
        parts["needs"] = Needs(**needs)
    if (restart := values.pop("restart", None)) is not None:
        parts["restart"] = _restart(restart)
    if (stop := values.pop("stop", None)) is not None:
        timing = {"signal": stop.get("signal"), "command": stop.get("command"), "grace_seconds": stop.get("grace")}
        parts["stop"] = Stop(**_given(timing))
    if (reload := values.pop("reload", None)) is not None:
        parts["reload"] = Reload(**reload)
    if (reread := values.pop("reread", None)) is not None:
        parts["reread"] = Reread(**reread)
    if (backup := values.pop("backup", None)) is not None:
        chosen = {"redis": backup.get("redis"), "command": backup.get("command")}
        parts["backup"] = Backup(**_given({**chosen, "timeout_seconds": backup.get("timeout")}))
    if (limits := values.pop("limits", None)) is not None:
        parts["limits"] = Limits(**limits)
    return Service(name=name, **values, **parts)


def _probe(values: Mapping[str, Any], timeout: float | None = None) -> Probe:
    chosen = {"kind": values.get("probe")} | {key: values.get(key) for key in ("address", "command", "listener")}
    return Probe(**_given({**chosen, "timeout_seconds": timeout}))


def _restart(values: Mapping[str, Any]) -> Restart:
    times, within = values.get("give_up", (0, 0.0))
    chosen = {
        "policy": values.get("policy"), "delay_seconds": values.get("delay"),
        "max_delay_seconds": values.get("max_delay"), "reset_after_seconds": values.get("reset_after"),
    }  # fmt: skip
    return Restart(**_given(chosen), give_up_after=times, give_up_within_seconds=within)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
