"""`dmsinit render`: arguments in, messages out; see the package's docstring."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dmsinit.log import from_environment
from dmsinit.render.flow import go
from dmsinit.render.mode import Mode
from dmsinit.render.paths import Root
from dmsinit.render.reporter import Reporter
from dmsinit.render.run import Run
from dmsinit.render_protocol import EX_SOFTWARE, EX_USAGE

USAGE: Final = """usage: dmsinit render --check     check the configuration: print what is wrong, change nothing
       dmsinit render --settings  print what each setting is, as JSON
       dmsinit render --plan      say what an apply would change
       dmsinit render --diff      say it with the lines that differ
       dmsinit render --apply     install what changed (dmsinit runs this itself)
       dmsinit render --detect    the same, if a watched file differs from when it was read last
       dmsinit render --roll-back put the files back that the last apply replaced
       dmsinit render --boot      install everything (dmsinit runs this itself at its start)
       dmsinit render --compile   compile the templates (when the image is built)
  --into DIRECTORY   with --check: leave what was rendered in DIRECTORY, which must not exist
  --watch FD|none    the inotify instance of PID 1, with --boot, --apply and --detect (dmsinit gives it itself)
  --root DIRECTORY   use DIRECTORY instead of / (for tests)
"""


@dataclass(frozen=True)
class Arguments:
    """The command line."""

    mode: Mode
    root: str = ""
    into: str = ""
    watch: str = ""


def parse(argv: Sequence[str]) -> Arguments | None:
    """Return the arguments, None when they are not understood; argparse would cost a tenth of the whole run."""
    words = list(argv)
    root, into, watch = _take("--root", words), _take("--into", words), _take("--watch", words)
    modes = {f"--{mode}": mode for mode in Mode}
    if len(words) != 1 or words[0] not in modes or (into and modes[words[0]] is not Mode.CHECK):
        return None
    return Arguments(modes[words[0]], root, into, watch)


def _take(option: str, words: list[str]) -> str:
    """Take an option's value out of the words; "" when it is not there."""
    if option not in words[:-1]:
        return ""
    at = words.index(option)
    value = words[at + 1]
    del words[at : at + 2]
    return value


def main(argv: Sequence[str] | None = None) -> int:
    """Run `dmsinit render` and return its exit code."""
    arguments = parse(sys.argv[1:] if argv is None else argv)
    if arguments is None:
        sys.stderr.write(USAGE)
        return EX_USAGE
    if arguments.into and os.path.lexists(arguments.into):
        sys.stderr.write(f"{arguments.into} exists already; name a directory that does not\n")
        return EX_USAGE
    log = from_environment("dmsinit")
    try:
        run = Run(
            arguments.mode, Root(arguments.root), os.environ, log, Reporter(),
            into=arguments.into, watch=arguments.watch,
        )  # fmt: skip
        return go(run)
    except BrokenPipeError:  # PID 1 has stopped listening: the container stops
        return EX_SOFTWARE
    except Exception as error:  # noqa: BLE001 - the outermost guard: a defect is told in one line, never as a traceback
        log.error(
            f"cannot render the configuration: {_described(error)}; this is a defect of dmsinit, please report it"
        )
        return EX_SOFTWARE


def _described(error: Exception) -> str:
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f" ({os.path.basename(frame.tb_frame.f_code.co_filename)}:{frame.tb_lineno})" if frame else ""
    return f"{type(error).__name__}: {error}{place}"
