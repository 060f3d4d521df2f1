"""The boot: Settings → render → Plan → converge for the first time, until the server is up."""

import os
import time
from collections.abc import Callable, Iterable
from typing import Final

import anyio

from dmsinit.base.spawn import RenderProcess, start_render
from dmsinit.control.client import STARTING_VARIABLE
from dmsinit.log import Log
from dmsinit.pid1.file_changes import Watcher
from dmsinit.pid1.rendering import Conversation, NoAccounts, Rendered
from dmsinit.pid1.system import System
from dmsinit.plan import Plan
from dmsinit.render_protocol import Installed
from dmsinit.supervisor import Children, Reason, Span
from dmsinit.supervisor.unit import Unit

ACCOUNT_WAIT_SECONDS: Final = 120
ACCOUNT_REMINDER_SECONDS: Final = 10
PATIENCE_SECONDS: Final = 60
"""After this the late services start although something is not ready: the mail log, for one."""


class Boot:
    """The first rendering and what follows from it; `set_levels` gets the Plan before anything is started."""

    def __init__(
        self, system: System, children: Children, watcher: Watcher, log: Log, set_levels: Callable[[Plan], None]
    ) -> None:
        self._system = system
        self._supervisor = system.supervisor
        self._children = children
        self._watcher = watcher
        self._log = log
        self._set_levels = set_levels

    async def run(self, rendering: RenderProcess) -> None:
        """Settings → render → Plan → converge, for the first time."""
        self._system.phases += [
            Span(name="start", kind="phase", began=self._system.began, ended=rendering.began),
            Span(name="imports", kind="phase", began=rendering.began, ended=time.monotonic()),
        ]
        rendered = await self._render_with_accounts(rendering)
        self._system.phases += rendered.phases
        self._system.fqdn = rendered.plan.fqdn
        self._set_levels(rendered.plan)
        await self._supervisor.converge(rendered.plan, rendered.changes, Reason.BOOT)

    async def _render_with_accounts(self, rendering: RenderProcess) -> Rendered:
        """Render; while there is no account yet, wait for one, as a new user adds it to the running container."""
        deadline = time.monotonic() + ACCOUNT_WAIT_SECONDS
        while True:
            try:
                rendered = await Conversation(
                    rendering, self._children, self._run_user_patches, watching=self._watcher.adopt
                ).finish()
                self._system.account_deadline = None
                return rendered
            except NoAccounts:
                await self._account_added(deadline)
                rendering = start_render("--boot", self._watcher.instance)

    async def _account_added(self, deadline: float) -> None:
        """Return when something may have changed in the config volume; raise NoAccounts at the deadline."""
        self._system.account_deadline = deadline
        while (left := deadline - time.monotonic()) > 0:
            self._log.warn(f"there is no mail account yet; add one within {left:.0f} s: setup email add USER@DOMAIN")
            with anyio.move_on_after(min(ACCOUNT_REMINDER_SECONDS, left)):
                await self._watcher.changed()
                return
            if self._watcher.polls:
                return
        raise NoAccounts

    async def _run_user_patches(self, message: Installed) -> None:
        """Run the user's script between rendering and the daemons, as root with the container's environment."""
        script = message.user_patches
        if not script:
            return
        began = time.monotonic()
        self._log.info(f"running {script}")
        environment = {**os.environ, STARTING_VARIABLE: "1"}
        ended = await self._children.spawn(["bash", script], env=environment, stdout=1, stderr=2).wait()
        if not ended.success:
            self._log.warn(f"{script} ended with {ended}; continuing startup")
        self._system.phases.append(Span(name="user-patches", kind="phase", began=began, ended=time.monotonic()))

    async def announce(self) -> None:
        """Say that the server is up when everything that mail needs is ready, and let the late services start."""
        if self._system.state == "ready":  # a predecessor has said so
            return
        with anyio.move_on_after(PATIENCE_SECONDS):
            await self._supervisor.whole.until_settled()
        if down := self._supervisor.whole.essential_but_down():
            self._log.error(f"not up: mail needs {_troubles(down)}; see dmsctl status")
            self._boot_is_over()
            await self._supervisor.whole.until_essential()
        if troubled := self._supervisor.whole.troubled():
            self._log.warn(f"not everything is ready: {_troubles(troubled)}; see dmsctl status")
        self._system.state = "ready"
        self._log.info(f"{self._system.fqdn} is up and running")
        self._boot_is_over()

    def _boot_is_over(self) -> None:
        """Let those go on who wait for the end of the boot: late services, and whoever wants to change something."""
        self._supervisor.come_up()
        self._system.boot_is_over()


def _troubles(units: Iterable[Unit]) -> str:
    return ", ".join(f"{unit.name} ({unit.trouble})" for unit in units)
