"""Templates, their errors and their cache."""

import pytest

from dmsinit.problem import ProblemsFound
from dmsinit.render.paths import TEMPLATE_CACHE, TEMPLATES
from dmsinit.render.templates.jinja import Templates
from tests.unit.render.conftest import System


def templates(system: System, **context: object) -> Templates:
    return Templates(system.root(TEMPLATES), system.root(TEMPLATE_CACHE), context)


def test_blocks_leave_no_blank_lines(system: System) -> None:
    system.template("etc/a.j2", "{% if x %}\n  {% for i in y %}\nline {{ i }}\n  {% endfor %}\n{% endif %}\nend\n")
    assert templates(system, x=True, y=[1, 2]).render("etc/a.j2") == "line 1\nline 2\nend\n"


def test_names_are_all_files_but_the_manifest(system: System) -> None:
    for name in ("manifest.toml", "etc/a.j2", "etc/b/c", "etc/.hidden"):
        system.template(name, "")
    assert templates(system).names() == ["etc/a.j2", "etc/b/c"]


def test_undefined_name_tells_template_and_line(system: System) -> None:
    path = system.template("etc/a.j2", "one\ntwo {{ nosuch.thing }}\n")
    with pytest.raises(ProblemsFound) as caught:
        templates(system).render("etc/a.j2")
    assert caught.value.problems[0].where == f"{path}:2"
    assert "nosuch" in caught.value.problems[0].cause


def test_syntax_error_tells_the_line(system: System) -> None:
    path = system.template("etc/a.j2", "one\n{% if %}\n")
    with pytest.raises(ProblemsFound) as caught:
        templates(system).render("etc/a.j2")
    assert caught.value.problems[0].where == f"{path}:2"


def test_expressions_of_other_files(system: System) -> None:
    found = templates(system)
    assert found.expand("a {{ x + 1 }} b", lambda: "service.toml:3", {"x": 1}) == "a 2 b"
    with pytest.raises(ProblemsFound) as caught:
        found.expand("{{ nosuch }}", lambda: "service.toml:3", {})
    assert caught.value.problems[0].where == "service.toml:3"


def test_cache_is_used_while_it_is_true(system: System) -> None:
    system.template("etc/a.j2", "{{ x }}")
    assert templates(system).compile(["{{ y }}"]) == 2
    fresh = templates(system, x=1)
    known = dict(fresh._cache.known)
    assert len(known) == 2
    assert fresh.render("etc/a.j2") == "1"
    assert fresh._cache.known == known
    system.template("etc/a.j2", "changed {{ x }}")
    assert templates(system, x=1).render("etc/a.j2") == "changed 1"


def test_damaged_cache_is_as_none(system: System) -> None:
    system.template("etc/a.j2", "{{ x }}")
    system.write(TEMPLATE_CACHE, b"\x00garbage")
    assert templates(system, x=1).render("etc/a.j2") == "1"


def test_executable_templates_make_executable_files(system: System) -> None:
    system.template("usr/bin/x", "#!/bin/sh\n").chmod(0o755)
    system.template("etc/a", "")
    found = templates(system)
    assert (found.mode("usr/bin/x"), found.mode("etc/a")) == (0o755, 0o644)
    assert found.read("usr/bin/x") == b"#!/bin/sh\n"
