"""supervisorctl: what scripts written for supervisord say and read, answered by dmsinit.

Output and exit codes are those of supervisorctl 4.2, as its manual and its behaviour have them: `status` 3 when
something is not running, 4 for an unknown name; operations 1 for an unknown name, 7 when a service does not start; 2
without a command. What supervisord has no word for is told on standard error.
"""

import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from dmsinit.cli.all_services import all_services
from dmsinit.cli.errors import DONE, FAILED, ProblemReceived, checked, silence, tell
from dmsinit.cli.supervisorctl.words import NAME_COLUMNS, RUNNING, can_stop, line, state_of
from dmsinit.control.client import Pending, Unreachable, quote, request

PROGRAM: Final = "supervisorctl"
NOT_RUNNING: Final = 3
UNKNOWN: Final = 4
NOT_STARTED: Final = 7
_TAIL_BYTES: Final = 1600
_TAIL_LINES: Final = 1000

HELP: Final = """\
supervisorctl COMMAND, as far as dmsinit knows it (dmsctl knows more):
  status [NAME…]                 avail
  start|stop|restart NAME…|all   signal SIGNAL NAME…|all
  reread                         what `update` would do
  update                         bring services in line with the configuration
  reload                         update, then restart all services
  tail [-f] [-BYTES] NAME        pid [NAME|all]
"""


class UsageError(Exception):
    """The command is not one of supervisorctl's, or lacks something."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = _without_options(list(sys.argv[1:] if argv is None else argv))
    try:
        if not words:
            raise UsageError("dmsinit has no supervisor shell; try: supervisorctl status, or: dmsctl --help", 2)
        command = _COMMANDS.get(words[0])
        if command is None:
            raise UsageError(f"*** Unknown syntax: {' '.join(words)}")
        code = command(words[1:])
        sys.stdout.flush()
        return code
    except UsageError as error:
        print(error)
        return error.code
    except ProblemReceived as problem:
        tell(PROGRAM, problem)
        return FAILED
    except Unreachable as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return UNKNOWN
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:  # the reader, such as head(1), had enough
        silence()
        return 128 + signal.SIGPIPE


def _without_options(words: list[str]) -> list[str]:
    """Drop the options that name a supervisord: there is only one dmsinit."""
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option in ("-h", "--help"):
            return ["help"]
        if option in ("-c", "-s", "-u", "-p", "-r") or (option.startswith("--") and "=" not in option):
            words = words[1:]
    return words


def _services() -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in checked(request("GET", "/v1/services")).json()}


def _named(words: Sequence[str], services: dict[str, dict[str, Any]]) -> list[str]:
    """Return the names that are meant: each group of supervisord's here is one service, so `NAME:*` is NAME."""
    if "all" in words:
        return sorted(name for name, one in services.items() if one["enabled"])
    return [word.partition(":")[0] for word in words]


# Asking


def _status(words: Sequence[str]) -> int:
    services = _services()
    names = sorted(services) if not words or "all" in words else _named(words, services)
    code = DONE
    for name in [name for name in names if name not in services]:
        print(f"{name}: ERROR (no such process)")
        code = UNKNOWN
    shown = [services[name] for name in names if name in services]
    width = max([NAME_COLUMNS, *(len(one["name"]) for one in shown)])
    for one in shown:
        print(line(one, width))
        if code == DONE and state_of(one) not in RUNNING:
            code = NOT_RUNNING
    return code


def _pid(words: Sequence[str]) -> int:
    if not words:
        print(1)
        return DONE
    services = _services()
    code = DONE
    for name in sorted(services) if "all" in words else _named(words, services):
        if name in services:
            print(services[name]["pid"] or 0)
        else:
            print(f"No such process {name}")
            code = FAILED
    return code


def _avail(_words: Sequence[str]) -> int:
    for name, one in sorted(_services().items()):
        print(f"{name:{NAME_COLUMNS}}   {'in use' if one['enabled'] else 'avail':10}auto      999:999")
    return DONE


def _tail(words: Sequence[str]) -> int:
    follow, size = False, _TAIL_BYTES
    rest = list(words)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option == "-f":
            follow = True
        elif option[1:].isdecimal():
            size = int(option[1:])
        else:
            raise UsageError(f"Error: bad argument {option}")
    if not rest or rest[1:] not in ([], ["stdout"], ["stderr"]):  # both go to one log
        raise UsageError("Error: tail requires a process name\n" + HELP.rstrip())
    name = rest[0].partition(":")[0]
    target = f"/v1/services/{quote(name)}/logs"
    reply = request("GET", f"{target}?follow=true&lines=20" if follow else f"{target}?lines={_TAIL_LINES}")
    if reply.status == 404:
        reply.close()
        print(f"{name}: ERROR (no such process name)")
        return FAILED
    lines = (str(record["line"]) for record in checked(reply).lines())
    if not follow:
        print("".join(f"{one}\n" for one in lines).encode()[-size:].decode("utf-8", "replace"))
        return DONE
    for one in lines:
        print(one, flush=True)
    return DONE


# Operating


def _start(words: Sequence[str]) -> int:
    services = _services()
    names = all_services("start") if "all" in words else _named(_required("start", words, 2), services)
    ready = [name for name in names if name in services and services[name]["state"] in ("ready", "busy", "unhealthy")]
    return _each(names, services, "start", "started", dict.fromkeys(ready, "already started"))


