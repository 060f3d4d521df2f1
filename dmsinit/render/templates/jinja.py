"""Templates (Jinja2) over the context: files under templates/, and strings of service files.

Compiling templates costs more than running them, so that `dmsinit render --compile` does it when the image is built:
one file holds the byte code of all of them. What is not in there (a user's service) is compiled when it is needed.
"""

import marshal
import os
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from types import TracebackType
from typing import Any, Final

from jinja2 import BaseLoader, BytecodeCache, Environment, StrictUndefined, TemplateError, TemplateNotFound
from jinja2.bccache import Bucket

from dmsinit.base.atomic import make_directories
from dmsinit.problem import Problem, ProblemsFound

SUFFIX: Final = ".j2"


class _Loader(BaseLoader):
    """Finds a template by its path below `directory`, or, for a text without a file, by its digest."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._texts: dict[str, str] = {}

    def name_of(self, text: str) -> str:
        """Return a name for a text, the same in every process."""
        name = "=" + sha256(text.encode()).hexdigest()
        self._texts[name] = text
        return name

    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, Callable[[], bool] | None]:
        if template in self._texts:
            return self._texts[template], None, None
        path = f"{self.directory}/{template}"
        try:
            with open(path, encoding="utf-8") as file:
                return file.read(), path, None
        except FileNotFoundError:
            raise TemplateNotFound(template) from None


class _Cache(BytecodeCache):
    """The byte code of all templates in one file; Jinja2 itself checks that it belongs to the present text."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.known: dict[str, bytes] = {}
        try:
            with open(path, "rb") as file:
                self.known = marshal.loads(file.read())  # noqa: S302 - made by --compile, writable by root only
        except (OSError, ValueError, EOFError, TypeError):
            self.known = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if code := self.known.get(bucket.key):
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.known[bucket.key] = bucket.bytecode_to_string()

    def save(self) -> None:
        """Write everything that is known to the file, for later processes."""
        make_directories(os.path.dirname(self.path))
        with open(f"{self.path}.new", "wb") as file:
            file.write(marshal.dumps(self.known))
        os.replace(f"{self.path}.new", self.path)


class Templates:
    """All templates of one directory, rendered over one context."""

    def __init__(self, directory: str, cache: str, context: Mapping[str, Any]) -> None:
        self.directory = directory
        self._cache = _Cache(cache)
        self._loader = _Loader(directory)
        self._environment = Environment(  # noqa: S701 - the results are configuration files, not HTML
            loader=self._loader,
            bytecode_cache=self._cache,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
            cache_size=-1,
        )
        self._environment.globals.update(context)

    def know(self, **more: Any) -> None:
        """Let templates see more names than those that there were at first."""
        self._environment.globals.update(more)

    def names(self) -> list[str]:
        """Return the paths of all files below the directory, except the manifest and names that begin with a dot."""
        found = []
        for parent, directories, files in os.walk(self.directory):
            directories.sort()
            relative = parent[len(self.directory) :].lstrip("/")
            found += [f"{relative}/{name}".lstrip("/") for name in sorted(files) if not name.startswith(".")]
        return [name for name in found if name != "manifest.toml"]

    def render(self, name: str, **more: Any) -> str:
        """Return the text of a template file; ProblemsFound names the template and line that failed."""
        try:
            return self._environment.get_template(name).render(**more)
        except (TemplateError, TypeError, ValueError, KeyError, AttributeError) as error:
            raise ProblemsFound([_problem(f"{self.directory}/{name}", error)]) from error

    def read(self, name: str) -> bytes:
        """Return the bytes of a file that is no template; ProblemsFound when it cannot be read."""
        try:
            with open(f"{self.directory}/{name}", "rb") as file:
                return file.read()
        except OSError as error:
            problem = Problem(f"{self.directory}/{name}", f"cannot be read: {error.strerror}", "check the image")
            raise ProblemsFound([problem]) from error

    def mode(self, name: str) -> int:
        """Return the mode of what a file yields where nothing else says: executable as the file itself is."""
        return 0o755 if os.stat(f"{self.directory}/{name}").st_mode & 0o100 else 0o644

    def expand(self, text: str, where: Callable[[], str], variables: Mapping[str, Any]) -> str:
        """Return `text` with its expressions resolved; ProblemsFound says `where` it is (looked for only then)."""
        try:
            return self._environment.get_template(self._loader.name_of(text)).render(variables)
        except (TemplateError, TypeError, ValueError, KeyError, AttributeError) as error:
            raise ProblemsFound([_problem(where(), error, lines=False)]) from error

    def compile(self, texts: Iterable[str] = ()) -> int:
        """Compile all template files and `texts` into the cache file; return how many are in it."""
        for name in self.names():
            if name.endswith(SUFFIX):
                self._environment.get_template(name)
        for text in texts:
            self._environment.get_template(self._loader.name_of(text))
        self._cache.save()
        return len(self._cache.known)


def _problem(where: str, error: Exception, *, lines: bool = True) -> Problem:
    line = getattr(error, "lineno", None) or _line(error.__traceback__, where)
    place = f"{where}:{line}" if lines and line else where
    cause = f"cannot be rendered: {error}"
    return Problem(place, cause, "correct the expression; docs/reference/templates.md says what it can use")


def _line(traceback: TracebackType | None, path: str) -> int:
    """Return the line of the template in which an error arose; Jinja2 puts the template's frames into the traceback."""
    line = 0
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == path:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line
