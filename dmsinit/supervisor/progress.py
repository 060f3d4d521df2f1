"""Does a service that gives no answer do anything? What tells one that is full from one that hangs.

Contract: `sample` looks at the processes of a service once, `progress` compares two looks; both are cheap enough for a
failed probe, and nothing is looked at while probes are answered. `progress` returns what the service does, for people,
or nothing:
- A process of it is suspended: it does nothing, whatever its other processes do, for one that waits for it hangs.
- Its processes ran, or wanted to run, for WORK_SHARE of the time between the looks.
- A process of it has ended: a worker was done with something. A new one is no sign, for where each connection has a
  process of its own the probe itself makes one.
- A process waits for a device in both looks (state D): it cannot be ended before the device answers, and goes on then.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from dmsinit.base.work import busy_seconds
from dmsinit.supervisor.proctree import Process

WORK_SHARE: Final = 0.02
"""Of one processor. Measured with all daemons idle: at most 0.5 % (Redis' clock, Fail2ban's threads, Amavis' parent,
Rspamd's workers that tell of themselves each second), so that one whose worker hangs while others tick is found. One
at work takes all it gets, and what it waits for a processor counts, too."""

SUSPENDED: Final = "T"
"""The state of a process that SIGSTOP has stopped (proc_pid_stat(5)); one that is traced has another."""

Identity = tuple[int, int]
"""Pid and moment of its start: a recycled pid is another process."""


class Sample(NamedTuple):
    """The processes of a service at one moment of any monotonic clock."""

    moment: float
    seconds: dict[Identity, float]
    suspended: int | None
    waiting: frozenset[Identity]


def sample(processes: Iterable[Process], moment: float) -> Sample:
    """Look at the processes of a service."""
    seen = list(processes)
    return Sample(
        moment,
        {(one.pid, one.started): busy_seconds(one.pid) for one in seen},
        next((one.pid for one in seen if one.state == SUSPENDED), None),
        frozenset((one.pid, one.started) for one in seen if one.state == "D"),
    )


def progress(before: Sample, now: Sample) -> str:
    """Return what the service has done from one look to the next, or nothing where it has done nothing."""
    if now.suspended is not None:
        return ""
    share = _share(before, now)
    if share >= WORK_SHARE:
        return f"at work ({share:.0%} of a processor)"
    if before.seconds.keys() - now.seconds.keys():
        return "at work (a process of it is done)"
    if before.waiting & now.waiting:
        return "waits for a device"
    return ""


def _share(before: Sample, now: Sample) -> float:
    """Return how much of one processor its processes had or wanted; those that began meanwhile count in full."""
    elapsed = now.moment - before.moment
    worked = sum(max(0.0, seconds - before.seconds.get(who, 0.0)) for who, seconds in now.seconds.items())
    return worked / elapsed if elapsed > 0 else 0.0
