"""What changes files by their paths is in one place: elsewhere a link that another user made would be followed."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]

BY_PATH = frozenset(
    {"chown", "lchown", "chmod", "lchmod", "realpath", "rmtree", "copytree", "copy2", "copyfile", "makedirs", "move"}
)
"""Of os, os.path, shutil and pathlib."""

ALLOWED = {
    ("base/beneath.py", "chown"): "by way of /proc/self/fd",
    ("base/beneath.py", "chmod"): "by way of /proc/self/fd",
    ("control/listeners.py", "chown"): "in /run/dmsinit, which is root's",
    ("control/listeners.py", "chmod"): "in /run/dmsinit, which is root's",
    ("supervisor/notify.py", "chmod"): "in /run/dmsinit, which is root's",
    ("render/inputs/watched.py", "realpath"): "only compared with mount points",
    ("doctor/gather.py", "realpath"): "only compared with mount points",
    ("archive/restore.py", "realpath"): "only compared with mount points",
    ("render/check/dovecot_services.py", "realpath"): "only compared",
    ("render/check/mini_master.py", "makedirs"): "in a fresh directory of root's own",
    ("render/check/mini_master.py", "chown"): "in a fresh directory of root's own",
    ("render/check/trial.py", "makedirs"): "in a fresh directory of root's own",
    ("render/check/trial.py", "chmod"): "a fresh directory of root's own",
    ("render/check/trial.py", "rmtree"): "a directory in /run/dmsinit, which is root's; shutil follows no link in it",
    ("archive/tree.py", "chown"): "with a directory descriptor",
}
SHELL = re.compile(r"\b(?:chown|chmod|chgrp|install|mkdir|realpath|rm|mv|cp|ln)\b (?!,)")
ALLOWED_IN_SHELL = {
    "bin/compile-global-sieve": "as dovecot, or in a fresh directory of root's own",
    "bin/debug-fetchmail": "in a fresh directory of root's own, and in /etc",
    "bin/debug-getmail": "in a fresh directory of root's own, and in /etc",
    "libexec/amavis": "as amavis",
    "libexec/changedetector": "in /run/dmsinit, which is root's",
    "libexec/fetchmail": "as fetchmail",
    "libexec/own-state": "as the user of the service that it starts",
    "libexec/plain-log": "renames within one directory, which follows no link",
    "libexec/postfix": "in the top of the spool, which is root's",
    "templates/usr/local/bin/spamassassin-learn": "as amavis",
    "templates/usr/local/bin/spamassassin-update.j2": "in /tmp, a new file of root's own",
}


def calls(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            # Path.resolve() has no arguments; a name server's resolver has.
            if node.func.attr in BY_PATH or (node.func.attr == "resolve" and not node.args):
                yield node.func.attr
        elif isinstance(node, ast.ImportFrom) and node.module in ("os", "os.path", "shutil"):
            yield from (alias.name for alias in node.names if alias.name in BY_PATH)


def test_only_one_module_changes_files_by_path() -> None:
    package = ROOT / "dmsinit"
    found = {(str(path.relative_to(package)), name) for path in package.rglob("*.py") for name in calls(path)}
    assert found == set(ALLOWED), "use dmsinit.base.beneath, dmsinit.base.trees or dmsinit.base.atomic"


def code(path: Path) -> Iterator[str]:
    """Yield the lines of a script that are not comments."""
    yield from (line for line in path.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#"))


def test_shell_code_of_root_works_in_directories_of_root() -> None:
    scripts = [
        *ROOT.glob("bin/*"),
        *ROOT.glob("libexec/*"),
        *ROOT.glob("services/*.toml"),
        *ROOT.glob("templates/usr/**/*"),
        *ROOT.glob("templates/etc/cron*/*"),
    ]
    found = {
        str(path.relative_to(ROOT))
        for path in scripts
        if path.is_file() and any(SHELL.search(line) for line in code(path))
    }
    assert found == set(ALLOWED_IN_SHELL), "say why no other user can have a link there, or act as that user (setpriv)"
