#!/usr/bin/env python3
"""Name Python code that nothing uses: vulture, with the words of templates and service definitions as uses.

Exit codes: 0, or 1 with a line for each function, method, class, attribute or import that could go.
"""

import re
import sys
from pathlib import Path
from typing import Final

from vulture import Vulture

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCES: Final = ("dmsinit", "tools", "tests", "bin")
USERS: Final = ("templates", "services", "bin", "libexec")
"""Directories whose text uses names of Python: expressions of Jinja2, and settings as shells have them."""

DECORATORS: Final = ("@pytest.fixture*", "@rule*", "@invariant*", "@pytest.hookimpl*", "@wildcard*")
"""What they decorate is called by pytest, hypothesis or a test."""

ALLOWED: Final = {
    "BufferedReader": "named in a cast only, which is a string",
    "get_source": "jinja2.BaseLoader calls it",
    "find_class": "pickle.Unpickler calls it",
    "load_bytecode": "jinja2.BytecodeCache calls it",
    "dump_bytecode": "jinja2.BytecodeCache calls it",
    "pytest_configure": "pytest calls it",
    "pytest_collection_finish": "pytest calls it",
    "pytest_collection_modifyitems": "pytest calls it",
    "pytest_xdist_make_scheduler": "pytest-xdist calls it",
    "_split_scope": "pytest-xdist calls it",
    "loadscopereorder": "an option of pytest-xdist",
    "teardown": "hypothesis calls it",
    "override_hostname": "read by its variable's name, before there are settings",
    "report_sender": "the default of other settings, by its variable's name",
    "uptime_seconds": "a field of the API's answers",
    "event_loop": "a field of the API's answers",
    "_host": "smtplib's own name of the host, for a TLS handshake",
    "_keep": "keeps a FIFO open",
    "invented": "a test sets what does not exist",
    "enable_imap": "a test sets what must not be set",
}
"""What something else uses, and what does."""


def main() -> int:
    found = Vulture(ignore_decorators=list(DECORATORS))
    found.scavenge([str(ROOT / source) for source in SOURCES])
    texts = (path.read_text(errors="replace") for user in USERS for path in (ROOT / user).rglob("*") if path.is_file())
    used = {word.lower() for text in texts for word in re.findall(r"\w+", text)} | ALLOWED.keys()
    unused = [item for item in found.get_unused_code(min_confidence=60) if item.name not in used]
    for item in unused:
        print(f"{item.filename.relative_to(ROOT)}:{item.first_lineno}: nothing uses the {item.typ} {item.name}")
    return 1 if unused else 0


if __name__ == "__main__":
    sys.exit(main())
