"""The command line that starts a service: privileges and limits by chain-loading util-linux in front of it.

No code of ours runs between fork and exec, and PID 1 looks up no user: setpriv(1) does that in the child.
"""

import os
import resource
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from dmsinit.base.mounts import may_hang
from dmsinit.plan import Service

MARKER = "DMSINIT_SERVICE"
"""Environment variable that marks every process of a service, also those that left its session."""

_CAP_SETPCAP = 8
_CAP_SYS_RESOURCE = 24
"""Their numbers in capabilities(7)."""

_ACCOUNT_FILES = {"user": "/etc/passwd", "group": "/etc/group"}


class CannotStart(Exception):
    """A service cannot be started as it is defined; the message is a sentence for the administrator."""


def command_line(service: Service) -> list[str]:
    """Return the argument list that runs the service with its user, groups, limits and working directory."""
    limits = service.limits
    argv: list[str] = []
    if limits.oom_score_adj is not None and may_set_oom_score_adj(limits.oom_score_adj):
        argv += ["choom", "-n", str(limits.oom_score_adj), "--"]
    if limits.nofile is not None:
        nofile = highest_nofile(limits.nofile)
        argv += ["prlimit", f"--nofile={nofile}:{nofile}", "--"]
    if limits.nice is not None:
        argv += ["nice", "-n", str(limits.nice)]
    if service.cwd not in ("", "/"):
        argv += ["env", f"--chdir={service.cwd}"]
    argv += _privileges(service)
    if not argv and _out_of_reach(service.command[0]):
        argv = ["nice", "-n", "0"]  # posix_spawn(3) returns when the first program runs: that must be a local one
    return [*argv, *service.command]


def may_set_oom_score_adj(value: int) -> bool:
    """Say whether we may give `value` to a child: less than our own takes a capability that containers lack."""
    return value >= int(Path("/proc/self/oom_score_adj").read_bytes()) or _has(_CAP_SYS_RESOURCE)


def highest_nofile(wanted: int) -> int:
    """Return `wanted`, or the hard limit that the container engine gave us where we may not pass it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if hard == resource.RLIM_INFINITY or _has(_CAP_SYS_RESOURCE) else min(wanted, hard)


@cache
def _has(capability: int) -> bool:
    status = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace")
    effective = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    return bool(int(effective, 16) >> capability & 1)


def _privileges(service: Service) -> list[str]:
    limits = service.limits
    options: list[str] = []
    if service.user and service.user != "root":
        options += [f"--reuid={service.user}", f"--regid={service.group or _primary_group(service.user)}"]
        options += [f"--groups={','.join(service.groups)}"] if service.groups else ["--init-groups"]
    elif service.group or service.groups:
        options += [f"--regid={service.group or 'root'}"]
        options += [f"--groups={','.join(service.groups)}"] if service.groups else ["--clear-groups"]
    if limits.no_new_privs:
        options.append("--no-new-privs")
    if limits.capabilities is not None:
        # What an engine made inheritable would come back with each program that root starts.
        options.append("--inh-caps=-all")
        # Without SETPCAP the container was started with few of them, and what there is cannot be taken away.
        if _has(_CAP_SETPCAP):
            options.append("--bounding-set=-all" + "".join(f",+{name}" for name in limits.capabilities))
    return ["setpriv", *options, "--"] if options else []


def environment(service: Service, base: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a service: `base`, its own variables, the marker; the container's secrets stay out."""
    return {**base, **service.env, MARKER: service.name}


def check(service: Service) -> None:
    """Raise CannotStart when the program or an account of the service does not exist.

    What is on a file system that may hang is not looked at: the child finds out.
    """
    program = service.command[0]
    if not _out_of_reach(program) and not _executable(program):
        raise CannotStart(f"{program} not found or not executable; install it in the image or disable the service")
    for kind, names in (("user", (service.user,)), ("group", (service.group, *service.groups))):
        for name in names:
            if name and not name.isdigit() and not _account_exists(kind, name):
                raise CannotStart(f"{kind} {name} does not exist; create it or change `{kind}` of the service")
    if not _out_of_reach(service.cwd) and not os.path.isdir(service.cwd or "/"):
        raise CannotStart(f"working directory {service.cwd} does not exist")


def _out_of_reach(path: str) -> bool:
    return path.startswith("/") and may_hang(path)


def _executable(program: str) -> bool:
    if "/" in program:
        return os.access(program, os.X_OK)
    path = os.environ.get("PATH", os.defpath)
    return any(os.access(os.path.join(directory, program), os.X_OK) for directory in path.split(os.pathsep))


def _primary_group(user: str) -> str:
    """Return the gid that /etc/passwd gives `user` (passwd(5)), or the name itself, for setpriv to look up."""
    try:
        lines = Path("/etc/passwd").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return user
    return next((line.split(":")[3] for line in lines if line.startswith(f"{user}:") and line.count(":") > 3), user)


def _account_exists(kind: str, name: str) -> bool:
    """Look into the local file only: name services may block, and PID 1 must not."""
    try:
        content = Path(_ACCOUNT_FILES[kind]).read_bytes()
    except OSError:
        return True  # let setpriv say what is wrong
    needle = name.encode() + b":"
    return content.startswith(needle) or b"\n" + needle in content
