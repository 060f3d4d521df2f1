"""The one flow of configuration, a list of steps for each mode: gather, stage, check, install, plan."""

import errno
import sys
import tempfile
from collections.abc import Callable
from typing import Final

import msgspec

from dmsinit.base import capabilities
from dmsinit.problem import Problem, ProblemsFound
from dmsinit.render.check import places
from dmsinit.render.inputs import ldap_file, mounts
from dmsinit.render.inputs.context import Inputs, Invalid
from dmsinit.render.inputs.effective import effective
from dmsinit.render.inputs.external_checks import assumed_name
from dmsinit.render.inputs.host import qualified_name
from dmsinit.render.install import journal, rollback
from dmsinit.render.install.file_lock import alone
from dmsinit.render.install.install import Result
from dmsinit.render.install.outcome import plan_of
from dmsinit.render.mode import Mode
from dmsinit.render.paths import STAGED, TEMPLATE_CACHE, TEMPLATES, WORK
from dmsinit.render.programs import run as run_program
from dmsinit.render.run import Run
from dmsinit.render.services import definitions
from dmsinit.render.start import prepare
from dmsinit.render.start.start import Start
from dmsinit.render.steps import Rendering
from dmsinit.render.templates import manifest
from dmsinit.render.templates.jinja import Templates
from dmsinit.render.tls import certificate
from dmsinit.render_protocol import EX_OK, EX_TEMPFAIL, RolledBack, Unchanged, Waiting
from dmsinit.render_protocol import Result as Planned
from dmsinit.settings import SettingsRefused, load

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


def go(run: Run) -> int:
    """Carry a run out and return the exit code; problems are logged and reported, never raised."""
    try:
        return _MODES[run.mode](run)
    except Invalid as invalid:
        run.feedback.warn(invalid.warnings)
        return run.refuse(invalid.problems, fqdn_missing=invalid.fqdn_missing)
    except ProblemsFound as found:
        return run.refuse(found.problems)
    except OSError as error:
        dropped = capabilities.remedy() if error.errno in (errno.EPERM, errno.EACCES) else ""
        if run.mode is Mode.COMPILE or (error.errno not in _NO_ROOM and not dropped):
            raise
        remedy = dropped or "make room, or make it writable, and run dmsctl apply"
        run.snapshot = None
        return run.refuse([Problem(error.filename or WORK, f"cannot be written: {error.strerror}", remedy)])
    finally:
        run.feedback.remember()


def boot(run: Run) -> int:
    """Render everything anew, and repair what a start repairs."""
    inputs = run.gather()
    if inputs.waits_for_accounts and not inputs.problems:
        run.report.say(Waiting())
        return EX_TEMPFAIL
    rendering = Rendering(run, inputs, run.root(STAGED))
    start = Start(inputs, run.root)
    making = rendering.make_certificate()
    with run.phase("render"):
        stage = rendering.stage()
    with run.phase("validate"):
        checks = rendering.start_checks(stage)
        # Meanwhile: repairs that do no harm should the configuration be refused.
        run.feedback.warn([] if rendering.problems else start.before_files(rendering.facts))
        rendering.read_services()
        rendering.finish_checks(checks)
        rendering.refuse_problems(making.finish() if making else ())
    with run.phase("install"):
        result = rendering.install(stage, start)
    expiries = certificate.Expiries(inputs.certificate.files, run.root)
    rendering.run_user_patches(stage)
    rendering.mark_started()
    _show_settings(run, inputs)
    return _plan(run, inputs, rendering, result, expiries)


def apply(run: Run) -> int:
    """Install the differences while daemons run; only one container that shares the volume does so at a time."""
    with alone(run.root, run.report):
        inputs = run.gather()
        if run.snapshot is None:  # `--detect`, and nothing has changed
            run.feedback.keep()
            run.feedback.warn(mounts.stale(run.root))
            run.report.say(Unchanged())
            return EX_OK
        rendering = Rendering(run, inputs, run.root(STAGED))
        making = rendering.make_certificate()
        with run.phase("render"):
            stage = rendering.stage()
        with run.phase("validate"):
            checks = rendering.start_checks(stage)
            rendering.read_services()
            rendering.finish_checks(checks)
            rendering.refuse_problems(making.finish() if making else ())
        with run.phase("install"):
            result = rendering.install(stage)
        expiries = certificate.Expiries(inputs.certificate.files, run.root)
        return _plan(run, inputs, rendering, result, expiries)


