"""The image's own templates and services, rendered for a config volume and an environment of a test's choice."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dmsinit.plan import Service
from dmsinit.problem import Problem
from dmsinit.render import build
from dmsinit.render.inputs.context import gather
from dmsinit.render.inputs.main_cf import parameters
from dmsinit.render.paths import Root
from dmsinit.render.services import definitions, facts
from dmsinit.render.services.configured import Configured
from dmsinit.render.services.state import StateDirectory
from dmsinit.render.stage import StagedDirectory, StagedFile
from dmsinit.render.templates.jinja import Templates

REPOSITORY = Path(__file__).resolve().parents[3]
FQDN = "mail.example.test"
HASH = "{SHA512-CRYPT}$6$abcdefgh$0123456789"


@dataclass(frozen=True)
class Rendered:
    """What a configuration makes: files by path, directories, and services by name."""

    files: dict[str, StagedFile]
    directories: dict[str, StagedDirectory]
    services: dict[str, Service]
    state: list[StateDirectory]

    def text(self, path: str) -> str:
        return self.files[path].content.decode()

    def lines(self, path: str) -> list[str]:
        """Return the lines of a file that are neither blank nor comments."""
        return [line for line in self.text(path).splitlines() if line.strip() and not line.lstrip().startswith("#")]

    def main_cf(self) -> dict[str, str]:
        """Return the parameters of main.cf; one that stands there twice is a defect."""
        lines = self.text("/etc/postfix/main.cf").splitlines()
        found: dict[str, str] = {}
        for parameter in parameters(lines):
            assert parameter.name not in found, f"{parameter.name} stands twice"
            text = " ".join(lines[number].strip() for number in parameter.lines)
            found[parameter.name] = text.partition("=")[2].strip()
        return found

    def master_cf(self) -> dict[str, tuple[list[str], dict[str, str]]]:
        """Return name/type → (the other fields, the -o options) of master.cf."""
        found: dict[str, tuple[list[str], dict[str, str]]] = {}
        options: dict[str, str] = {}
        for line in self.lines("/etc/postfix/master.cf"):
            if line[0] != " ":
                name, kind, *fields = line.split()
                options = {}
                found[f"{name}/{kind}"] = (fields, options)
            elif line.split()[0] == "-o":
                option, _, value = line.split(None, 1)[1].partition("=")
                options[option] = value
        return found

    def dovecot(self, name: str) -> dict[str, str]:
        """Return the settings of a Dovecot file, each under its path: `protocol lmtp/mail_plugins/sieve`."""
        found: dict[str, str] = {}
        blocks: list[str] = []
        for line in self.lines(f"/etc/dovecot/{name}"):
            words = line.strip()
            if words.endswith("{"):
                blocks.append(words[:-1].strip())
            elif words == "}":
                blocks.pop()
            else:
                key, _, value = words.partition("=")
                found["/".join([*blocks, key.strip()])] = value.strip()
        assert not blocks, f"{name}: a block is not closed"
        return found


class System:
    """A root directory that holds the image's templates and services, and a config volume."""

    def __init__(self, directory: Path, compiled: str) -> None:
        self.root = Root(str(directory))
        self._directory = directory
        self._compiled = compiled
        share = directory / "usr/share/dmsinit"
        share.mkdir(parents=True)
        for name in ("templates", "services"):
            os.symlink(REPOSITORY / name, share / name)
        self.write("/etc/resolv.conf", "nameserver 192.0.2.53\nnameserver 2001:db8::53\n")

    def write(self, path: str, text: str) -> None:
        target = self._directory / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def volume(self, name: str, text: str) -> None:
        self.write(f"/tmp/docker-mailserver/{name}", text)

    def render(self, **environment: str) -> Rendered:
        inputs = gather(self.root, {"OVERRIDE_HOSTNAME": FQDN, **environment})
        templates = Templates(self.root("/usr/share/dmsinit/templates"), self._compiled, inputs.context())
        # Not `smtp_at` itself, which asks postconf(1): tests/image/test_listeners.py has it.
        asks = {**Configured(self.root).names(), "smtp_at": "unix:/var/spool/postfix/public/{}".format}
        context = {**inputs.context(), **asks, "mail_log_offset": 1000, "staged": ""}
        problems: list[Problem] = []
        said = facts.read(self.root, templates, context, problems)
        stage, findings = build.build(inputs, templates, said, self.root)
        assert [*problems, *findings.problems] == []
        planned = definitions.load(self.root, templates, context)
        return Rendered(stage.files, stage.directories, {service.name: service for service in planned}, said.state)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Compile all templates once, as the image does when it is built."""
    path = str(tmp_path_factory.mktemp("templates") / "templates.bin")
    Templates(str(REPOSITORY / "templates"), path, {}).compile()
    return path


@pytest.fixture
def system(tmp_path: Path, compiled: str) -> System:
    made = System(tmp_path, compiled)
    place = "userdb_mail_driver=mbox userdb_mail_path=/x"
    made.volume("postfix-accounts.cf", f"anna@example.test|{HASH}\nbob@other.test|{HASH}|{place}\n")
    return made


Render = Callable[..., Rendered]


@pytest.fixture
def render(system: System) -> Render:
    return system.render
