"""The steps of a rendering: stage the files, have them checked, install them, and read what services they make."""

import os
from collections.abc import Iterable
from typing import Final

from dmsinit.base.atomic import replace_file
from dmsinit.log import timestamp
from dmsinit.plan import Change, Service
from dmsinit.problem import Problem, ProblemsFound
from dmsinit.render import build
from dmsinit.render.check import indexes, own, patched, postfix, validate
from dmsinit.render.check.verdict import Verdict
from dmsinit.render.inputs import watched
from dmsinit.render.inputs.context import Inputs
from dmsinit.render.install.install import Installer, Result
from dmsinit.render.install.outcome import alias_database
from dmsinit.render.mode import Mode
from dmsinit.render.overrides import dovecot23, files
from dmsinit.render.paths import LOGS, TEMPLATE_CACHE, TEMPLATES, USER_PATCHES, WORK, mount_points
from dmsinit.render.run import Run
from dmsinit.render.services import definitions, facts
from dmsinit.render.services.configured import Configured
from dmsinit.render.services.owners import changes_of
from dmsinit.render.stage import Stage
from dmsinit.render.start import prepare, supervisord
from dmsinit.render.start.start import Start, after_change
from dmsinit.render.templates.jinja import Templates
from dmsinit.render.tls import certificate
from dmsinit.render_protocol import Installed

MAIL_LOG: Final = f"{LOGS}/mail.log"
MAIL_LOG_OFFSET: Final = f"{WORK}/mail-log-offset"
"""The size of the mail log when the container started: what the container's output shows begins there."""
LOCAL_CONF: Final = "/etc/dovecot/local.conf"
"""What dovecot.cf of the config volume becomes."""

Planned = tuple[Service, ...]


