"""What follows from an installation: the alias database, and the Plan."""

from dmsinit.base.atomic import replace_file
from dmsinit.plan import Certificate, Plan, Service
from dmsinit.problem import Problem
from dmsinit.render.check import places, validate
from dmsinit.render.inputs.context import Inputs
from dmsinit.render.install.install import Result
from dmsinit.render.paths import RENDERED, Root
from dmsinit.render.programs import run
from dmsinit.render.stage import Stage


def alias_database(stage: Stage, result: Result, root: Root) -> list[Problem]:
    """Install the alias database that the check has made, or make it from a file that a user changed too."""
    database = validate.alias_database(root(RENDERED))
    file = stage.files.get(places.ALIASES)
    if file is None or (places.ALIASES not in result.changes and root.exists(f"{places.ALIASES}.db")):
        return []
    if database is not None and root.read(places.ALIASES) == file.content:
        replace_file(root(f"{places.ALIASES}.db"), database, mode=0o644, durable=False)
        return []
    outcome = run(["postalias", f"hash:{root(places.ALIASES)}"])
    return [Problem(places.ALIASES, outcome.complaint, "correct it")] if outcome.code else []


def plan_of(inputs: Inputs, planned: tuple[Service, ...], certificates: tuple[Certificate, ...], root: Root) -> Plan:
    """Return the Plan: what has to run, and what PID 1 has to know of the configuration."""
    settings = inputs.settings
    return Plan(
        fqdn=inputs.host.fqdn,
        services=planned,
        release=settings.dms_release,
        log_level=settings.log_level,
        supervisor_log_level=settings.supervisor_loglevel,
        log_format="json" if settings.log_format == "json" else "text",
        metrics_listen=settings.metrics_listen,
        accounts=len(inputs.volume.accounts) if settings.account_provisioner == "FILE" else None,
        aliases=len(inputs.volume.aliases) if settings.account_provisioner == "FILE" else None,
        certificates=certificates,
    )
