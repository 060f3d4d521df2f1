"""dmsctl: see and operate what runs in this container.

Each command is a function of the parsed arguments that prints and returns the exit code: 0 done, 1 failed, 2 usage,
3 no such service, 4 cannot reach dmsinit. `--json` prints what the control API answered, unchanged.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from dmsinit.cli import _maintenance as maintenance
from dmsinit.cli import _views as views
from dmsinit.cli._all import all_services
from dmsinit.cli._errors import DONE, FAILED, UNREACHABLE, ProblemReceived, checked, silence, tell
from dmsinit.control.client import STARTING_VARIABLE, Pending, Unreachable, quote, request

PROGRAM = "dmsctl"
SUCCESSOR_SECONDS = 10.0
"""A successor of PID 1 answers within a second; this long is waited for one on a busy machine."""
Arguments = argparse.Namespace


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = _parser().parse_args(argv)
    command: Callable[[Arguments], int] = arguments.command
    try:
        code = command(arguments)
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="See and operate the services of this mail server.",
        epilog="Exit status: 0 done, 1 failed, 2 usage, 3 no such service, 4 cannot reach dmsinit.",
    )  # fmt: skip
    commands = parser.add_subparsers(
        metavar="COMMAND", required=True, prog=PROGRAM
    )  # prog: else it lays out a usage now

    def add(name: str, command: Callable[[Arguments], int], what: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=what, description=what)
        one.add_argument("--json", action="store_true", help="print the answer of the control API")
        one.set_defaults(command=command, verb=name)
        return one

    add("status", _status, "what runs, since when, with how much memory").add_argument("name", nargs="?")
    for verb, what in (
        ("start", "start services"),
        ("stop", "stop services"),
        ("restart", "stop and start services"),
        ("reload", "let services read their configuration again"),
    ):
        one = add(verb, _operate, what)
        one.add_argument("names", nargs="+", metavar="NAME", help="a service, or `all`")
        one.add_argument(
            "--wait", action=argparse.BooleanOptionalAction, default=True,
            help="return when it is done (default), or at once",
        )  # fmt: skip
    one = add("signal", _signal, "send a signal to a service's main process")
    one.add_argument("name", metavar="NAME")
    one.add_argument("signal", metavar="SIGNAL", help="such as HUP or USR1")
    one = add("logs", _logs, "what a service wrote")
    one.add_argument("name", metavar="NAME")
    _followable(one)
    _followable(add("events", _events, "the transitions of services"))
    one = add("plan", _plan, "what `apply` would change")
    one.add_argument("--diff", action="store_true", help="show the lines that differ")
    one.add_argument("--current", action="store_true", help="print the plan in force, as JSON")
    one = add("apply", _apply, "bring files and services in line with the configuration")
    one.add_argument("--dry-run", action="store_true", help="only say what would be done")
    add("reexec", _reexec, "replace the code of dmsinit by what is installed, without stopping a service")
    one = add("render", _render, "render the configuration and check it, without a running server")
    one.add_argument("--check", action="store_true", required=True, help="change nothing (the only mode)")
    one = add("config", _config, "what each setting is in force, and where it comes from")
    one.add_argument("names", nargs="*", metavar="NAME", help="only these settings")
    one.add_argument("--set", action="store_true", help="only what differs from the default")
    one = add("certificate", _certificate, "make a certificate that SSL_TYPE=self-signed uses; asks no question")
    one.add_argument("kind", choices=["self-signed"], metavar="self-signed")
    one.add_argument("--name", default="", metavar="FQDN", help="the server's name (default: its own)")
    one.add_argument("--also", action="append", default=[], metavar="FQDN", help="another name that clients use")
    one.add_argument("--rsa", action="store_true", help="RSA keys for very old clients, not elliptic curves")
    one.add_argument("--days", type=_count, default=820, metavar="N", help="valid for N days (default 820)")
    one.add_argument("--force", action="store_true", help="replace what is there")
    add("metrics", _metrics, "the metrics, as Prometheus reads them")
    add("health", _health, "exit 0 when the server is ready; for HEALTHCHECK")
    add("blame", _blame, "the boot explained: what took how long, and what waited for what")
    maintenance.register(add)
    add("version", _version, "the version of the running dmsinit, and the release of the image")
    return parser


def _followable(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--follow", action="store_true", help="go on until interrupted")
    parser.add_argument("-n", "--lines", type=_count, default=100, metavar="N", help="begin N lines back (default 100)")


def _count(argument: str) -> int:
    if not (argument.isascii() and argument.isdecimal()) or int(argument) > 100_000:
        raise argparse.ArgumentTypeError(f"{argument} is not a number from 0 to 100000")
    return int(argument)


def _get(target: str) -> Any:
    return checked(request("GET", target)).json()


def _print_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


# Asking


def _status(arguments: Arguments) -> int:
    if arguments.name:
        one = _get(f"/v1/services/{quote(arguments.name)}")
        _print_json(one) if arguments.json else print(views.description(one))
        return DONE
    status = _get("/v1/status")
    _print_json(status) if arguments.json else print(views.overview(status))
    return DONE


def _metrics(arguments: Arguments) -> int:
    exposition = checked(request("GET", "/metrics")).body().decode()
    _print_json({"text": exposition}) if arguments.json else sys.stdout.write(exposition)
    return DONE


def _health(arguments: Arguments) -> int:
    reply = request("GET", "/readyz")
    reasons = reply.body().decode("utf-8", "replace").splitlines()
    if arguments.json:
        _print_json({"ready": reply.status == 200, "reasons": reasons[1:]})
    elif reply.status != 200:
        print("; ".join(reasons))
    return DONE if reply.status == 200 else FAILED


def _version(arguments: Arguments) -> int:
    status = _get("/v1/status")
    found = {"version": status["version"], "release": status["release"]}
    _print_json(found) if arguments.json else print(f"dmsinit {found['version']} (release {found['release']})")
    return DONE


def _blame(arguments: Arguments) -> int:
    blame = _get("/v1/blame")
    if arguments.json:
        _print_json(blame)
    else:
        from dmsinit.cli._blame import timeline

        print(timeline(blame))
    return DONE


# Following


def _logs(arguments: Arguments) -> int:
    target = f"/v1/services/{quote(arguments.name)}/logs?lines={arguments.lines}"
    plan = request("GET", "/v1/plan/current")  # which there is not during the boot
    services = plan.json()["services"] if plan.status == 200 else []
    programs = next((one.get("syslog", ()) for one in services if one["name"] == arguments.name), ())
    if not programs:
        return _follow(target, arguments, lambda record: str(record["line"]))
    from dmsinit.cli import _mail_log as mail_log

    def show(line: str) -> None:
        print(json.dumps({"line": line}, ensure_ascii=False) if arguments.json else line, flush=arguments.follow)

    for record in checked(request("GET", target)).lines():
        show(record["line"])
    for line in mail_log.last_lines(programs, arguments.lines):
        show(line)
    if arguments.follow:
        mail_log.follow(f"/v1/services/{quote(arguments.name)}/logs?lines=0&follow=true", programs, show)
    return DONE


def _events(arguments: Arguments) -> int:
    return _follow(f"/v1/events?limit={arguments.lines}", arguments, views.event)


def _follow(target: str, arguments: Arguments, show: Callable[[Any], str]) -> int:
    reply = checked(request("GET", target + ("&follow=true" if arguments.follow else "")))
    for record in reply.lines():
        print(json.dumps(record, ensure_ascii=False) if arguments.json else show(record), flush=arguments.follow)
    return DONE


# Operating


def _operate(arguments: Arguments) -> int:
    names = all_services(arguments.verb) if arguments.names == ["all"] else list(dict.fromkeys(arguments.names))
    began = time.monotonic()  # all are asked at once: the supervisor orders them
    wait = "true" if arguments.wait else "false"
    pending = [Pending("POST", f"/v1/services/{quote(name)}/{arguments.verb}?wait={wait}") for name in names]
    code = DONE
    answers: list[Any] = []
    for one in pending:
        try:
            answer = checked(one.reply()).json()
        except ProblemReceived as problem:
            answer = problem.document
            if not arguments.json:
                tell(PROGRAM, problem)
            code = max(code, problem.exit_code)
        else:
            if not arguments.json:
                print(views.outcome(answer, time.monotonic() - began if arguments.wait else None))
        answers.append(answer)
    if arguments.json:
        _print_json(answers[0] if len(answers) == 1 else answers)
    return code


def _signal(arguments: Arguments) -> int:
    target = f"/v1/services/{quote(arguments.name)}/signal?signal={quote(arguments.signal)}"
    one = checked(request("POST", target)).json()
    _print_json(one) if arguments.json else print(f"{one['name']}: signalled")
    return DONE


def _plan(arguments: Arguments) -> int:
    if arguments.current:
        _print_json(_get("/v1/plan/current"))
        return DONE
    changes = _get("/v1/plan?diff=true" if arguments.diff else "/v1/plan")
    _print_json(changes) if arguments.json else print(views.changes(changes) or "nothing would change")
    return DONE


def _apply(arguments: Arguments) -> int:
    wait = "false" if STARTING_VARIABLE in os.environ else "true"
    dry_run = "true" if arguments.dry_run else "false"
    try:
        changes = checked(request("POST", f"/v1/apply?wait={wait}&dry_run={dry_run}")).json()
    except ProblemReceived as problem:
        if not arguments.json:
            _warn(problem.document.get("warnings", ()))
        raise
    if arguments.json:
        _print_json(changes)
        return DONE
    print(views.changes(changes) or "nothing to do", flush=True)
    _warn(changes["warnings"])
    return DONE


def _warn(warnings: Iterable[str]) -> None:
    for text in warnings:
        print(f"warning: {text}", file=sys.stderr)


def _reexec(arguments: Arguments) -> int:
    before = checked(request("GET", "/v1/status")).json()["executions"]
    checked(request("POST", "/v1/reexec"))
    status = _successor(before)
    if status is None:
        print(f"{PROGRAM}: no answer within {SUCCESSOR_SECONDS:g} s; the container's log says why", file=sys.stderr)
        return FAILED
    if arguments.json:
        _print_json(status)
    else:
        print(f"dmsinit {status['version']} has taken over; no service was stopped")
    return DONE


def _successor(before: int) -> Any:
    """Return the status that the next program of PID 1 gives, or None when it does not answer in time."""
    deadline = time.monotonic() + SUCCESSOR_SECONDS
    while time.monotonic() < deadline:
        try:
            status = checked(request("GET", "/v1/status")).json()
        except Unreachable:  # between two programs nobody listens
            status = {"executions": before}
        if status["executions"] > before:
            return status
        time.sleep(0.02)
    return None


def _config(arguments: Arguments) -> int:
    from dmsinit.cli import _config as config

    try:
        answer = config.read()
    except config.Failed as failed:
        print(f"{PROGRAM}: {failed}", file=sys.stderr)
        return FAILED
    answer["settings"] = config.chosen(answer["settings"], arguments.names, changed=arguments.set)
    if arguments.json:
        _print_json(answer)
        return DONE
    print(config.table(answer["settings"]))
    for warning in answer["warnings"]:
        print(f"! {warning}", file=sys.stderr)
    return DONE


def _certificate(arguments: Arguments) -> int:
    from dmsinit.cli import _certificate as certificate

    try:
        name = certificate.full_name(arguments.name)
        made = certificate.self_signed(
            name, arguments.also, rsa=arguments.rsa, days=arguments.days, force=arguments.force
        )
    except certificate.Refused as refused:
        print(f"{PROGRAM}: {refused}", file=sys.stderr)
        return FAILED
    if arguments.json:
        _print_json({"name": name, "files": [str(path) for path in made]})
    else:
        print("\n".join(str(path) for path in made))
        print(f"Next: set SSL_TYPE=self-signed, and let clients trust {made[-1].name}.")
    return DONE


def _render(_arguments: Arguments) -> int:
    try:
        os.execvp("dmsinit", ["dmsinit", "render", "--check"])  # noqa: S606 -- no shell is what we want
    except OSError as error:
        print(f"{PROGRAM}: cannot run dmsinit: {error.strerror}; run this in the image", file=sys.stderr)
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
