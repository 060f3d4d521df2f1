"""services/NAME.toml → plan.Service: from the image, /etc/dmsinit/services and the config volume, in this order.

A later file overrides single keys of an earlier one with the same name (tables are merged), or adds a service. Strings
may hold Jinja2 expressions over the context, with the settings' names at top level. With the key `each`, words between
blanks, a file makes a service NAME-WORD for every word, in whose strings `each` is that word; without words it makes
NAME, and `each` is empty. All errors of all files are found at once; each names its file and, where it can be told, the
line.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any, Final

from dmsinit.plan import PlanError, Service, start_order
from dmsinit.problem import Problem, ProblemsFound
from dmsinit.render.paths import LOCAL_SERVICES, SERVICES, VOLUME, VOLUME_SERVICES, Root
from dmsinit.render.services import keys
from dmsinit.render.services.keys import ARRAYS, SECTIONS, Unusable
from dmsinit.render.services.relations import INVERSE, Relations
from dmsinit.render.templates.jinja import Templates
from dmsinit.settings import FIELDS

DIRECTORIES: Final = (SERVICES, LOCAL_SERVICES, VOLUME_SERVICES)
_KEYS: Final = {**SECTIONS, "": {**SECTIONS[""], "each": keys.text}}
"""`each` says how many services a file makes; all other keys are about one service."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_PLAIN: Final = re.compile(r"\{\{ *(not +)?([a-z_][a-z0-9_]*) *\}\}")
"""An expression that needs no Jinja2: one name, perhaps negated. Nearly all conditions are."""


@dataclass(frozen=True)
class Source:
    """A file that says something about a service; `label` is how a person calls it."""

    label: str
    text: str

    def line(self, section: str, key: str, index: int = 0) -> str:
        """Return `label:line` of a key (of a table: its header), or the label when the line is not found.

        Of several tables with one name (`[[log]]`), `index` counts them from 0.
        """
        current, left = "", index
        for number, line in enumerate(self.text.splitlines(), 1):
            if header := re.match(r"\s*\[\[?\s*([\w-]+)\s*\]", line):
                left -= current == section != ""
                current = header.group(1)
                if not key and current == section and left == 0:
                    return f"{self.label}:{number}"
            elif key and current == section and left == 0 and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
                return f"{self.label}:{number}"
        return self.label


@dataclass
class Definition:
    """A service as its files say: merged values, and which file each (section, key) comes from."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    sources: dict[tuple[str, str], Source] = field(default_factory=dict)
    last: Source = field(default_factory=lambda: Source("", ""))

    def where(self, section: str, key: str = "", index: int = 0) -> str:
        """Return the file and line of a key, in the table of that name number `index`."""
        source = self.sources.get((section, key)) or self.sources.get(("", section), self.last)
        return source.line(section, key, index)

    def merge(self, values: Mapping[str, Any], source: Source) -> None:
        """Let `values` override what is known so far, key by key."""
        self.last = source
        for key, value in values.items():
            if isinstance(value, dict):
                self.sources[(key, "")] = source
                table = self.values.get(key)
                self.values[key] = {**table, **value} if isinstance(table, dict) else dict(value)
                for inner in value:
                    self.sources[(key, inner)] = source
            else:
                self.values[key] = value
                self.sources[("", key)] = source


def load(root: Root, templates: Templates, context: Mapping[str, Any]) -> tuple[Service, ...]:
    """Return all services, disabled ones too; ProblemsFound with everything that is wrong with any of them."""
    problems: list[Problem] = []
    variables = variables_of(context)
    relations = Relations()
    known = tuple(
        service
        for one in definitions(root, problems)
        for word in words(one, templates, variables, problems)
        if (service := _service(one, word, templates, variables, relations, problems)) is not None
    )
    names = [service.name for service in known]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.append(Problem("services", f"two files make a service {name}", "give one of them another name"))
    if not problems:
        known = relations.resolved(known, problems)
    if not problems:
        try:
            start_order(known)
        except PlanError as error:
            problems.append(Problem("services", str(error), "correct requires, wants or after of one of them"))
    if problems:
        raise ProblemsFound(problems)
    return known


def definitions(root: Root, problems: list[Problem]) -> list[Definition]:
    """Return the merged definitions by name; files that are no TOML are reported and left out."""
    found: dict[str, Definition] = {}
    for directory in DIRECTORIES:
        for file in root.listing(directory):
            if not file.endswith(".toml") or file.startswith("."):
                continue
            label = f"{directory}/{file}".removeprefix(f"{VOLUME}/")
            name = file.removesuffix(".toml")
            if not _NAME.fullmatch(name):
                cause = "is not a service name: lower-case letters, digits and . _ -"
                problems.append(Problem(label, cause, "rename the file"))
                continue
            source, values = _parse(root, f"{directory}/{file}", label, problems)
            if values is not None:
                found.setdefault(name, Definition(name)).merge(values, source)
    return [found[name] for name in sorted(found)]


def expressions(root: Root) -> list[str]:
    """Return all strings of the image's services that need Jinja2, to be compiled ahead of time."""
    found: list[str] = []
    values: list[Any] = [definition.values for definition in definitions(root, [])]
    while values:
        value = values.pop()
        if isinstance(value, str) and "{" in value and not _PLAIN.fullmatch(value):
            found.append(value)
        elif isinstance(value, dict):
            values.extend(value.values())
        elif isinstance(value, list):
            values.extend(value)
    return found


def own_files(root: Root) -> bool:
    """Return whether a user defines services; the image's own need no early check."""
    return any(root.listing(directory) for directory in DIRECTORIES[1:])


