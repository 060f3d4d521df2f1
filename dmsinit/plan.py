"""The Plan: what should run, and which files it is made of. Plain data, JSON both ways.

`dmsinit render` writes a Plan, PID 1 carries it out, `dmsctl plan` shows it. It holds no expressions and no
secrets: everything is resolved when it is made. Times are in seconds, sizes in bytes.

    >>> plan = Plan(fqdn="mail.example.test", services=(Service(name="cron", command=("/usr/sbin/cron", "-f")),))
    >>> decode(encode(plan)) == plan
    True
"""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

ProbeKind = Literal[
    "process", "tcp", "unix", "smtp", "lmtp", "imap", "milter", "clamd", "redis", "http", "command", "file", "notify"
]
OnChange = Literal["reload", "restart", "none"]


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Base of all parts of a Plan: immutable, compared by value, strict about unknown keys."""


class Probe(Record, frozen=True):
    """One question to a daemon: does it answer?

    `address` is `inet:HOST:PORT`, `unix:PATH`, for `http` a URL, for `smtp` perhaps several with blanks between them,
    each also `haproxy:HOST:PORT` (it wants the PROXY protocol); `command` is for kind `command`.
    What answers has to be the service itself, unless `listener` is `any`.
    `process` asks nothing: it holds while the process lives. `notify` waits for sd_notify's READY=1.
    """

    kind: ProbeKind = "process"
    address: str = ""
    command: tuple[str, ...] = ()
    timeout_seconds: float = 5.0
    listener: Literal["own", "any"] = "own"


class Readiness(Record, frozen=True):
    """When a started service counts as ready; not ready after `timeout_seconds`, it is restarted (`ready-timeout`)."""

    probe: Probe = Probe()
    timeout_seconds: float = 60.0


class Health(Record, frozen=True):
    """Asked for ever once ready; after `failures` failures in a row the service is restarted (`probe-failed`).

    Failures count while it does nothing. One that gives no answer because it is at work is `busy`, and is restarted
    after `busy_timeout_seconds` of silence. `asks` names services whose answers it waits for at its work: while they
    are at work, it is.
    """

    probe: Probe
    interval_seconds: float = 15.0
    failures: int = 3
    busy_timeout_seconds: float = 900.0
    asks: tuple[str, ...] = ()


class Restart(Record, frozen=True):
    """When and how soon a service that ended is started again.

    The first restart waits `delay_seconds`, the next twice as long (at least a second), with full jitter, up to
    `max_delay_seconds`; `reset_after_seconds` of health forget the past. `give_up_after` restarts within
    `give_up_within_seconds` make it `failed`; 0 never gives up.
    """

    policy: Literal["always", "on-failure", "never"] = "always"
    delay_seconds: float = 0.0
    max_delay_seconds: float = 30.0
    reset_after_seconds: float = 60.0
    give_up_after: int = 0
    give_up_within_seconds: float = 0.0


class Stop(Record, frozen=True):
    """How a service is asked to end; after `grace_seconds` its whole process tree is killed."""

    signal: str = "TERM"
    command: tuple[str, ...] = ()
    grace_seconds: float = 10.0


class Reload(Record, frozen=True):
    """How a service is told to read its files again: a command, or else a signal.

    `renews` are the names of children (as in /proc/PID/comm; `*` is allowed) that it replaces by new ones: until it
    has, the reload is not over. With `keeps_old` a new one is enough: the old ones go on for their clients.
    """

    signal: str = "HUP"
    command: tuple[str, ...] = ()
    renews: tuple[str, ...] = ()
    keeps_old: bool = False


class Reread(Record, frozen=True):
    """Files that a service reads again by itself: the paths, and a command (run as root) that returns when it has."""

    files: tuple[str, ...] = ()
    command: tuple[str, ...] = ()


class Limits(Record, frozen=True):
    """Resource limits and privileges, set by setpriv(1), prlimit(1), choom(1) and nice(1); None leaves them alone."""

    oom_score_adj: int | None = None
    nofile: int | None = None
    nice: int | None = None
    no_new_privs: bool = False
    capabilities: tuple[str, ...] | None = None
    """The capability bounding set by name, such as `net_bind_service`."""


class Needs(Record, frozen=True):
    """Files without which a start is pointless: until a file matches one of these patterns it waits, and says `why`.

    `*`, `?` and `[…]` (fnmatch) may stand in the last part of a pattern; its directory must exist.
    """

    files: tuple[str, ...] = ()
    why: str = ""


class Backup(Record, frozen=True):
    """What is done before files of a service that runs are copied: a Redis server at the address `redis` saves what it
    holds, and `command` (run as root) ends when everything is in its files; `timeout_seconds` is for each.
    """

    redis: str = ""
    command: tuple[str, ...] = ()
    timeout_seconds: float = 120.0


class Service(Record, frozen=True):
    """One supervised program: all that the supervisor knows about it.

    `requires`: without them it does not run. `wants`: it waits until they are ready or have failed. `after`: order
    only. `pauses_for`: while one of these is between two lives, this service is suspended, so that it is not refused.
    `files`: glob patterns of what it is made of; `on_change`: what a change there does. `stdout = "inherit"` gives it
    the container's standard output instead of a log of its own. `late`: it starts when all others are ready, and
    nobody waits for it. `essential`: mail needs it, so the server is up only when it is ready. `every_seconds` with
    `type = "oneshot"` runs it again and again. `on_recovery` is a command (run as root) for the moment when it answers
    again after others may have missed it. `syslog`: the names of its programs in mail.log (also as `NAME/PART`).
    """

    name: str
    command: tuple[str, ...]
    description: str = ""
    enabled: bool = True
    type: Literal["simple", "oneshot"] = "simple"
    every_seconds: float = 0.0
    late: bool = False
    essential: bool = False
    stdout: Literal["log", "inherit"] = "log"
    user: str = ""
    group: str = ""
    groups: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    cwd: str = "/"
    umask: str = "022"
    requires: tuple[str, ...] = ()
    wants: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    pauses_for: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    on_change: OnChange = "restart"
    on_recovery: tuple[str, ...] = ()
    syslog: tuple[str, ...] = ()
    needs: Needs = Needs()
    ready: Readiness = Readiness()
    health: Health | None = None
    restart: Restart = Restart()
    stop: Stop = Stop()
    reload: Reload | None = None
    reread: Reread | None = None
    backup: Backup = Backup()
    limits: Limits = Limits()


class Change(Record, frozen=True, omit_defaults=False):
    """A file that differs from what was installed: `service` names whose it is ("" when nobody's)."""

    path: str
    action: Literal["create", "modify", "delete"]
    service: str = ""


class Action(Record, frozen=True, omit_defaults=False):
    """What converging does to one service."""

    service: str
    action: Literal["start", "stop", "restart", "reload", "reread"]


class Certificate(Record, frozen=True):
    """A certificate that the server shows to clients: `file`, and when it expires (Unix time)."""

    file: str
    expires: float


class Plan(Record, frozen=True):
    """Everything that PID 1 needs to know; `services` stand in no particular order (see `start_order`)."""

    fqdn: str
    services: tuple[Service, ...] = ()
    release: str = "edge"
    log_level: str = "info"
    supervisor_log_level: str = "warn"
    log_format: Literal["text", "json"] = "text"
    metrics_listen: str = ""
    accounts: int | None = None
    aliases: int | None = None
    """How many there are in the config volume; None where they are kept elsewhere."""
    certificates: tuple[Certificate, ...] = ()


class PlanError(Exception):
    """The Plan contradicts itself; the message names the services at both ends."""


def encode(plan: Plan) -> bytes:
    """Return the Plan as JSON."""
    return msgspec.json.encode(plan)


def decode(data: bytes) -> Plan:
    """Return the Plan that `data` (JSON) holds, or raise msgspec.ValidationError."""
    return msgspec.json.decode(data, type=Plan)


def start_order(services: Iterable[Service]) -> list[str]:
    """Return the names of the enabled services, each behind everything that it waits for.

    Raises PlanError on a cycle, on `requires`, `wants` or `after` of an unknown name, on `requires` of a service that
    is not enabled, and on a service that waits for a `late` one without being `late` itself.
    """
    known = {service.name: service for service in services}
    enabled = {name: service for name, service in known.items() if service.enabled}
    for service in enabled.values():
        _check_names(service, known)
    order: list[str] = []
    done: set[str] = set()
    for name in sorted(enabled):
        _visit(name, enabled, order, done, ())
    return order


def dependencies(service: Service) -> tuple[str, ...]:
    """Return the names of everything that a service waits for, without repetition."""
    return tuple(dict.fromkeys((*service.requires, *service.wants, *service.after)))


def _check_names(service: Service, known: Mapping[str, Service]) -> None:
    for name in service.health.asks if service.health is not None else ():
        if name not in known:
            raise PlanError(f"service {service.name} asks {name}, which does not exist")
    for kind in ("requires", "wants", "after", "pauses_for"):
        for name in getattr(service, kind):
            if name not in known:
                raise PlanError(f"service {service.name} {kind} {name}, which does not exist")
            if kind == "requires" and not known[name].enabled:
                raise PlanError(f"service {service.name} requires {name}, which is not enabled")
            if kind != "pauses_for" and known[name].late and known[name].enabled and not service.late:
                # The late one waits until all others are ready, this one among them: both would wait for ever.
                raise PlanError(f"service {service.name} {kind} {name}, which is late; make {service.name} late, too")


def _visit(name: str, enabled: Mapping[str, Service], order: list[str], done: set[str], path: tuple[str, ...]) -> None:
    if name in done:
        return
    if name in path:
        cycle = (*path[path.index(name) :], name)
        raise PlanError(f"services wait for each other in a circle: {' → '.join(cycle)}")
    for other in sorted(set(dependencies(enabled[name])) & enabled.keys()):
        _visit(other, enabled, order, done, (*path, name))
    done.add(name)
    order.append(name)


def actions(before: Plan | None, after: Plan, changes: Iterable[Change]) -> list[Action]:
    """Return the smallest thing to do for each service, so that what runs is what `after` says.

    A service whose definition changed or whose listener moved is restarted; one whose files changed does what its
    `on_change` says. One that reads what changed by itself is only waited for (`reread`).
    """
    old = {service.name: service for service in before.services if service.enabled} if before else {}
    new = {service.name: service for service in after.services if service.enabled}
    changes = list(changes)
    touched = {change.service for change in changes}
    paths = {change.path for change in changes}
    result = [Action(service=name, action="stop") for name in old if name not in new]
    for name, service in new.items():
        if name not in old:
            result.append(Action(service=name, action="start"))
        elif _command_line(old[name]) != _command_line(service) or _moved(old[name], service):
            result.append(Action(service=name, action="restart"))
        elif name in touched and service.on_change != "none":
            result.append(Action(service=name, action=service.on_change))
        elif service.reread is not None and not paths.isdisjoint(service.reread.files):
            result.append(Action(service=name, action="reread"))
    return result


def _moved(old: Service, new: Service) -> bool:
    """Return whether it is to listen elsewhere: not every daemon can move its listener while it runs."""
    return old.ready.probe.address != new.ready.probe.address or old.ready.probe.command != new.ready.probe.command


def _command_line(service: Service) -> Service:
    """Return a service without what can change under a running process."""
    return msgspec.structs.replace(
        service, description="", requires=(), wants=(), after=(), pauses_for=(), files=(), on_change="none",
        ready=Readiness(), health=None, restart=Restart(), stop=Stop(), reload=None, reread=None, late=False,
        essential=False, on_recovery=(), syslog=(), needs=Needs(), backup=Backup(),
    )  # fmt: skip
