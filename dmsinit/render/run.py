"""One run of `dmsinit render`: what all its steps share."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from dmsinit.base.atomic import replace_file
from dmsinit.log import Log
from dmsinit.problem import Problem
from dmsinit.render.feedback import Feedback
from dmsinit.render.inputs import watched
from dmsinit.render.inputs.context import Inputs, gather
from dmsinit.render.mode import Mode
from dmsinit.render.paths import SNAPSHOT, VOLUME, Root
from dmsinit.render.reporter import Reporter
from dmsinit.render_protocol import EX_CONFIG, Changed, Invalid, Phase, Warned
from dmsinit.render_protocol import Problem as ToldProblem
from dmsinit.volume.files import QUOTAS
from dmsinit.volume.tidy import Tidied, create_empty, tidy


class Run:
    """A mode, where it works, and whom it talks to; a check leaves the rendered files in `into`, if one is named.

    `watch` is the descriptor of PID 1's inotify instance, "none" when the kernel has none left, "" when nobody watches.
    """

    def __init__(
        self, mode: Mode, root: Root, environ: Mapping[str, str], log: Log, report: Reporter, *,
        into: str = "", watch: str = "",
    ) -> None:  # fmt: skip
        self.mode = mode
        self.root = root
        self.environ = environ
        self.log = log
        self.report = report
        self.into = into
        self._watch = watch
        self.feedback = Feedback(log, root, mode, lambda text, new: report.say(Warned(text=text, new=new)))
        self.snapshot: str | None = None
        """What the watched files looked like when they were read; None when that does not count."""

    @property
    def previews(self) -> bool:
        """Whether it only says what would change."""
        return self.mode in (Mode.PLAN, Mode.DIFF)

    @property
    def changes_a_server(self) -> bool:
        """Whether daemons run with what it replaces."""
        return self.mode in (Mode.APPLY, Mode.DETECT)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Report how long a part of the work took; people who check are not interested."""
        began = time.monotonic()
        yield
        if self.mode is not Mode.CHECK:
            self.report.say(Phase(name=name, began=began, ended=time.monotonic()))

    def gather(self) -> Inputs:
        """Read everything that configuration is made from. Raises context.Invalid."""
        with self.phase("settings"):
            tidied = tidy(Path(self.root(VOLUME))) if self.mode is Mode.BOOT else Tidied([], [])
            inputs = gather(self.root, self.environ, elsewhere=self.mode is Mode.CHECK, watch=self._have_watched)
        self.log.set_level(inputs.settings.log_level)
        if self.mode is Mode.BOOT and inputs.settings.enable_quotas and create_empty(Path(self.root(VOLUME)), QUOTAS):
            inputs = replace(inputs, snapshot=inputs.snapshot + watched.snapshot([f"{VOLUME}/{QUOTAS}"], self.root))
        if self.mode is not Mode.DETECT or self._detected(inputs):
            self.snapshot = inputs.snapshot
            self.feedback.warn([*tidied.warnings, *inputs.warnings])
            self.feedback.note([*tidied.notes, *inputs.notes])
        return inputs

    def _have_watched(self, places: Iterable[str]) -> list[Problem]:
        """Have PID 1 notified of changes of `places`; return why that is not possible for some."""
        if not self._watch or self.previews:
            return []
        return watched.watch(places, None if self._watch == "none" else int(self._watch), self.report)

    def _detected(self, inputs: Inputs) -> bool:
        """Report which watched files have changed since they were read last; return whether any has."""
        paths = watched.changed(inputs.snapshot, self.root)
        if paths:
            self.report.say(Changed(paths=[path.removeprefix(f"{VOLUME}/") for path in paths]))
        return bool(paths)

    def handled(self) -> None:
        """A change that was carried out or refused is no change any more; one whose run died is one again."""
        if self.changes_a_server and self.snapshot is not None:
            self.keep_snapshot(self.snapshot)

    def keep_snapshot(self, text: str) -> None:
        """Remember what the watched files look like, for the next `--detect`."""
        if watched.changed(text, self.root) or not self.root.exists(SNAPSHOT):
            with suppress(OSError):  # a change that cannot be noted is noticed once more
                replace_file(self.root(SNAPSHOT), text.encode(), mode=0o644, durable=False)

    def refuse(self, problems: Iterable[Problem], *, fqdn_missing: bool = False) -> int:
        """Say what is wrong, each thing once, and return the exit code."""
        listed = list(dict.fromkeys(problems))
        self.feedback.refuse(listed)
        self.handled()
        if self.mode not in (Mode.CHECK, Mode.SETTINGS):
            told = [ToldProblem(where=one.where, cause=one.cause, remedy=one.remedy) for one in listed]
            self.report.say(Invalid(problems=told, fqdn_missing=fqdn_missing))
        return EX_CONFIG
