"""dmsctl: see and operate what runs in this container.

Exit codes: 0 done, 1 failed, 2 usage, 3 no such service, 4 cannot reach dmsinit.
"""

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final, cast

from dmsinit.cli.dmsctl.command import PROGRAM, Verb
from dmsinit.cli.errors import UNREACHABLE, ProblemReceived, silence, tell
from dmsinit.control.client import Unreachable

VERBS: Final = {
    "status": "what runs, since when, with how much memory",
    "start": "start services",
    "stop": "stop services",
    "restart": "stop and start services",
    "reload": "let services read their configuration again",
    "signal": "send a signal to a service's main process",
    "logs": "what a service wrote",
    "events": "the transitions of services",
    "plan": "what `apply` would change",
    "apply": "bring files and services in line with the configuration",
    "reexec": "replace the code of dmsinit by what is installed, without stopping a service",
    "render": "render the configuration and check it, without a running server",
    "config": "what each setting is in force, and where it comes from",
    "certificate": "make a certificate that SSL_TYPE=self-signed uses; asks no question",
    "metrics": "the metrics, as Prometheus reads them",
    "health": "exit 0 when the server is ready; for HEALTHCHECK",
    "blame": "the boot explained: what took how long, and what waited for what",
    "queue": "what waits for delivery, and operate on it",
    "doctor": "check services, ports, certificate, DNS and volumes, and say what to do",
    "backup": "write configuration, mail and state to one archive",
    "restore": "bring back what `backup` wrote, while no server runs",
    "version": "the version of the running dmsinit, and the release of the image",
}
"""Each is the module of its name; these four share one."""
_OPERATE: Final = ("start", "stop", "restart", "reload")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = parser(sys.argv[1:] if argv is None else argv).parse_args(argv)
    verb = module(arguments.verb)
    try:
        code = verb.run(arguments)
        sys.stdout.flush()
        return code
    except ProblemReceived as problem:
        if getattr(arguments, "json", False):
            print(json.dumps(problem.document))
        else:
            tell(PROGRAM, problem)
        return problem.exit_code
    except Unreachable as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return UNREACHABLE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:  # the reader, such as head(1), had enough
        silence()
        return 128 + signal.SIGPIPE


def module(verb: str) -> Verb:
    """Return the module of a verb: imported when it is asked for, so that the health check pays for nothing else."""
    return cast("Verb", import_module(f"dmsinit.cli.dmsctl.{'operate' if verb in _OPERATE else verb}"))


def parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of a command line: only the verb that is asked for has its arguments."""
    whole = argparse.ArgumentParser(
        prog=PROGRAM, description="See and operate the services of this mail server.",
        epilog="Exit status: 0 done, 1 failed, 2 usage, 3 no such service, 4 cannot reach dmsinit.",
    )  # fmt: skip
    # prog: else argparse lays out a usage now
    commands = whole.add_subparsers(metavar="COMMAND", required=True, prog=PROGRAM)
    for verb, what in VERBS.items():
        one = commands.add_parser(verb, help=what, description=what)
        one.add_argument("--json", action="store_true", help="print the answer of the control API")
        one.set_defaults(verb=verb)
        if verb in words:
            module(verb).arguments(one)
    return whole


if __name__ == "__main__":
    sys.exit(main())
