"""What PID 1 may be made of: small, without threads, and with one owner of waiting.

asyncio itself brings logging, concurrent.futures, subprocess, threading and ssl along. So two things are asked: that
none of *our* modules imports them, and that nothing heavy of others is there after PID 1 has imported all it is.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "dmsinit"

FORBIDDEN_IMPORTS = frozenset(
    {"concurrent", "jinja2", "logging", "multiprocessing", "requests", "socketserver", "ssl", "subprocess", "threading"}
)
LOOKS_UP_NAMES = frozenset({"getaddrinfo", "gethostbyname", "getfqdn", "getpwnam", "getpwuid", "getgrnam", "getgrgid"})
"""They may ask a name server or a directory, and block (NSS)."""
WAITS = frozenset({"wait", "wait3", "wait4", "waitid", "waitpid", "waitstatus_to_exitcode", "create_subprocess_exec"})
THREADS = frozenset({"run_in_executor", "to_thread", "run_sync", "run_process", "open_process", "system", "popen"})

MAY_WAIT = {("supervisor/children.py", None), ("pid1/init.py", "end_everything")}
"""The owner of waiting, and the end of everything, when there is no event loop any more."""


def pid1_modules() -> list[str]:
    """Return the names of our modules that a fresh interpreter has loaded after importing PID 1."""
    code = "import sys, dmsinit.pid1.init; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    return done.stdout.split()


LOADED = pid1_modules()
OURS = [name for name in LOADED if name.split(".")[0] == "dmsinit"]


def source(module: str) -> Path:
    path = PACKAGE.parent / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def imports(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the top-level package of every import, also of those within functions, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0], node.lineno


def calls(node: ast.AST, function: str | None = None) -> Iterator[tuple[str, str | None, int]]:
    """Yield (called name, enclosing function, line) of every call of an attribute or name."""
    for child in ast.iter_child_nodes(node):
        inside = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
        if isinstance(child, ast.Call):
            if isinstance(child.func, ast.Attribute):
                yield child.func.attr, inside, child.lineno
            elif isinstance(child.func, ast.Name):
                yield child.func.id, inside, child.lineno
        yield from calls(child, inside)


def test_pid1_is_what_we_think() -> None:
    assert {"dmsinit.pid1.init", "dmsinit.supervisor.children", "dmsinit.probes", "dmsinit.control.server"} <= set(OURS)
    assert len(OURS) > 30


@pytest.mark.parametrize("module", OURS)
def test_no_module_of_pid1_imports_what_it_must_not(module: str) -> None:
    tree = ast.parse(source(module).read_text(encoding="utf-8"))
    found = [f"{name} in line {line}" for name, line in imports(tree) if name in FORBIDDEN_IMPORTS]
    assert found == [], f"{module} imports {found}"


@pytest.mark.parametrize("module", OURS)
def test_only_one_waits_for_children(module: str) -> None:
    """`.wait()` of events and children is another thing: only calls of os and asyncio.subprocess count."""
    path = source(module)
    room = str(path.relative_to(PACKAGE))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            pytest.fail(f"{module} imports names from os, where no test sees what it calls")
    found = [
        f"{name} in line {line}"
        for name, function, line in calls(tree)
        if name in WAITS - {"wait"} and not {(room, None), (room, function)} & MAY_WAIT
    ]
    found += [f"os.wait in line {line}" for line in _os_waits(tree)]
    assert found == [], f"{module} waits for children: {found}; supervisor/children.py owns that"


def _os_waits(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "os.wait":
            yield node.lineno


@pytest.mark.parametrize("module", OURS)
def test_no_threads_and_no_name_services(module: str) -> None:
    tree = ast.parse(source(module).read_text(encoding="utf-8"))
    found = [f"{name} in line {line}" for name, _, line in calls(tree) if name in THREADS | LOOKS_UP_NAMES]
    assert found == [], f"{module} calls {found}"


def test_only_one_place_spawns() -> None:
    """posix_spawn stands in one module; whoever uses it hands the pid to the owner of waiting."""
    spawning = [
        module
        for module in OURS
        if any(
            name in ("posix_spawn", "posix_spawnp", "fork", "forkpty")
            for name, _, _ in calls(ast.parse(source(module).read_text(encoding="utf-8")))
        )
    ]
    assert spawning == ["dmsinit.base.spawn"]


def test_nothing_heavy_is_loaded() -> None:
    heavy = {"jinja2", "socketserver", "multiprocessing", "http.client", "email", "xml", "hypothesis"}
    assert heavy & set(LOADED) == set()


def test_what_asyncio_brings_along_is_not_more_than_that() -> None:
    """The standard modules that are forbidden to ours are there only as far as asyncio itself imports them."""
    code = "import sys, asyncio; print(*sorted(sys.modules))"
    bare = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    extra = {name.split(".")[0] for name in set(LOADED) - set(bare)} & FORBIDDEN_IMPORTS
    assert extra <= {"concurrent"}, extra  # anyio names its types
