"""The one flow of configuration: gather, render, validate, install, plan."""

import errno
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from dmsinit import render_protocol
from dmsinit.base import capabilities
from dmsinit.base.atomic import replace_file
from dmsinit.log import Log, timestamp
from dmsinit.plan import Service
from dmsinit.problem import Problem, ProblemsFound
from dmsinit.render import build
from dmsinit.render.check import indexes, own, patched, postfix, validate
from dmsinit.render.feedback import Feedback
from dmsinit.render.inputs import ldap_file, mounts, watched
from dmsinit.render.inputs.context import Inputs, Invalid, gather
from dmsinit.render.inputs.effective import effective
from dmsinit.render.inputs.external_checks import assumed_name
from dmsinit.render.inputs.host import qualified_name
from dmsinit.render.install import journal, rollback
from dmsinit.render.install.file_lock import alone
from dmsinit.render.install.install import Installer, Result
from dmsinit.render.install.outcome import alias_database, plan_of
from dmsinit.render.mode import Mode
from dmsinit.render.overrides import dovecot23, files
from dmsinit.render.paths import (
    LOGS,
    SNAPSHOT,
    STAGED,
    TEMPLATE_CACHE,
    TEMPLATES,
    USER_PATCHES,
    VOLUME,
    WORK,
    Root,
    mount_points,
)
from dmsinit.render.programs import run
from dmsinit.render.reporter import Reporter
from dmsinit.render.services import definitions, facts
from dmsinit.render.services.configured import Configured
from dmsinit.render.services.owners import changes_of
from dmsinit.render.stage import Stage
from dmsinit.render.start import prepare, supervisord
from dmsinit.render.start.start import Start, after_change
from dmsinit.render.templates import manifest
from dmsinit.render.templates.jinja import Templates
from dmsinit.render.tls import certificate
from dmsinit.render_protocol import (
    EX_CONFIG,
    EX_OK,
    EX_TEMPFAIL,
    Changed,
    Installed,
    Phase,
    RolledBack,
    Unchanged,
    Waiting,
    Warned,
)
from dmsinit.settings import SettingsRefused, load
from dmsinit.volume.files import QUOTAS
from dmsinit.volume.tidy import Tidied, create_empty, tidy

MAIL_LOG: Final = f"{LOGS}/mail.log"
MAIL_LOG_OFFSET: Final = f"{WORK}/mail-log-offset"
"""The size of the mail log when the container started: what the container's output shows begins there."""


LOCAL_CONF: Final = "/etc/dovecot/local.conf"
"""What dovecot.cf of the config volume becomes."""
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


Planned = tuple[Service, ...]


