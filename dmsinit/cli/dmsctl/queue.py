"""`dmsctl queue [list|flush|hold|release|delete|requeue|show]`."""

import argparse
from typing import Any, Final

from dmsinit.cli.dmsctl import postqueue
from dmsinit.cli.dmsctl.command import Arguments, print_json, refuse
from dmsinit.cli.errors import DONE, USAGE

ACTIONS: Final = ("list", "flush", "hold", "release", "delete", "requeue", "show")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the action and its queue ids."""
    parser.add_argument("action", nargs="?", default="list", choices=ACTIONS, metavar="|".join(ACTIONS))
    parser.add_argument("ids", nargs="*", metavar="ID", help="queue ids, or `all`")
    parser.add_argument("--yes", action="store_true", help="really delete all")
    parser.add_argument("--body", action="store_true", help="show the body, too")


def run(arguments: Arguments) -> int:
    """Look at the queue, or operate on it."""
    every = [word.lower() for word in arguments.ids] == [postqueue.ALL]
    ids = [postqueue.ALL] if every else arguments.ids
    if wrong := _usage(arguments, ids):
        return refuse(wrong, USAGE)
    try:
        return _act(arguments, ids)
    except postqueue.Refused as refused:
        return refuse(refused)


def _usage(arguments: Arguments, ids: list[str]) -> str:
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


def _act(arguments: Arguments, ids: list[str]) -> int:
    action = arguments.action
    answer: dict[str, Any]
    if action == "list":
        answer = {"messages": postqueue.listing()}
        shown = postqueue.table(answer["messages"], postqueue.now()) if not arguments.json else ""
    elif action == "show":
        message = postqueue.show(ids[0], body=arguments.body)
        answer, shown = {"id": ids[0], "message": message}, postqueue.harmless(message).rstrip("\n")
    elif action == "flush":
        postqueue.flush(ids)
        answer, shown = {"flushed": ids or ["all"]}, "delivery is being tried"
    else:
        count = postqueue.operate(action, ids)
        answer, shown = {"action": action, "messages": count}, postqueue.outcome(action, count)
    print_json(answer) if arguments.json else print(shown)
    return DONE