class Rendering:
    """Files on their way from the inputs, staged in `directory`, to the daemons. Steps raise ProblemsFound."""

    def __init__(self, run: Run, inputs: Inputs, directory: str) -> None:
        self._run = run
        self._root = run.root
        self._inputs = inputs
        self._directory = directory
        self._templates = Templates(self._root(TEMPLATES), self._root(TEMPLATE_CACHE), inputs.context())
        self._configured = Configured(self._root)
        self._mounted: frozenset[str] = frozenset()
        self._missing: list[Problem] = []
        self._planned: Planned | None = None
        self.facts = facts.Facts()
        self.problems: list[Problem] = []

    # Stage

    def stage(self) -> Stage:
        """Write the staged tree; what is wrong with the inputs is kept in `problems`."""
        root, directory = self._root, self._directory
        problems: list[Problem] = []
        names = Configured(root).names()
        context = {**self._inputs.context(), **names, "mail_log_offset": 0, "staged": directory}
        self.facts = facts.read(root, self._templates, context, problems)
        stage, findings = build.build(self._inputs, self._templates, self.facts, root)
        stage.write(directory)
        edited = files.master_cf(stage, directory, self._inputs, root)
        self._run.feedback.warn([*findings.warnings, *edited.warnings])
        self.problems = [*self._inputs.problems, *problems, *findings.problems, *edited.problems]
        return stage

    # Check

    def start_checks(self, stage: Stage) -> "Checks":
        """Start the daemons' checkers on the staged tree: they run beside what follows."""
        self._mounted = mount_points(self._root)
        build.drop_mounted(stage, self._mounted, self._directory)
        stage.complete(self._directory, self._root)
        own_checks = own.Checks(self.facts.checks, self._directory)
        changes_only = self._run.changes_a_server
        return Checks(validate.Checks(stage, self._directory, self._root, changes_only=changes_only), own_checks)

    def read_services(self) -> None:
        """Read services before anything is installed: all errors come at once.

        At a start they are read when user-patches.sh has run; then only those of users are of interest now.
        """
        at_start = self._run.mode is Mode.BOOT
        if at_start and not definitions.own_files(self._root):
            return
        try:
            planned = self._services()
        except ProblemsFound as found:
            self.problems += found.problems
        else:
            self._planned = None if at_start else planned

    def finish_checks(self, checks: "Checks") -> None:
        """Take what the checkers find and is not known already, in better words, of the same line."""
        smtp_only = self._inputs.settings.smtp_only
        former = [] if smtp_only else dovecot23.scan_mounted(self._mounted, self._root)
        places = {problem.where for problem in (*self.problems, *former) if ":" in problem.where}
        verdict = checks.daemons.verdict()
        verdict.problems = [problem for problem in verdict.problems if problem.where not in places]
        verdict.problems += self._absent(verdict.absent, checks.daemons.stage)
        self._await_patches(verdict)
        problems, warnings = certificate.check(self._inputs.certificate.pairs, self._root)
        self._run.feedback.warn([*verdict.warnings, *warnings])
        self.problems += [*former, *verdict.problems, *checks.own.problems(checks.daemons.stage), *problems]

    def _absent(self, absent: list[Problem], stage: Stage) -> list[Problem]:
        """Return which of the files of Dovecot's that do not exist are problems: a check may run where none are."""
        in_force = stage.files.get(LOCAL_CONF)
        if (
            self._run.changes_a_server
            and in_force is not None
            and self._root.read(LOCAL_CONF) != in_force.content
        ):  # fmt: skip
            return absent
        if self._run.mode is not Mode.BOOT:
            self._run.feedback.warn(absent)
            return []
        if not self._has_patches():
            return absent
        self._missing += absent
        return []

    def _await_patches(self, verdict: Verdict) -> None:
        """Decide about files that do not exist: at a start, user-patches.sh may make them."""
        if not self._has_patches() or self._run.changes_a_server:
            verdict.problems += verdict.missing
            verdict.warnings += verdict.jails
            # A start goes on without the mail of one domain.
            (verdict.warnings if self._run.mode is Mode.BOOT else verdict.problems).extend(verdict.tables)
        elif self._run.mode is Mode.BOOT:
            self._missing += verdict.missing
        else:
            remedy = "make sure that user-patches.sh provides it"
            awaited = [*verdict.missing, *verdict.tables, *verdict.jails]
            verdict.warnings += [Problem(problem.where, problem.cause, remedy) for problem in awaited]

    def _has_patches(self) -> bool:
        return os.path.isfile(self._root(USER_PATCHES))

    def refuse_problems(self, more: Iterable[Problem] = ()) -> None:
        """Raise ProblemsFound if there are any."""
        problems = [*self.problems, *more]
        if problems:
            raise ProblemsFound(problems)

    # Install

    def make_certificate(self) -> certificate.Making | None:
        """Start making the server's own certificate, where it has none of the user's."""
        tls = self._inputs.certificate.tls
        if not self._inputs.certificate.make or self._run.previews:
            return None
        return certificate.Making(self._inputs.host.fqdn, tls.cert, tls.key, self._root)

    def preview(self, stage: Stage) -> Result:
        """Return what an installation would change, with `--diff` line by line and without secrets."""
        installer = Installer(stage, self._root, fresh=False, mounted=self._mounted)
        return installer.preview(self._inputs.settings.secrets() if self._run.mode is Mode.DIFF else None)

    def install(self, stage: Stage, start: Start | None = None) -> Result:
        """Bring the files to where daemons read them, and make what belongs to them."""
        result = Installer(stage, self._root, fresh=start is not None, mounted=self._mounted).install()
        if build.FINGERPRINT in result.changes:
            result.changes.update(dict.fromkeys(self._inputs.certificate.tls.chain_files, "modify"))
        made = indexes.make(postfix.tables(stage, self._root), self._root)
        self._run.feedback.warn([*result.warnings, *alias_database(stage, result, self._root), *made])
        self._run.feedback.warn(
            start.after_files() if start else after_change(self._inputs, self.facts, result.changes, self._root)
        )
        return result

    def run_user_patches(self, stage: Stage) -> None:
        """Say that files are in place, wait while PID 1 runs user-patches.sh, and look at what it has done."""
        patches = USER_PATCHES if self._has_patches() else None
        self._run.report.say(Installed(fqdn=self._inputs.host.fqdn, user_patches=patches))
        self._run.report.await_line()
        if patches:
            with self._run.phase("check again"):
                found = patched.check(self._missing, stage, self._root)
                self._run.feedback.warn(found.warnings)
                if found.problems:
                    raise ProblemsFound(found.problems)
        # What user-patches.sh changes is no change that follows (behaviour 10).
        inputs = self._inputs
        self._run.keep_snapshot(watched.snapshot(inputs.watched, self._root) if patches else inputs.snapshot)

    def mark_started(self) -> None:
        """Note that this container has started, and how long its mail log was then."""
        prepare.mark_started(self._root, timestamp())
        replace_file(self._root(MAIL_LOG_OFFSET), str(self._mail_log_offset()).encode(), mode=0o644, durable=False)

    # Services

    def services(self, result: Result) -> tuple[Planned, list[Change]]:
        """Return the services, and whose files have changed."""
        with self._run.phase("services"):
            planned = self._planned
            if planned is None or self._configured.asked & result.changes.keys():
                planned = self._services()
            return planned, changes_of(result.changes, planned)

    def _services(self) -> Planned:
        names = self._configured.names()
        context = {**self._inputs.context(), **names, "mail_log_offset": self._mail_log_offset()}
        loaded = definitions.load(self._root, self._templates, context)
        planned, warnings = supervisord.apply_edits(loaded, self._root)
        self._run.feedback.warn(warnings)
        return planned

    def _mail_log_offset(self) -> int:
        if self._run.mode is not Mode.BOOT:
            return int(self._root.read(MAIL_LOG_OFFSET) or b"0")
        return self._root.read_size(MAIL_LOG) or 0


class Checks:
    """Checkers that have been started: ours of daemons, and those that services bring."""

    def __init__(self, daemons: validate.Checks, own_checks: own.Checks) -> None:
        self.daemons = daemons
        self.own = own_checks
