"""What services/NAME.toml says that is needed before there is a Plan: whether a service runs, and its files and logs.

The rest of these files is read later, when what it asks about is installed (`services`). Both read the same keys.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dmsinit.problem import Problem
from dmsinit.render.check.own import Check
from dmsinit.render.overrides.copies import Override
from dmsinit.render.paths import Root
from dmsinit.render.services import definitions, keys
from dmsinit.render.services.logs import LogFile
from dmsinit.render.services.state import StateDirectory
from dmsinit.render.templates.jinja import Templates


@dataclass
class Facts:
    """What all services say; of those that do not run, only that."""

    enabled: dict[str, bool] = field(default_factory=dict)
    """By name; where a file makes several services, also by the file's name."""
    logs: list[LogFile] = field(default_factory=list)
    state: list[StateDirectory] = field(default_factory=list)
    overrides: list[Override] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)


def read(root: Root, templates: Templates, context: Mapping[str, Any], problems: list[Problem]) -> Facts:
    """Return what the services say; what is wrong with them is added to `problems`. Templates know it as `runs`."""
    found = Facts()
    variables = definitions.variables_of(context)
    for definition in definitions.definitions(root, problems):
        all_words = definitions.words(definition, templates, variables, problems)
        for word in all_words:
            reader = definitions.Reader(definition, templates, {**variables, "each": word}, problems)
            given = {key: value for key, value in definition.values.items() if key == "enabled"}
            enabled = reader.section("", given).get("enabled", not reader.failed)
            name = f"{definition.name}-{word}" if word else definition.name
            found.enabled[name] = enabled
            found.enabled[definition.name] = found.enabled.get(definition.name, False) or enabled
            if word == all_words[0]:
                state = reader.tables("state", "path")
                found.state += [keys.state_directory(one) for one in state if one.get("when", enabled)]
                overrides = reader.tables("override", "file", "target")
                found.overrides += [keys.override(one) for one in overrides if enabled and one.get("when", True)]
            if enabled:
                found.checks += [Check(name, **one) for one in reader.tables("check", "command")]
                logs = reader.tables("log", "path")
                found.logs += [keys.log_file(name, values) for values in logs]
    templates.know(runs=found.enabled)
    return found
