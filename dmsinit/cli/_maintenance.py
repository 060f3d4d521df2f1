"""The commands of dmsctl for maintenance: `queue`, `doctor`, `backup`, `restore`.

Here are their arguments and how they end; what they do is imported when it is asked for, so that the commands which
probes run every few seconds pay nothing.
"""

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from dmsinit.cli._errors import DONE, FAILED, USAGE

Arguments = argparse.Namespace
Add = Callable[[str, Callable[[Arguments], int], str], argparse.ArgumentParser]
QUEUE_ACTIONS = ("list", "flush", "hold", "release", "delete", "requeue", "show")


def register(add: Add) -> None:
    """Add the commands to dmsctl's parser."""
    one = add("queue", _queue, "what waits for delivery, and operate on it")
    one.add_argument("action", nargs="?", default="list", choices=QUEUE_ACTIONS, metavar="|".join(QUEUE_ACTIONS))
    one.add_argument("ids", nargs="*", metavar="ID", help="queue ids, or `all`")
    one.add_argument("--yes", action="store_true", help="really delete all")
    one.add_argument("--body", action="store_true", help="show the body, too")
    add("doctor", _doctor, "check services, ports, certificate, DNS and volumes, and say what to do")
    one = add("backup", _backup, "write configuration, mail and state to one archive")
    one.add_argument("file", metavar="FILE", help="*.tar, *.tar.gz, *.tar.zst, or `-` for standard output")
    one.add_argument("--logs", action="store_true", help="take /var/log/mail along")
    one.add_argument("--force", action="store_true", help="replace FILE")
    one.add_argument("--verify", action="store_true", help="write nothing: prove that FILE (`-`: input) is whole")
    one = add("restore", _restore, "bring back what `backup` wrote, while no server runs")
    one.add_argument("file", metavar="FILE")
    one.add_argument("--force", action="store_true", help="restore over what is in the volumes")


def _print_json(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))


def _refuse(message: object, code: int = FAILED) -> int:
    print(f"dmsctl: {message}", file=sys.stderr)
    return code


def _queue(arguments: Arguments) -> int:
    from dmsinit.cli import _queue as queue

    ids = [queue.ALL] if [word.lower() for word in arguments.ids] == [queue.ALL] else arguments.ids
    wrong = _queue_usage(arguments, ids)
    if wrong:
        return _refuse(wrong, USAGE)
    try:
        return _queue_action(arguments, ids)
    except queue.Refused as refused:
        return _refuse(refused)


def _queue_usage(arguments: Arguments, ids: list[str]) -> str:
    """Return what is wrong with the arguments, or ""."""
    action = arguments.action
    if action == "list":
        return f"`queue list` takes no {ids[0]!r}; did you mean `queue show`?" if ids else ""
    if action == "show":
        return "" if len(ids) == 1 and ids != ["all"] else "`queue show` takes one queue id; `dmsctl queue` lists them"
    if action != "flush" and not ids:
        return f"`queue {action}` takes queue ids, or `all`"
    if action == "delete" and ids == ["all"] and not arguments.yes:
        return "this deletes all mail that waits for delivery; add --yes if that is meant"
    return ""


def _queue_action(arguments: Arguments, ids: list[str]) -> int:
    from dmsinit.cli import _queue as queue

    action = arguments.action
    answer: dict[str, Any]
    if action == "list":
        answer = {"messages": queue.listing()}
        shown = queue.table(answer["messages"], queue.now()) if not arguments.json else ""
    elif action == "show":
        message = queue.show(ids[0], body=arguments.body)
        answer, shown = {"id": ids[0], "message": message}, queue.harmless(message).rstrip("\n")
    elif action == "flush":
        queue.flush(ids)
        answer, shown = {"flushed": ids or ["all"]}, "delivery is being tried"
    else:
        count = queue.operate(action, ids)
        answer, shown = {"action": action, "messages": count}, queue.outcome(action, count)
    _print_json(answer) if arguments.json else print(shown)
    return DONE


def _doctor(arguments: Arguments) -> int:
    from dmsinit.cli import doctor

    findings = doctor.examine()
    if arguments.json:
        _print_json(doctor.as_json(findings))
    else:
        print(doctor.report(findings))
    return FAILED if any(finding.level == "fail" for finding in findings) else DONE


def _backup(arguments: Arguments) -> int:
    from dmsinit.cli import archive

    if arguments.json and arguments.file == "-" and not arguments.verify:
        return _refuse("standard output cannot take the archive and --json", USAGE)
    try:
        if arguments.verify:
            result = archive.verify(arguments.file)
        else:
            result = archive.backup(arguments.file, logs=arguments.logs, force=arguments.force)
    except archive.ArchiveError as error:
        return _refuse(error)
    return _tell(result, arguments)


def _restore(arguments: Arguments) -> int:
    from dmsinit.cli import archive

    try:
        result = archive.restore(arguments.file, force=arguments.force)
    except archive.ArchiveError as error:
        return _refuse(error)
    return _tell(result, arguments)


def _tell(result: Any, arguments: Arguments) -> int:
    for warning in result.warnings:
        print(f"! {warning}", file=sys.stderr)
    if arguments.json:
        _print_json(result.document())
    else:
        print(result.sentence(), file=sys.stderr if arguments.file == "-" else sys.stdout)
    return DONE
