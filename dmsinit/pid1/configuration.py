"""The configuration while the server runs: changes noticed, applied one at a time, taken back when they do not work.

Contract:
- `watch` carries out what changes in watched files; `apply` is for people who ask for it. Both are the one flow:
  render → validate → install → the smallest action for each service → ready again.
- A service that was well before and does not get ready with its new configuration takes the whole apply back: the
  previous files come back, and the services with them. One that was ill before proves nothing, and only is told.
- An apply ends when the last service runs with what it has changed. Services that reload go on answering meanwhile, and
  the next change does not wait for them: it is installed at once, and they reload once more for all that came. What a
  later change has replaced is not taken back.
- Whatever happens is told in the log, by `system.problems` (`dmsctl status`), to who asked, and in the log of the
  change detection (/var/log/supervisor/changedetector.log, which users read).
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import anyio

from dmsinit.base.spawn import start_render
from dmsinit.control.operations import Changes
from dmsinit.log import Log, timestamp
from dmsinit.pid1.file_changes import Watcher
from dmsinit.pid1.rendering import Conversation, Heard, NoAccounts, Rendered, RenderFailed, Unchanged
from dmsinit.pid1.system import System
from dmsinit.plan import Action, Plan
from dmsinit.problem import ProblemsFound
from dmsinit.render_protocol import Warned
from dmsinit.supervisor import Children, OperationFailed, Reason, Supervisor
from dmsinit.supervisor.converging import Converging

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
        """Held while an apply changes what is installed, and while a preview uses the same staged tree."""
        self._latest: Rendered | None = None
        self._runs = self._refused = 0
        self._under_way: set[asyncio.Future[Exception | None]] = set()
        """What becomes of each apply that has begun: None, or why it is not in force."""
        self._next: asyncio.Task[Changes] | None = None

    async def watch(self) -> None:
        """Carry out every change of a watched file, one at a time, for ever."""
        async with anyio.create_task_group() as group:
            while True:
                # Without a table of what to heed (after a re-execution), the first run brings one.
                names = await self._watcher.changed() if self._watcher.adopted else {""}
                if not names or not self._detecting:
                    continue
                self._log.debug(f"written in the configuration: {', '.join(sorted(names))}")
                installed = asyncio.Event()
                group.start_soon(self._carry_out, installed)
                await installed.wait()

    async def _carry_out(self, installed: asyncio.Event) -> None:
        """Carry out what has changed; `installed` is set when the next change may be."""
        try:
            await self._apply("--detect", installed)
        except Unchanged:
            pass
        except REFUSALS as error:
            self._note(f"not in force: {error}", "error")
            self._log.error(f"cannot apply the changed configuration: {error}")
        finally:
            installed.set()

    async def apply(self) -> Changes:
        """Run the flow again, whatever changed; return the changed files and what was done to services.

        Requests that come while another one waits for its turn share its run, which begins after all of them.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._requested())
        return await asyncio.shield(self._next)

    async def _requested(self) -> Changes:
        """Apply what nobody has applied yet, and see those through that have begun to apply the rest."""
        earlier = list(self._under_way)
        result = await self._apply("--apply")
        for over in earlier:
            failure = await over
            if isinstance(failure, OperationFailed):  # what the volume held then and was refused is no matter now
                raise failure
        return result

    async def preview(self, mode: str) -> Rendered:
        """Run `dmsinit render --plan` or `--diff`, after the apply that is under way."""
        async with self.busy:
            return await self._render(mode)

    async def _render(self, mode: str, warned: Heard = lambda warning: None) -> Rendered:
        """Run `dmsinit render MODE`; `warned` gets its warnings."""
        try:
            rendering = start_render(mode, self._watcher.instance)
            return await Conversation(
                rendering, self._children, heard=self._note, warned=warned, watching=self._watcher.adopt
            ).finish()
        except RenderFailed as error:
            raise OperationFailed(f"cannot render the configuration: {error}") from error

    async def _rendered(self, mode: str) -> Rendered:
        """Render, and keep the warnings for whoever asks what came of it."""
        heard: list[Warned] = []
        try:
            rendered = await self._render(mode, heard.append)
        except REFUSALS:
            self._system.warned(heard)
            raise
        self._system.warned(heard)
        return rendered

    async def _asked_for(self) -> Rendered:
        """Render for all who have asked until now; what has changed until now is read here, and needs no second run."""
        self._next = None
        changed = self._watcher.take()
        try:
            return await self._rendered("--apply")
        except OperationFailed:  # it died, and what it has read is nowhere
            self._watcher.put_back(changed)
            raise

    @property
    def _detecting(self) -> bool:
        detector = self._supervisor.units.get(DETECTOR)
        return detector is None or detector.wanted

    async def _apply(self, mode: str, installed: asyncio.Event | None = None) -> Changes:
        self._runs += 1
        run = self._runs
        over: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        self._under_way.add(over)
        outcome: Exception | None = None
        try:
            with self._system.applying():
                result = await self._flow(mode, installed or asyncio.Event())
        except REFUSALS as error:
            self._refused, outcome = run, error
            self._system.problems = [f"the last change of the configuration is not in force: {error}"]
            raise
        finally:
            self._under_way.discard(over)
            over.set_result(outcome)
        if run > self._refused:
            self._system.problems = []
        return result

    async def _flow(self, mode: str, installed: asyncio.Event) -> Changes:
        async with self.busy:
            began = time.monotonic()
            rendered = self._latest = await (self._asked_for() if mode == "--apply" else self._rendered(mode))
            before = self._supervisor.plan
            well = {unit.name for unit in self._supervisor.units.values() if unit.done}
            try:
                converging = await self._converge(rendered, asked=mode == "--apply")
            except OperationFailed as failure:
                raise await self._judged(failure, before, well, rendered) from failure
        installed.set()
        try:
            await converging.reloaded()
        except OperationFailed as failure:
            async with self.busy:
                raise await self._judged(failure, before, well, rendered) from failure
        return self._completed(rendered, converging.actions, began)

    def _completed(self, rendered: Rendered, done: Sequence[Action], began: float) -> Changes:
        what = ", ".join(f"{action.service} {action.action}" for action in done) or "no service concerned"
        sentence = f"{time.monotonic() - began:.2f} s: {len(rendered.changes)} files, {what}"
        if rendered.changes or done:
            self._log.info(f"configuration applied in {sentence}")
        self._note(f"Completed handling of detected change in {sentence}")
        return Changes(changes=rendered.changes, actions=done)

    async def _converge(self, rendered: Rendered, *, asked: bool) -> Converging:
        converging = await self._supervisor.begin(rendered.plan, rendered.changes, Reason.CONFIG_CHANGED, asked=asked)
        if converging.actions:
            touched = ", ".join(action.service for action in converging.actions)
            self._note(f"Reloading services due to detected changes: {touched}")
        for action in converging.actions:
            if action.service in converging.again:
                if asked:
                    await self._try_again(action.service)
            elif action.action == "start" and self._must_become_ready(action.service):
                await self._supervisor.operate(action.service, "start", wait=True)
        return converging

    async def _try_again(self, name: str) -> None:
        """See a service through that was ill before; that it stays so is not the fault of this apply."""
        try:
            await self._supervisor.operate(name, "start", wait=True)
        except OperationFailed as failure:
            self._log.warn(f"{name} does not start, as before: {failure}")

    async def _judged(
        self, failure: OperationFailed, before: Plan | None, well: set[str], rendered: Rendered
    ) -> OperationFailed:
        """Take an apply back when it is to blame and still the latest; return what to tell of it."""
        if before is None or rendered is not self._latest or not self._to_blame(before, well):
            return failure
        return await self._take_back(before, rendered, failure)

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
        self._log.error(f"the new configuration does not work and is rolled back: {failure}")
        try:
            await Conversation(start_render("--roll-back"), self._children).roll_back()
            await self._supervisor.converge(before, rendered.changes, Reason.CONFIG_CHANGED)
        except (RenderFailed, OperationFailed) as second:
            sentence = f"{failure}; rolling back failed too: {second}"
            return OperationFailed(sentence, log_lines=failure.log_lines)
        sentence = f"the new configuration was rolled back: {failure}"
        return OperationFailed(sentence, log_lines=failure.log_lines)

    def _note(self, line: str, level: str = "info") -> None:
        """Write into the log of the change detection, whatever LOG_LEVEL is: scripts wait for its lines."""
        wanted = level != "debug" or self._log.shows(level)
        if wanted and DETECTOR in self._supervisor.units:
            output = self._supervisor.unit(DETECTOR).tree.output
            for part in line.splitlines():
                output.note(f"{timestamp()} {level.upper():5} {DETECTOR}: {part}")