def _parse(root: Root, path: str, label: str, problems: list[Problem]) -> tuple[Source, dict[str, Any] | None]:
    try:
        text = (root.read(path) or b"").decode("utf-8-sig").replace("\r\n", "\n")
        return Source(label, text), _tables(text)
    except OSError as error:
        problems.append(Problem(label, f"cannot be read: {error.strerror}", "make it a readable file"))
    except UnicodeDecodeError:
        problems.append(Problem(label, "is not UTF-8", "save it with the encoding UTF-8"))
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at line (\d+), column \d+\)", str(error))
        cause = re.sub(r" \(at .*\)$", "", str(error))
        where = f"{label}:{place.group(1)}" if place else label
        problems.append(Problem(where, f"is not TOML: {cause}", "see https://toml.io"))
    return Source(label, ""), None


@lru_cache
def _tables(text: str) -> dict[str, Any]:
    """Return the tables of a file, which is read twice in a run (`facts`, `load`); nobody changes them."""
    return tomllib.loads(text)


def variables_of(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return what expressions see: the context, and the settings by their names."""
    settings = context["settings"]
    return {**{name.lower(): getattr(settings, name.lower()) for name in FIELDS}, **context}


def words(
    definition: Definition, templates: Templates, variables: Mapping[str, Any], problems: list[Problem]
) -> list[str]:
    """Return what stands in a definition's `each`: a service for every word, or [""] for the one that has no word."""
    reader = Reader(definition, templates, variables, problems)
    return reader.section("", {"each": definition.values.pop("each", "")}).get("each", "").split() or [""]


def _service(
    definition: Definition, word: str, templates: Templates, variables: Mapping[str, Any], relations: Relations,
    problems: list[Problem],
) -> Service | None:  # fmt: skip
    """Return the service of one word, or None with what is wrong with it added to `problems`."""
    reader = Reader(definition, templates, {**variables, "each": word}, problems)
    arguments = reader.section("", definition.values)
    for section in SECTIONS:
        if section and section in definition.values:
            arguments[section] = reader.table(section, definition.values[section])
    if "command" not in definition.values:
        remedy = 'write command = ["/path/of/the/daemon", "--in-foreground"]'
        problems.append(Problem(definition.last.label, f"service {definition.name} has no command", remedy))
        return None
    if reader.failed:
        return None
    name = f"{definition.name}-{word}" if word else definition.name
    for key in INVERSE:
        relations.add(name, key, arguments.pop(key, ()), definition.where("", key))
    return keys.build(name, arguments)


class Reader:
    """Reads the keys of one definition; `failed` once something cannot be used."""

    def __init__(
        self, definition: Definition, templates: Templates, variables: Mapping[str, Any], problems: list[Problem]
    ) -> None:
        self._definition = definition
        self._templates = templates
        self._variables = variables
        self._problems = problems
        self.failed = False

    def table(self, name: str, table: Any) -> dict[str, Any]:
        """Return the arguments that a table such as [ready] yields."""
        if not isinstance(table, dict):
            self._report(self._definition.where("", name), f"{name} must be a table", f"write [{name}] and keys below")
            return {}
        return self.section(name, table)

    def section(self, section: str, table: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a section's keys, converted; unknown keys are reported with the nearest known one."""
        return self._converted(section, table, _KEYS[section])

    def tables(self, name: str, *needed: str) -> list[dict[str, Any]]:
        """Return the values of each of the tables `[[NAME]]`, converted; one without a `needed` key is reported."""
        tables = self._definition.values.get(name, [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            self._report(self._definition.where("", name), f"{name} must be tables", f"write [[{name}]] and keys below")
            return []
        found = [self._converted(name, table, ARRAYS[name], index) for index, table in enumerate(tables)]
        for index, table in enumerate(tables):
            for key in set(needed) - set(table):
                self._report(self._definition.where(name, "", index), f"[[{name}]] has no {key}", "write it below")
        return [values for values in found if set(needed) <= set(values)]

    def _converted(
        self, section: str, table: Mapping[str, Any], known: Mapping[str, Callable[[Any], Any]], index: int = 0
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in table.items():
            if not section and (key in SECTIONS or key in ARRAYS):
                continue
            where = partial(self._definition.where, section, key, index)
            if key not in known:
                names = [*known, *((*SECTIONS, *ARRAYS) if not section else ())]
                self._unknown(where(), f"{section}.{key}" if section else key, key, names)
                continue
            try:
                found[key] = known[key](self._expanded(value, where))
            except Unusable as error:
                self._report(where(), f"{key} {error}", error.remedy)
            except ProblemsFound as error:
                self.failed = True
                self._problems.extend(error.problems)
        return found

    def _expanded(self, value: Any, where: Callable[[], str]) -> Any:
        """Return a value with the expressions in its strings resolved; list items that yield nothing are left out."""
        if isinstance(value, str):
            return self._expand(value, where)
        if isinstance(value, list):
            items = [(item, self._expanded(item, where)) for item in value]
            return [new for old, new in items if new != "" or old == ""]
        if isinstance(value, dict):
            return {key: self._expanded(item, where) for key, item in value.items()}
        return value

    def _expand(self, text: str, where: Callable[[], str]) -> str:
        if "{" not in text:
            return text
        plain = _PLAIN.fullmatch(text)
        if plain and plain.group(2) in self._variables:
            value = self._variables[plain.group(2)]
            return str(not value) if plain.group(1) else str(value)
        return self._templates.expand(text, where, self._variables)

    def _unknown(self, where: str, full: str, key: str, known: Iterable[str]) -> None:
        import difflib  # rare: only for who mistyped

        near = difflib.get_close_matches(key, list(known), n=1)
        self._report(where, f"there is no key {full}", f"did you mean {near[0]}?" if near else "delete it")

    def _report(self, where: str, cause: str, remedy: str) -> None:
        self.failed = True
        self._problems.append(Problem(where, cause, remedy))