def preview(run: Run) -> int:
    """Say what an apply would change."""
    inputs = run.gather()
    rendering = Rendering(run, inputs, run.root(STAGED))
    with run.phase("render"):
        stage = rendering.stage()
    with run.phase("validate"):
        checks = rendering.start_checks(stage)
        rendering.read_services()
        rendering.finish_checks(checks)
        rendering.refuse_problems()
    with run.phase("install"):
        result = rendering.preview(stage)
    return _plan(run, inputs, rendering, result, certificate.Expiries(inputs.certificate.files, run.root))


def check(run: Run) -> int:
    """Say whether the configuration is valid; install nothing."""
    inputs = run.gather()
    with tempfile.TemporaryDirectory(prefix="dmsinit-check-") as directory:
        rendering = Rendering(run, inputs, run.into or f"{directory}/staged")
        stage = rendering.stage()
        run.feedback.warn(prepare.unknown_zone(inputs.settings.tz, run.root))
        rendering.finish_checks(rendering.start_checks(stage))
        rendering.read_services()
        rendering.refuse_problems()
    sys.stdout.write(f"the configuration of {inputs.host.fqdn} is valid\n")
    return EX_OK


def settings(run: Run) -> int:
    """Print the settings in force as JSON, for people's tools."""
    try:
        environ, _ = ldap_file.with_file(run.environ, run.root)
        loaded = load(environ, fqdn=assumed_name(qualified_name(run.root), run.environ)[0])
    except SettingsRefused as refused:
        run.feedback.warn(refused.warnings)
        return run.refuse(refused.problems)
    sys.stdout.buffer.write(msgspec.json.encode(effective(loaded, environ)) + b"\n")
    return EX_OK


def roll_back(run: Run) -> int:
    """Put the files of before the last apply back (PID 1 knows the Plan of then)."""
    changes = rollback.roll_back(run.root)
    if places.ALIASES in changes:
        run_program(["postalias", f"hash:{run.root(places.ALIASES)}"])
    journal.forget(run.root)
    run.report.say(RolledBack(paths=list(changes)))
    return EX_OK


def compile_templates(run: Run) -> int:
    """Compile all templates and the expressions of the image's services and manifest into the cache."""
    templates = Templates(run.root(TEMPLATES), run.root(TEMPLATE_CACHE), {})
    texts = [*manifest.read(run.root).conditions(), *definitions.expressions(run.root)]
    sys.stdout.write(f"compiled {templates.compile(texts)} templates\n")
    return EX_OK


_MODES: Final[dict[Mode, Callable[[Run], int]]] = {
    Mode.BOOT: boot,
    Mode.APPLY: apply,
    Mode.DETECT: apply,
    Mode.ROLL_BACK: roll_back,
    Mode.PLAN: preview,
    Mode.DIFF: preview,
    Mode.CHECK: check,
    Mode.SETTINGS: settings,
    Mode.COMPILE: compile_templates,
}


def _plan(run: Run, inputs: Inputs, rendering: Rendering, result: Result, expiries: certificate.Expiries) -> int:
    """Report what has to run now, and what was changed."""
    planned, changes = rendering.services(result)
    run.handled()
    plan = plan_of(inputs, planned, expiries.read(), run.root)
    run.report.say(Planned(plan=plan, changes=changes, diffs=result.diffs))
    if not run.previews:
        journal.forget(run.root)
    return EX_OK


def _show_settings(run: Run, inputs: Inputs) -> None:
    """Show the settings at LOG_LEVEL=debug (behaviour 23); no secret reaches a log."""
    if inputs.settings.log_level in ("debug", "trace"):
        run.log.warn("the settings follow; secrets are masked, but look through them before others see this log")
    for name, value in inputs.settings.masked().items():
        run.log.debug(f"{name}={value}")