def _stop(words: Sequence[str]) -> int:
    services = _services()
    names = _named(_required("stop", words), services)
    if "all" in words:
        names = [name for name in names if can_stop(services[name])]
    return _each(names, services, "stop", "stopped", dict.fromkeys(_idle(names, services), "not running"))


def _restart(words: Sequence[str]) -> int:
    services = _services()
    names = all_services("restart") if "all" in words else _named(_required("restart", words), services)
    _catch_up(names)
    idle = _idle(names, services)
    for name in names:
        if name not in services:
            print(f"{name}: ERROR (no such process)")
        elif name not in idle:
            print(f"{name}: stopped", flush=True)
        elif "all" not in words:
            print(f"{name}: ERROR (not running)")
    return _each(names, services, "restart", "started", {})


def _catch_up(names: Sequence[str]) -> None:
    """Apply the configuration if a file of these services waits: recipes edit a file and restart its daemon."""
    try:
        changes = checked(request("GET", "/v1/plan")).json()["changes"]
        if any(change["service"] in names for change in changes):
            checked(request("POST", "/v1/apply")).close()
    except ProblemReceived as problem:  # then it is restarted with what is installed
        tell(PROGRAM, problem)


def _idle(names: Sequence[str], services: dict[str, dict[str, Any]]) -> list[str]:
    return [name for name in names if name in services and not can_stop(services[name])]


def _required(verb: str, words: Sequence[str], code: int = FAILED) -> Sequence[str]:
    if not words:
        raise UsageError(f"Error: {verb} requires a process name\n{HELP.rstrip()}", code)
    return words


def _each(
    names: Sequence[str], services: dict[str, dict[str, Any]], verb: str, done: str, refused: dict[str, str]
) -> int:
    """Operate on all names at once and print one line each; `refused` names are only told why."""
    asked = {
        name: Pending("POST", f"/v1/services/{quote(name)}/{verb}?wait=true")
        for name in dict.fromkeys(names)
        if name in services and name not in refused
    }
    code = DONE
    for name in names:
        if name not in services:
            print(f"{name}: ERROR (no such process)")
            code = max(code, FAILED)
        elif name in refused:
            print(f"{name}: ERROR ({refused[name]})")
        else:
            code = max(code, _outcome(name, asked[name], done))
    return code


def _outcome(name: str, pending: Pending, done: str) -> int:
    try:
        checked(pending.reply()).json()
    except ProblemReceived as problem:
        print(f"{name}: ERROR (spawn error)", flush=True)
        tell(PROGRAM, problem)
        return NOT_STARTED
    print(f"{name}: {done}", flush=True)
    return DONE


def _signal(words: Sequence[str]) -> int:
    if len(words) < 2:
        raise UsageError(f"Error: signal requires a signal name and a process name\n{HELP.rstrip()}")
    name = words[0].upper().removeprefix("SIG")
    bad = not (words[0].isdecimal() or hasattr(signal, f"SIG{name}"))
    services = _services()
    code = DONE
    for service in _named(words[1:], services):
        verdict = "ERROR (no such process)" if service not in services else "ERROR (bad signal name)"
        if service in services and not bad:
            reply = request("POST", f"/v1/services/{quote(service)}/signal?signal={quote(name)}")
            verdict = "signalled" if reply.status < 400 else "ERROR (not running)"
            reply.close()
        print(f"{service}: {verdict}")
        code = code if verdict == "signalled" else FAILED
    return code


def _reread(_words: Sequence[str]) -> int:
    changes = checked(request("GET", "/v1/plan")).json()
    words = {"start": "available", "stop": "disappeared"}
    for action in changes["actions"]:
        print(f"{action['service']}: {words.get(action['action'], 'changed')}")
    if not changes["actions"]:
        print("No config updates to processes")
    return DONE


def _update(words: Sequence[str]) -> int:
    wanted = [word for word in words if word != "all"]
    if wanted:  # an apply is always a whole one; a name is only checked
        services = _services()
        for name in wanted:
            if name not in services:
                print(f"ERROR: no such group: {name}")
                return FAILED
    for action in checked(request("POST", "/v1/apply")).json()["actions"]:
        name, verb = action["service"], action["action"]
        if verb in ("stop", "restart"):
            print(f"{name}: stopped")
        print(f"{name}: {({'start': 'added', 'stop': 'removed'}).get(verb, 'updated')} process group")
    return DONE


def _reload(_words: Sequence[str]) -> int:
    checked(request("POST", "/v1/apply")).json()
    for pending in [
        Pending("POST", f"/v1/services/{quote(name)}/restart?wait=false") for name in all_services("restart")
    ]:
        checked(pending.reply()).close()
    print("Restarted supervisord")
    return DONE


def _version(_words: Sequence[str]) -> int:
    print(f"dmsinit {checked(request('GET', '/v1/status')).json()['version']}")
    return DONE


def _help(_words: Sequence[str]) -> int:
    print(HELP, end="")
    return DONE


_COMMANDS: Final[dict[str, Callable[[Sequence[str]], int]]] = {
    "avail": _avail, "help": _help, "pid": _pid, "reload": _reload, "reread": _reread, "restart": _restart,
    "signal": _signal, "start": _start, "status": _status, "stop": _stop, "tail": _tail, "update": _update,
    "version": _version,
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main())
