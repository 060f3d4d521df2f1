"""Inputs → Stage: templates, override files, certificates and the generated files, all in memory."""

import os
from typing import Final

from dmsinit.problem import Problem, ProblemsFound
from dmsinit.render.inputs.context import Inputs
from dmsinit.render.inputs.texts import Findings
from dmsinit.render.overrides import files
from dmsinit.render.paths import Root
from dmsinit.render.services import logs
from dmsinit.render.services.facts import Facts
from dmsinit.render.stage import Stage
from dmsinit.render.start import prepare
from dmsinit.render.templates import manifest
from dmsinit.render.templates.jinja import SUFFIX, Templates
from dmsinit.render.tls.ssl_type import DIRECTORY
from dmsinit.settings import exports, settings_file

FINGERPRINT: Final = f"{DIRECTORY}/in-use.sha256"
"""Digests of a certificate that is used where it lies: its renewal is a change of what daemons are made of."""


def build(inputs: Inputs, templates: Templates, facts: Facts, root: Root) -> tuple[Stage, Findings]:
    """Return everything that is to be installed; ProblemsFound when a template cannot be rendered."""
    stage = Stage()
    problems = _templates(stage, inputs, templates, facts, root)
    if problems:
        raise ProblemsFound(problems)
    _generated(stage, inputs, root)
    logs.stage(stage, facts.logs)
    findings = files.apply(stage, inputs, facts.overrides, root)
    _certificates(stage, inputs, root, findings)
    return stage, findings


def _templates(stage: Stage, inputs: Inputs, templates: Templates, facts: Facts, root: Root) -> list[Problem]:
    entries = manifest.read(root)
    variables = inputs.context()
    problems: list[Problem] = []

    def expand(text: str) -> str:
        return templates.expand(text, lambda: manifest.NAME, variables)

    for name in templates.names():
        path = "/" + name.removesuffix(SUFFIX)
        entry = entries.of(path)
        try:
            if not manifest.holds(entry, facts.enabled, expand):
                continue
            content = templates.render(name) if name.endswith(SUFFIX) else templates.read(name)
        except ProblemsFound as found:
            problems.extend(found.problems)
            continue
        mode = entry.mode if entry.mode is not None else templates.mode(name)
        stage.add(path, content, owner=entry.owner, group=entry.group, mode=mode)
    for path, entry in entries.directories():
        if manifest.holds(entry, facts.enabled, expand):
            stage.add_directory(path, owner=entry.owner, group=entry.group, mode=entry.mode or 0o755)
    return problems


def _generated(stage: Stage, inputs: Inputs, root: Root) -> None:
    """Stage the settings as tools and login shells read them (behaviour 2); they hold secrets."""
    effective = inputs.settings.effective()
    stage.add("/etc/dms-settings", settings_file(effective), mode=0o600)
    present = (root.read("/root/.bashrc") or b"").decode("utf-8", "surrogateescape")
    stage.add("/root/.bashrc", prepare.bashrc(present, exports(effective)), mode=0o600)


def _certificates(stage: Stage, inputs: Inputs, root: Root, findings: Findings) -> None:
    for copy in inputs.certificate.copies:
        try:
            content = root.read(copy.source) or b""
        except OSError as error:
            remedy = "make it readable for root in the container"
            findings.problems.append(Problem(copy.source, f"cannot be read: {error.strerror}", remedy))
            continue
        stage.add(copy.target, content, mode=copy.mode)
    stage.links.update(inputs.certificate.links)
    _fingerprint(stage, inputs, root)


def _fingerprint(stage: Stage, inputs: Inputs, root: Root) -> None:
    """Let a renewed certificate that is used in place count as a change of a file that daemons are made of."""
    if inputs.certificate.tls.kind != "letsencrypt":
        return
    from hashlib import sha256

    lines = []
    for path in inputs.certificate.tls.chain_files:
        content = root.read(path)
        if content is not None:
            lines.append(f"{sha256(content).hexdigest()}  {path}\n")
    if lines:
        stage.add(FINGERPRINT, "".join(lines))


def drop_mounted(stage: Stage, mounted: frozenset[str], directory: str) -> None:
    """Take away from the staged tree what a user mounted over, so that validators read the mounted file instead."""
    for path in stage.files.keys() & mounted:
        os.unlink(directory + path)
