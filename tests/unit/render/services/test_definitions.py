"""Services: merged from three places, with all errors at once."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dmsinit.plan import Service
from dmsinit.problem import Problem, ProblemsFound
from dmsinit.render.paths import TEMPLATE_CACHE, TEMPLATES
from dmsinit.render.services import definitions
from dmsinit.render.services.keys import ARRAYS, PROBES, SECTIONS
from dmsinit.render.templates.jinja import Templates
from dmsinit.settings import load
from tests.unit.render.conftest import System


def loaded(system: System, environ: Mapping[str, str] | None = None, **context: Any) -> dict[str, Service]:
    settings = load(environ or {}, fqdn="mail.example.test").settings
    templates = Templates(system.root(TEMPLATES), system.root(TEMPLATE_CACHE), {})
    return {s.name: s for s in definitions.load(system.root, templates, {"settings": settings, **context})}


def problems(system: System) -> tuple[Problem, ...]:
    with pytest.raises(ProblemsFound) as caught:
        loaded(system)
    return caught.value.problems


def test_conditions_over_settings(system: System) -> None:
    system.service("opendkim", 'command = ["/x"]\nenabled = "{{ enable_opendkim }}"\n')
    system.service("dovecot", 'command = ["/x"]\nenabled = "{{ not smtp_only }}"\n')
    system.service("both", 'command = ["/x"]\nenabled = "{{ enable_opendkim and not smtp_only }}"\n')
    found = loaded(system, {"ENABLE_OPENDKIM": "0"})
    assert {name: service.enabled for name, service in found.items()} == {
        "both": False,
        "dovecot": True,
        "opendkim": False,
    }


def test_arguments_that_yield_nothing_are_left_out(system: System) -> None:
    system.service("one", """command = ["/x", "{{ '-v' if smtp_only }}", "", "{{ fqdn }}:1"]\n""")
    assert loaded(system, fqdn="m.test")["one"].command == ("/x", "", "m.test:1")


def test_volume_overrides_single_keys_and_adds_services(system: System) -> None:
    system.service("one", 'command = ["/x"]\nuser = "u"\n[stop]\nsignal = "INT"\ngrace = "5s"\n')
    system.write("/etc/dmsinit/services/one.toml", '[stop]\ngrace = "6s"\n')
    system.volume("services/one.toml", 'user = "v"\n[limits]\nnofile = 5\n')
    system.volume("services/own.toml", 'command = ["/own"]\nafter = ["one"]\n')
    found = loaded(system)
    one = found["one"]
    assert (one.command, one.user, one.stop.signal, one.stop.grace_seconds) == (("/x",), "v", "INT", 6.0)
    assert one.limits.nofile == 5
    assert found["own"].after == ("one",)
    assert definitions.own_files(system.root)


def test_override_disables_a_service(system: System) -> None:
    system.service("one", 'command = ["/x"]\n')
    assert not definitions.own_files(system.root)
    system.volume("services/one.toml", "enabled = false\n")
    assert loaded(system)["one"].enabled is False


def test_all_errors_of_all_files_at_once(system: System) -> None:
    system.volume("services/a.toml", 'comand = ["/x"]\n')
    system.volume("services/b.toml", 'command = ["/x"]\n\n[stop]\n# how long\ngrace = "soon"\nsignl = "TERM"\n')
    system.volume("services/c.toml", "command = [\n")
    system.volume("services/d.toml", 'command = ["/x"]\nready = "now"\nuser = "{{ nosuch }}"\n')
    system.volume("services/E.toml", 'command = ["/x"]\n')
    system.volume("services/f.toml", b'description = "\xff"\n')
    found = problems(system)
    assert {problem.where for problem in found} == {
        "services/a.toml:1", "services/a.toml", "services/b.toml:5", "services/b.toml:6", "services/c.toml",
        "services/d.toml:2", "services/d.toml:3", "services/E.toml", "services/f.toml",
    }  # fmt: skip
    remedies = {problem.where: problem.remedy for problem in found}
    assert remedies["services/a.toml:1"] == "did you mean command?"
    assert remedies["services/b.toml:6"] == "did you mean signal?"


def test_toml_errors_have_their_line(system: System) -> None:
    system.volume("services/c.toml", 'command = ["/x"]\nuser = oops\n')
    assert problems(system)[0].where == "services/c.toml:2"


def test_error_of_an_image_file_is_told_where_its_value_comes_from(system: System) -> None:
    system.service("one", 'command = ["/x"]\numask = "x"\n')
    system.volume("services/one.toml", 'user = "u"\n')
    assert problems(system)[0].where == "/usr/share/dmsinit/services/one.toml:2"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ('requires = ["nosuch"]', "requires nosuch, which does not exist"),
        ('after = ["two"]', "in a circle"),
        ('requires = ["off"]', "requires off, which is not enabled"),
    ],
)
def test_order_that_cannot_be(system: System, text: str, cause: str) -> None:
    system.service("one", f'command = ["/x"]\n{text}\n')
    system.service("two", 'command = ["/x"]\nafter = ["one"]\n')
    system.service("off", 'command = ["/x"]\nenabled = false\n')
    assert cause in problems(system)[0].cause


def test_expressions_for_the_cache_are_those_that_need_jinja(system: System) -> None:
    system.service("one", """command = ["/x", "{{ a or b }}"]\nenabled = "{{ a }}"\n[env]\nX = "{{ c ~ d }}"\n""")
    assert sorted(definitions.expressions(system.root)) == ["{{ a or b }}", "{{ c ~ d }}"]


def test_files_that_are_no_services_are_ignored(system: System) -> None:
    system.volume("services/README.md", "x")
    system.volume("services/.one.toml.swp", "x")
    assert loaded(system) == {}


REFERENCE = Path(__file__).resolve().parents[4] / "docs" / "reference" / "services.md"


def test_the_reference_has_a_line_for_every_key() -> None:
    rows = [row.split(" | ")[0] for row in REFERENCE.read_text().splitlines() if row.startswith("| `")]
    arrays = [row for row in rows if row.startswith("| `[[")]
    rows = [row for row in rows if row not in arrays]
    assert {name: set(keys) for name, keys in ARRAYS.items()} == {
        name: {key for row in arrays for key in re.findall(r"\w+", row)[1:] if f"[[{name}]]" in row} for name in ARRAYS
    }
    shown = {(re.findall(r"\[(\w+)\]", row) or [""])[0]: set[str]() for row in rows}
    for row in rows:
        section = (re.findall(r"\[(\w+)\]", row) or [""])[0]
        shown[section] |= set(re.findall(r"\w+", row.replace(f"[{section}]", "")))
    assert shown.pop("") == {"each", *SECTIONS[""], *PROBES}
    assert shown == {section: set(keys) for section, keys in SECTIONS.items() if section}


EACH = """
each = "{{ range(1, number + 1) | join(' ') }}"
description = "number {{ each or 'none' }}"
command = ["/x", "{{ '--only=' ~ each if each else '' }}"]
files = ["/etc/x.d/{{ each }}.rc"]
[stop]
grace = "{{ each or 5 }}s"
"""


def test_a_service_for_each_word(system: System) -> None:
    system.service("x", EACH)
    found = loaded(system, number=2)
    assert list(found) == ["x-1", "x-2"]
    assert found["x-2"].command == ("/x", "--only=2")
    assert found["x-2"].files == ("/etc/x.d/2.rc",)
    assert (found["x-2"].description, found["x-2"].stop.grace_seconds) == ("number 2", 2.0)


def test_without_a_word_there_is_the_service_itself(system: System) -> None:
    system.service("x", EACH)
    found = loaded(system, number=0)
    assert list(found) == ["x"]
    assert (found["x"].command, found["x"].description) == (("/x",), "number none")


def test_words_that_cannot_be_had_are_told_once(system: System) -> None:
    system.service("x", 'each = ["a", "b"]\ncommand = ["/x"]\n')
    assert [str(problem) for problem in problems(system)] == [
        "/usr/share/dmsinit/services/x.toml:1: each must be a string; put it in double quotes"
    ]


def test_two_files_may_not_make_the_same_service(system: System) -> None:
    system.service("x", 'each = "a b"\ncommand = ["/x"]\n')
    system.service("x-b", 'command = ["/y"]\n')
    assert [problem.cause for problem in problems(system)] == ["two files make a service x-b"]


def test_order_may_be_said_from_the_other_side(system: System) -> None:
    system.service("postfix", 'command = ["/x"]\nwants = ["dovecot"]\n')
    system.service("dovecot", 'command = ["/x"]\n')
    system.volume("services/milter.toml", 'command = ["/m"]\nbefore = ["postfix"]\npauses = ["postfix"]\n')
    found = loaded(system)
    assert found["postfix"].wants == ("dovecot", "milter")
    assert found["postfix"].pauses_for == ("milter",)
    assert (found["milter"].wants, found["milter"].pauses_for) == ((), ())


def test_order_of_an_unknown_service_is_told_with_its_line(system: System) -> None:
    system.volume("services/milter.toml", 'command = ["/m"]\nbefore = ["postfixx"]\n')
    assert [str(problem) for problem in problems(system)] == [
        "services/milter.toml:2: before of milter names postfixx, which does not exist; correct the name, or delete it"
    ]
