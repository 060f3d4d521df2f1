"""From an environment to Settings: files, former names, reading, defaults, rules, checks.

Everything that is wrong is collected first, so that a user corrects it once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dmsinit.problem import Problem, ProblemsFound
from dmsinit.settings.checks import check, overrule
from dmsinit.settings.field import Fault, Field, Same, check_printable, holds
from dmsinit.settings.files import FromFiles, ReadFile, read_regular
from dmsinit.settings.former import FORMER
from dmsinit.settings.host import FqdnMissing, check_fqdn, domain_of
from dmsinit.settings.literal import field_of, plain
from dmsinit.settings.model import FIELDS, Settings
from dmsinit.settings.names import passthrough, unknown_names


@dataclass(frozen=True)
class Loaded:
    """Settings, and what to tell the user about them.

    `warnings` are logged as warnings, those that are `Severe` as errors; `notes` as information.
    `sources` says for each variable where its value comes from: `default`, `env`, `file`, `alias` (a former name), or
    `rule` (another setting overrules it).
    """

    settings: Settings
    warnings: tuple[Problem, ...]
    notes: tuple[str, ...]
    sources: Mapping[str, str]


class SettingsRefused(ProblemsFound):
    """The environment cannot be used; `warnings` and `notes` as in Loaded."""

    def __init__(self, problems: list[Problem], warnings: list[Problem], notes: list[str]) -> None:
        super().__init__(problems)
        self.warnings = tuple(warnings)
        self.notes = tuple(notes)

    @property
    def fqdn_missing(self) -> bool:
        """Whether the server has no fully qualified name; then the container ends with status 0."""
        return any(isinstance(problem, FqdnMissing) for problem in self.problems)


def load(environ: Mapping[str, str], *, fqdn: str, read_file: ReadFile = read_regular) -> Loaded:
    """Return the settings of an environment on a host whose `hostname -f` is `fqdn`, or raise SettingsRefused.

    `read_file` returns the text of a regular file for `NAME__FILE`; it raises OSError or ValueError.
    """
    return _Loading(environ, fqdn, read_file).run()


class _Loading:
    """One run of `load`: the steps in the order in which they happen, and what they have found so far."""

    def __init__(self, environ: Mapping[str, str], fqdn: str, read_file: ReadFile) -> None:
        files = FromFiles(environ, read_file)
        self.environ = {**environ, **files.values}
        self.files = files
        self.notes = files.notes
        self.warnings = files.warnings
        self.problems: list[Problem] = []
        self.fqdn = fqdn
        self.texts: dict[str, str] = {}
        self.values: dict[str, Any] = {}
        self.sources: dict[str, str] = {}
        self.faults: list[tuple[Field[Any], Problem]] = []
        self._clean()

    def _clean(self) -> None:
        """Take away what surrounds values and is not meant, such as quotation marks and comments."""
        for name, text in self.environ.items():
            field = field_of(name)
            if field is not None and text:
                self.environ[name], warnings = plain(name, text, field)
                self.warnings += warnings

    def run(self) -> Loaded:
        former = self._former_names()
        self._take_given(former)
        self._name_host()
        for field in FIELDS.values():
            self._resolve(field)
        self._judge_faults()
        self._overrule()
        settings = self._settings()
        findings = check(settings, self.sources)
        self.problems += findings.problems
        self.warnings += findings.warnings
        self.notes += findings.notes
        self.warnings += unknown_names(self.environ)
        if self.problems:
            raise SettingsRefused(self.problems, self.warnings, self.notes)
        return Loaded(settings, tuple(self.warnings), tuple(self.notes), self.sources)

    def _former_names(self) -> dict[str, tuple[str, str]]:
        """Tell about former names that are set; return for each target the former name and what it means today."""
        meanings: dict[str, tuple[str, str]] = {}
        for name, former in FORMER.items():
            text = self.environ.get(name, "")
            if not text or former.quiet:
                continue
            meaning = former.translate(text) if former.target else ""
            self.warnings.append(former.complaint(name, meaning))
            if meaning:
                meanings[former.target] = (name, meaning)
        return meanings

    def _take_given(self, former: Mapping[str, tuple[str, str]]) -> None:
        """Read what is set; an empty text counts as not set, unless the field says otherwise."""
        for name, field in FIELDS.items():
            if self.environ.get(name):
                self._read(field, name, self.environ[name], "file" if name in self.files.values else "env")
            elif field.keep_empty and name in self.environ:
                self._set(field, "", "env", value="")
            elif name in former:
                self._read(field, *former[name], "alias")

    def _read(self, field: Field[Any], where: str, text: str, source: str) -> None:
        try:
            value = field.parse(text)
        except Fault as fault:
            self.faults.append((field, Problem(where, f"{field.quote(text)} {fault.cause}", fault.remedy)))
            if field.fallback is not None:
                self._set(field, "", "default", value=field.fallback)
        else:
            self._set(field, text, source, value=value)
            cause, remedy = field.remark(text) if source != "alias" else ("", "")
            if cause:
                self.warnings.append(Problem(where, f"{field.quote(text)} {cause}", remedy))

    def _set(self, field: Field[Any], text: str, source: str, *, value: Any) -> None:
        self.values[field.name] = value
        self.texts[field.name] = field.canonical(text, value)
        self.sources[field.name] = source

    def _name_host(self) -> None:
        """Let OVERRIDE_HOSTNAME win, and check the name; a bad one is replaced so that the other checks go on."""
        override = self.values.get("OVERRIDE_HOSTNAME", "")
        self.fqdn = (override or self.fqdn).strip().removesuffix(".").lower()
        problem = check_fqdn(self.fqdn, "OVERRIDE_HOSTNAME" if override else "hostname")
        if problem:
            self.problems.append(problem)
            self.fqdn = "mail.example.invalid"

    def _resolve(self, field: Field[Any]) -> None:
        """Give a variable that was not set its default, after those that the default refers to."""
        if field.name in self.values:
            return
        if isinstance(field.default, Same):
            for name in field.default.names:
                self._resolve(FIELDS[name])
            text = next((self.texts[name] for name in field.default.names if self.texts[name]), "")
        else:
            text = field.default.replace("<domain>", domain_of(self.fqdn)).replace("<FQDN>", self.fqdn)
        self._set(field, text, "default", value=field.parse(text))

    def _judge_faults(self) -> None:
        """Sort bad values: only one that matters and has no meaning ends the start."""
        for field, problem in self.faults:
            fatal = field.on_error == "abort" and holds(field.when, self.texts)
            (self.problems if fatal else self.warnings).append(problem)

    def _overrule(self) -> None:
        for rule in overrule(self.texts):
            name = rule.name
            if self.sources[name] != "default" and self.texts[name] != rule.text:
                if rule.expected:
                    self.notes.append(f"{name} counts as {rule.text}: {rule.reason}")
                else:
                    remedy = f"write {name}={rule.text}"
                    self.warnings.append(Problem(name, f"counts as {rule.text}: {rule.reason}", remedy))
            if self.texts[name] != rule.text:
                self._set(FIELDS[name], rule.text, "rule", value=FIELDS[name].parse(rule.text))

    def _settings(self) -> Settings:
        ldap, dovecot = passthrough(self.environ, "LDAP_"), passthrough(self.environ, "DOVECOT_")
        self._check_passthrough("LDAP_", ldap)
        self._check_passthrough("DOVECOT_", dovecot)
        return Settings(
            self.values, self.texts, fqdn=self.fqdn, domain=domain_of(self.fqdn), ldap=ldap, dovecot=dovecot
        )

    def _check_passthrough(self, prefix: str, values: Mapping[str, str]) -> None:
        for key, text in values.items():
            try:
                check_printable(text)
            except Fault as fault:
                self.problems.append(Problem(prefix + key.upper(), f"its value {fault.cause}", fault.remedy))