class Run:
    """One run of the flow; a check leaves the rendered files in the directory `into`, if one is named.

    `watch` is the descriptor of PID 1's inotify instance, "none" when the kernel has none left, "" when nobody watches.
    """

    def __init__(
        self, mode: Mode, root: Root, environ: Mapping[str, str], log: Log, report: Reporter, *,
        into: str = "", watch: str = "",
    ) -> None:  # fmt: skip
        self._mode = mode
        self._root = root
        self._environ = environ
        self._log = log
        self._report = report
        self._into = into
        self._watch = watch
        self._feedback = Feedback(log, root, mode, lambda text, new: report.say(Warned(text=text, new=new)))
        self._configured = Configured(root)
        self._mounted: frozenset[str] = frozenset()
        self._missing: list[Problem] = []
        self._facts = facts.Facts()
        self._own_checks = own.Checks((), "")
        self._snapshot: str | None = None

    def go(self) -> int:
        """Carry the run out and return the exit code; problems are logged and reported, never raised."""
        if self._mode is Mode.COMPILE:
            return self._compile()
        try:
            if self._mode is Mode.ROLL_BACK:
                return self._roll_back()
            if self._mode is Mode.SETTINGS:
                return self._settings()
            if self._mode in (Mode.APPLY, Mode.DETECT):
                with alone(self._root, self._report):
                    return self._run()
            return self._run()
        except Invalid as invalid:
            self._feedback.warn(invalid.warnings)
            return self._refuse(invalid.problems, fqdn_missing=invalid.fqdn_missing)
        except ProblemsFound as found:
            return self._refuse(found.problems)
        except OSError as error:
            dropped = capabilities.remedy() if error.errno in (errno.EPERM, errno.EACCES) else ""
            if error.errno not in _NO_ROOM and not dropped:
                raise
            remedy = dropped or "make room, or make it writable, and run dmsctl apply"
            self._snapshot = None
            return self._refuse([Problem(error.filename or WORK, f"cannot be written: {error.strerror}", remedy)])
        finally:
            self._feedback.remember()

    def _run(self) -> int:
        with self._phase("settings"):
            tidied = tidy(Path(self._root(VOLUME))) if self._mode is Mode.BOOT else Tidied([], [])
            inputs = gather(self._root, self._environ, elsewhere=self._mode is Mode.CHECK, watch=self._have_watched)
        self._log.set_level(inputs.settings.log_level)
        if self._mode is Mode.DETECT and not self._detected(inputs):
            self._feedback.keep()
            self._feedback.warn(mounts.stale(self._root))
            self._report.say(Unchanged())
            return EX_OK
        if self._mode is Mode.BOOT and inputs.settings.enable_quotas and create_empty(Path(self._root(VOLUME)), QUOTAS):
            inputs = replace(inputs, snapshot=inputs.snapshot + watched.snapshot([f"{VOLUME}/{QUOTAS}"], self._root))
        self._snapshot = inputs.snapshot
        self._feedback.warn([*tidied.warnings, *inputs.warnings])
        self._feedback.note([*tidied.notes, *inputs.notes])
        if inputs.waits_for_accounts and not inputs.problems and self._mode is Mode.BOOT:
            self._report.say(Waiting())
            return EX_TEMPFAIL
        templates = Templates(self._root(TEMPLATES), self._root(TEMPLATE_CACHE), inputs.context())
        if self._mode is Mode.CHECK:
            with tempfile.TemporaryDirectory(prefix="dmsinit-check-") as directory:
                return self._check(inputs, templates, self._into or f"{directory}/staged")
        return self._render(inputs, templates)

    def _have_watched(self, places: Iterable[str]) -> list[Problem]:
        """Have PID 1 notified of changes of `places`; return why that is not possible for some."""
        if not self._watch or self._previews:
            return []
        return watched.watch(places, None if self._watch == "none" else int(self._watch), self._report)

    def _settings(self) -> int:
        """Print the settings in force as JSON, for people's tools."""
        try:
            environ, _ = ldap_file.with_file(self._environ, self._root)
            loaded = load(environ, fqdn=assumed_name(qualified_name(self._root), self._environ)[0])
        except SettingsRefused as refused:
            self._feedback.warn(refused.warnings)
            return self._refuse(refused.problems)
        sys.stdout.buffer.write(msgspec.json.encode(effective(loaded, environ)) + b"\n")
        return EX_OK

    def _detected(self, inputs: Inputs) -> bool:
        """Tell which watched files have changed since they were read last; return whether any has."""
        paths = watched.changed(inputs.snapshot, self._root)
        if paths:
            self._report.say(Changed(paths=[path.removeprefix(f"{VOLUME}/") for path in paths]))
        return bool(paths)

    def _handled(self) -> None:
        """A change that was carried out or refused is no change any more; one whose run died is one again."""
        if self._mode in (Mode.APPLY, Mode.DETECT) and self._snapshot is not None:
            self._keep_snapshot(self._snapshot)

    def _keep_snapshot(self, text: str) -> None:
        if watched.changed(text, self._root) or not self._root.exists(SNAPSHOT):
            with suppress(OSError):  # a change that cannot be noted is noticed once more
                replace_file(self._root(SNAPSHOT), text.encode(), mode=0o644, durable=False)

    def _roll_back(self) -> int:
        """Put the files of before the last apply back (PID 1 knows the Plan of then)."""
        changes = rollback.roll_back(self._root)
        if validate.ALIASES in changes:
            run(["postalias", f"hash:{self._root(validate.ALIASES)}"])
        journal.forget(self._root)
        self._report.say(RolledBack(paths=list(changes)))
        return EX_OK

    def _check(self, inputs: Inputs, templates: Templates, directory: str) -> int:
        stage, problems = self._stage(inputs, templates, directory)
        self._feedback.warn(prepare.unknown_zone(inputs.settings.tz, self._root))
        problems += self._verdict(inputs, self._start_checks(stage, directory), problems)
        problems += self._early_services(inputs, templates)[1]
        if problems:
            raise ProblemsFound(problems)
        sys.stdout.write(f"the configuration of {inputs.host.fqdn} is valid\n")
        return EX_OK

    def _render(self, inputs: Inputs, templates: Templates) -> int:
        start = Start(inputs, self._root) if self._mode is Mode.BOOT else None
        making = self._make_certificate(inputs)
        directory = self._root(STAGED)
        with self._phase("render"):
            stage, problems = self._stage(inputs, templates, directory)
        with self._phase("validate"):
            checks = self._start_checks(stage, directory)
            # Meanwhile: repairs that do no harm should the configuration be refused.
            self._feedback.warn(start.before_files(self._facts) if start and not problems else ())
            planned, unusable = self._early_services(inputs, templates)
            problems += unusable
            problems += self._verdict(inputs, checks, problems)
            problems += making.finish() if making else []
        if problems:
            raise ProblemsFound(problems)
        with self._phase("install"):
            result = self._install(inputs, stage, start)
        expiries = certificate.Expiries(inputs.certificate.files, self._root)
        if start:
            self._announce(inputs, stage)
            self._show_settings(inputs)
        with self._phase("services"):
            if planned is None or self._configured.asked & result.changes.keys():
                planned = self._services(inputs, templates)
            changes = changes_of(result.changes, planned)
        self._handled()
        plan = plan_of(inputs, planned, expiries.read(), self._root)
        self._report.say(render_protocol.Result(plan=plan, changes=changes, diffs=result.diffs))
        if not self._previews:
            journal.forget(self._root)
        return EX_OK

    @property
    def _previews(self) -> bool:
        return self._mode in (Mode.PLAN, Mode.DIFF)

    def _stage(self, inputs: Inputs, templates: Templates, directory: str) -> tuple[Stage, list[Problem]]:
        problems: list[Problem] = []
        context = {**inputs.context(), **Configured(self._root).names(), "mail_log_offset": 0, "staged": directory}
        self._facts = facts.read(self._root, templates, context, problems)
        stage, findings = build.build(inputs, templates, self._facts, self._root)
        stage.write(directory)
        edited = files.master_cf(stage, directory, inputs, self._root)
        self._feedback.warn([*findings.warnings, *edited.warnings])
        return stage, [*inputs.problems, *problems, *findings.problems, *edited.problems]

    def _absent(self, absent: list[Problem], stage: Stage) -> list[Problem]:
        """Return which of the files of Dovecot's that do not exist are problems: a check may run where none are."""
        in_force = stage.files.get(LOCAL_CONF)
        running = self._mode in (Mode.APPLY, Mode.DETECT)
        if running and in_force is not None and self._root.read(LOCAL_CONF) != in_force.content:
            return absent
        if self._mode is Mode.BOOT and not os.path.isfile(self._root(USER_PATCHES)):
            return absent
        if self._mode is Mode.BOOT:
            self._missing += absent
        else:
            self._feedback.warn(absent)
        return []

    def _start_checks(self, stage: Stage, directory: str) -> validate.Checks:
        self._mounted = mount_points(self._root)
        build.drop_mounted(stage, self._mounted, directory)
        stage.complete(directory, self._root)
        self._own_checks = own.Checks(self._facts.checks, directory)
        changes_only = self._mode in (Mode.APPLY, Mode.DETECT)
        return validate.Checks(stage, directory, self._root, changes_only=changes_only)

    def _verdict(self, inputs: Inputs, checks: validate.Checks, known: Iterable[Problem]) -> list[Problem]:
        """Return what the checkers find that is not `known` already, in better words, of the same line."""
        former = [] if inputs.settings.smtp_only else dovecot23.scan_mounted(self._mounted, self._root)
        places = {problem.where for problem in (*known, *former) if ":" in problem.where}
        verdict = checks.verdict()
        verdict.problems = [problem for problem in verdict.problems if problem.where not in places]
        verdict.problems += self._absent(verdict.absent, checks.stage)
        self._await_patches(verdict)
        problems, warnings = certificate.check(inputs.certificate.pairs, self._root)
        self._feedback.warn([*verdict.warnings, *warnings])
        return former + verdict.problems + self._own_checks.problems(checks.stage) + problems

    def _await_patches(self, verdict: validate.Verdict) -> None:
        """Decide about files that do not exist: at a start, user-patches.sh may make them."""
        if not os.path.isfile(self._root(USER_PATCHES)) or self._mode in (Mode.APPLY, Mode.DETECT):
            verdict.problems += verdict.missing
            verdict.warnings += verdict.jails
            # A start goes on without the mail of one domain.
            (verdict.warnings if self._mode is Mode.BOOT else verdict.problems).extend(verdict.tables)
        elif self._mode is Mode.BOOT:
            self._missing += verdict.missing
        else:
            remedy = "make sure that user-patches.sh provides it"
            awaited = [*verdict.missing, *verdict.tables, *verdict.jails]
            verdict.warnings += [Problem(problem.where, problem.cause, remedy) for problem in awaited]

    def _early_services(self, inputs: Inputs, templates: Templates) -> tuple[Planned | None, list[Problem]]:
        """Read services before anything is installed: all errors come at once.

        None at a start, where they are read when user-patches.sh has run; then only those of users are of interest now.
        """
        if self._mode is Mode.BOOT and not definitions.own_files(self._root):
            return None, []
        try:
            planned = self._services(inputs, templates)
        except ProblemsFound as found:
            return None, list(found.problems)
        return None if self._mode is Mode.BOOT else planned, []

    def _services(self, inputs: Inputs, templates: Templates) -> Planned:
        context = {**inputs.context(), **self._configured.names(), "mail_log_offset": self._mail_log_offset()}
        planned, warnings = supervisord.apply_edits(definitions.load(self._root, templates, context), self._root)
        self._feedback.warn(warnings)
        return planned

    def _mail_log_offset(self) -> int:
        if self._mode is not Mode.BOOT:
            return int(self._root.read(MAIL_LOG_OFFSET) or b"0")
        return self._root.read_size(MAIL_LOG) or 0

    def _make_certificate(self, inputs: Inputs) -> certificate.Making | None:
        tls = inputs.certificate.tls
        if not inputs.certificate.make or self._previews:
            return None
        return certificate.Making(inputs.host.fqdn, tls.cert, tls.key, self._root)

    def _install(self, inputs: Inputs, stage: Stage, start: Start | None) -> Result:
        installer = Installer(stage, self._root, fresh=start is not None, mounted=self._mounted)
        if self._previews:
            return installer.preview(inputs.settings.secrets() if self._mode is Mode.DIFF else None)
        result = installer.install()
        if build.FINGERPRINT in result.changes:
            result.changes.update(dict.fromkeys(inputs.certificate.tls.chain_files, "modify"))
        made = indexes.make(postfix.tables(stage, self._root), self._root)
        self._feedback.warn([*result.warnings, *alias_database(stage, result, self._root), *made])
        self._feedback.warn(
            start.after_files() if start else after_change(inputs, self._facts, result.changes, self._root)
        )
        return result

    def _announce(self, inputs: Inputs, stage: Stage) -> None:
        """Say that files are in place, wait while PID 1 runs user-patches.sh, and look at what it has done."""
        patches = USER_PATCHES if os.path.isfile(self._root(USER_PATCHES)) else None
        self._report.say(Installed(fqdn=inputs.host.fqdn, user_patches=patches))
        self._report.await_line()
        if patches:
            with self._phase("check again"):
                found = patched.check(self._missing, stage, self._root)
                self._feedback.warn(found.warnings)
                if found.problems:
                    raise ProblemsFound(found.problems)
        # What user-patches.sh changes is no change that follows (behaviour 10).
        self._keep_snapshot(watched.snapshot(inputs.watched, self._root) if patches else inputs.snapshot)
        prepare.mark_started(self._root, timestamp())
        replace_file(self._root(MAIL_LOG_OFFSET), str(self._mail_log_offset()).encode(), mode=0o644, durable=False)

    def _show_settings(self, inputs: Inputs) -> None:
        """Show the settings to who debugs (behaviour 23); no secret reaches a log."""
        if inputs.settings.log_level in ("debug", "trace"):
            self._log.warn("the settings follow; secrets are masked, but look through them before others see this log")
        for name, value in inputs.settings.masked().items():
            self._log.debug(f"{name}={value}")

    def _refuse(self, problems: Iterable[Problem], *, fqdn_missing: bool = False) -> int:
        listed = list(dict.fromkeys(problems))
        self._feedback.refuse(listed)
        self._handled()
        if self._mode not in (Mode.CHECK, Mode.SETTINGS):
            told = [render_protocol.Problem(where=p.where, cause=p.cause, remedy=p.remedy) for p in listed]
            self._report.say(render_protocol.Invalid(problems=told, fqdn_missing=fqdn_missing))
        return EX_CONFIG

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        """Report how long a part of the work took; people who check are not interested."""
        began = time.monotonic()
        yield
        if self._mode is not Mode.CHECK:
            self._report.say(Phase(name=name, began=began, ended=time.monotonic()))

    def _compile(self) -> int:
        """Compile all templates and the expressions of the image's services and manifest into the cache."""
        templates = Templates(self._root(TEMPLATES), self._root(TEMPLATE_CACHE), {})
        texts = [*manifest.read(self._root).conditions(), *definitions.expressions(self._root)]
        sys.stdout.write(f"compiled {templates.compile(texts)} templates\n")
        return EX_OK
