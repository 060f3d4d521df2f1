"""What `dmsinit render` says to PID 1: one JSON object a line on its standard output, told apart by `type`.

Both ends use this module: the child encodes a `Message`, PID 1 decodes it. The child is newer or older than PID 1 for a
moment only, during a re-execution; unknown fields are ignored, as msgspec does.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from dmsinit.base.inotify import Watch
from dmsinit.plan import Change, Plan

EX_OK = 0
EX_USAGE = 64
EX_SOFTWARE = 70
EX_TEMPFAIL = 75
EX_CONFIG = 78


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    pass


class Phase(_Message, frozen=True, tag="phase"):
    """A part of the work was done between two moments (monotonic seconds)."""

    name: str
    began: float
    ended: float


class Watching(_Message, frozen=True, tag="watch"):
    """The kernel watches these for PID 1 from now on; not `complete`: some could not be added."""

    watches: Sequence[Watch]
    complete: bool = False


class Waiting(_Message, frozen=True, tag="waiting"):
    """Nobody has a mailbox yet; exit 75 (EX_TEMPFAIL)."""


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One problem, as dmsinit.problem.Problem has it."""

    where: str
    cause: str
    remedy: str = ""


class Invalid(_Message, frozen=True, tag="invalid"):
    """The input cannot be used, and nothing was changed; exit 78 (EX_CONFIG)."""

    problems: Sequence[Problem]
    fqdn_missing: bool = False


class Installed(_Message, frozen=True, tag="installed"):
    """All files are in place; with `--boot` the child awaits a line on its standard input now."""

    fqdn: str
    user_patches: str | None = None


class Result(_Message, frozen=True, tag="plan"):
    """What has to run, and what was changed (or would be); exit 0. `diffs` by path, where somebody asked for them."""

    plan: Plan
    changes: Sequence[Change]
    diffs: Mapping[str, str] = {}


class Changed(_Message, frozen=True, tag="changed"):
    """With `--detect`: these watched files changed."""

    paths: Sequence[str]


class Unchanged(_Message, frozen=True, tag="unchanged"):
    """With `--detect`: no watched file changed; exit 0."""


class Note(_Message, frozen=True, tag="note"):
    """For the log of the change detection, such as whose lock is waited for."""

    text: str
    level: Literal["warn", "debug"] = "warn"


class Warned(_Message, frozen=True, tag="warning"):
    """What a person should know; not `new` when the run before warned of it, too."""

    text: str
    new: bool = False


class RolledBack(_Message, frozen=True, tag="rolled-back"):
    """The files of before the last apply are back; exit 0."""

    paths: Sequence[str]


Message = (
    Phase | Watching | Waiting | Invalid | Installed | Result | Changed | Unchanged | Note | Warned | RolledBack
)  # fmt: skip

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Message).decode
