"""The configuration while the server runs: changes noticed, applied one at a time, taken back when they do not work.

Contract:
- `watch` carries out what changes in watched files; `apply` is for people who ask for it. Both are the one flow:
  render → validate → install → the smallest action for each service → ready again.
- A service that was well before and does not get ready with its new configuration takes the whole apply back: the
  previous files come back, and the services with them. One that was ill before proves nothing, and only is told.
- Whatever happens is told in the log, by `system.problems` (`dmsctl status`), to who asked, and in the log of the
  change detection (/var/log/supervisor/changedetector.log, which users read).
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Final

from dmsinit.inotify import Watcher
from dmsinit.log import Log, timestamp
from dmsinit.plan import Action, Plan
from dmsinit.problem import ProblemsFound
from dmsinit.rendering import Conversation, NoAccounts, Rendered, RenderFailed, Unchanged
from dmsinit.spawn import start_render
from dmsinit.supervisor import Children, OperationFailed, Reason, State, Supervisor
from dmsinit.system import System

DETECTOR: Final = "changedetector"
"""The service that stands for the detection: who stops it wants changes to be left alone."""
REFUSALS: Final = (ProblemsFound, NoAccounts, OperationFailed)


class Configuration:
    """Applies changes to a running system."""

    def __init__(self, system: System, children: Children, watcher: Watcher, log: Log) -> None:
        self._system = system
        self._supervisor: Supervisor = system.supervisor
        self._children = children
        self._watcher = watcher
        self._log = log
        self.busy = asyncio.Lock()
        """Held during an apply."""

    async def watch(self) -> None:
        """Carry out every change of a watched file, one at a time, for ever."""
        while True:
            # Without a table of what to heed (after a re-execution), the first run brings one.
            names = await self._watcher.changed() if self._watcher.adopted else {""}
            if not self._detecting:
                continue
            self._log.debug(f"written in the configuration: {', '.join(sorted(names))}")
            try:
                await self._apply("--detect")
            except Unchanged:
                continue
            except REFUSALS as error:
                self._note(f"not in force: {error}", "error")
                self._log.error(f"cannot apply the changed configuration, everything stays as it was: {error}")

    async def apply(self) -> Mapping[str, object]:
        """Run the flow again, whatever changed; return the changed files and what was done to services."""
        return await self._apply("--apply")

    async def render(self, mode: str) -> Rendered:
        """Run `dmsinit render MODE`."""
        try:
            rendering = start_render(mode, self._watcher.instance)
            return await Conversation(
                rendering, self._children, heard=self._note, watching=self._watcher.adopt
            ).finish()
        except RenderFailed as error:
            raise OperationFailed(f"cannot render the configuration: {error}") from error

    @property
    def _detecting(self) -> bool:
        detector = self._supervisor.units.get(DETECTOR)
        return detector is None or detector.wanted

    async def _apply(self, mode: str) -> Mapping[str, object]:
        async with self.busy:
            try:
                with self._system.applying():
                    return await self._flow(mode)
            except REFUSALS as error:
                self._system.problems = [f"the last change of the configuration is not in force: {error}"]
                raise

    async def _flow(self, mode: str) -> Mapping[str, object]:
        began = time.monotonic()
        rendered = await self.render(mode)
        done = await self._converge(rendered)
        self._system.problems = []
        what = ", ".join(f"{action.service} {action.action}" for action in done) or "no service concerned"
        sentence = f"{time.monotonic() - began:.2f} s: {len(rendered.changes)} files, {what}"
        if rendered.changes or done:
            self._log.info(f"configuration applied in {sentence}")
        self._note(f"change completed in {sentence}")
        return {"changes": rendered.changes, "actions": done}

    async def _converge(self, rendered: Rendered) -> Sequence[Action]:
        before = self._supervisor.plan
        well = {unit.name for unit in self._supervisor.units.values() if unit.state is State.READY}
        try:
            done = await self._supervisor.converge(rendered.plan, rendered.changes, Reason.CONFIG_CHANGED)
            for action in done:
                if action.action == "start" and self._must_become_ready(action.service):
                    await self._supervisor.operate(action.service, "start", wait=True)
            return done
        except OperationFailed as failure:
            if before is None or not self._to_blame(before, well):
                raise
            raise await self._take_back(before, rendered, failure) from failure

    def _must_become_ready(self, name: str) -> bool:
        service = self._supervisor.unit(name).service
        return service.type == "simple" and not service.every_seconds

    def _to_blame(self, before: Plan, well: set[str]) -> list[str]:
        """Return the services that the new configuration has harmed: they were well before, or did not exist."""
        known = {service.name for service in before.services if service.enabled}
        return [
            unit.name
            for unit in self._supervisor.units.values()
            if unit.service.enabled and not unit.done and (unit.name in well or unit.name not in known)
        ]

    async def _take_back(self, before: Plan, rendered: Rendered, failure: OperationFailed) -> OperationFailed:
        """Put the previous files and services back; return what to tell of it."""
        self._log.error(f"the changed configuration does not work, the previous one comes back: {failure}")
        try:
            await Conversation(start_render("--roll-back"), self._children).roll_back()
            await self._supervisor.converge(before, rendered.changes, Reason.CONFIG_CHANGED)
        except (RenderFailed, OperationFailed) as second:
            sentence = f"{failure}; going back to the previous configuration failed, too: {second}"
            return OperationFailed(sentence, log_lines=failure.log_lines)
        sentence = f"the change was taken back, because it does not work: {failure}"
        return OperationFailed(sentence, log_lines=failure.log_lines)

    def _note(self, line: str, level: str = "info") -> None:
        """Write into the log of the change detection."""
        if DETECTOR in self._supervisor.units:
            output = self._supervisor.unit(DETECTOR).tree.output
            for part in line.splitlines():
                output.note(f"{timestamp()} {level.upper():5} {DETECTOR}: {part}")
