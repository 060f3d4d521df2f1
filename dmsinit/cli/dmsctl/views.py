"""What dmsctl prints for people, as functions of what the control API answered."""

from typing import Any

from dmsinit.base import text


def overview(status: dict[str, Any]) -> str:
    """Return the system in a line, and the enabled services in a table."""
    name = status["fqdn"] or "dmsinit"
    head = [
        f"{name} is {text.state(status['state'])}, up {text.duration(status['uptime_seconds'])}"
        f" (release {status['release']}, dmsinit {status['version']}, {text.size(status['memory_bytes'])})"
    ]
    head += [text.colour(f"! {problem}", "red") for problem in status["problems"]]
    shown = [one for one in status["services"] if one["enabled"]]
    rows = [("SERVICE", "STATE", "PID", "UPTIME", "RESTARTS", "MEMORY", "DETAIL"), *map(_row, shown)]
    disabled = [one["name"] for one in status["services"] if not one["enabled"]]
    foot = [text.colour(f"disabled: {', '.join(disabled)}", "dim")] if disabled else []
    return "\n".join([*head, text.table(rows, right=(2, 3, 4, 5), states=1), *foot])


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    return (
        one["name"], one["state"], str(one["pid"] or "-"), text.duration(one["uptime_seconds"]), str(one["restarts"]),
        text.size(one["memory_bytes"]), _detail(one),
    )  # fmt: skip


def _detail(one: dict[str, Any]) -> str:
    """Return what a person wants to know next: nothing for a service that is well."""
    if one["waiting_for"]:
        return f"waits for {', '.join(one['waiting_for'])}"
    if one["state"] in ("ready", "disabled"):
        return ""
    return ": ".join(part for part in (one["reason"], one["detail"]) if part)


def description(one: dict[str, Any]) -> str:
    """Return all about one service."""
    fields = [
        ("state", text.state(one["state"]) + f" since {one['since']}"),
        ("reason", ": ".join(part for part in (one["reason"], one["detail"]) if part)),
        ("pid", str(one["pid"] or "-") + f" ({one['processes']} processes)"),
        ("uptime", text.duration(one["uptime_seconds"])),
        ("ready after", text.duration(one["ready_seconds"])),
        ("restarts", str(one["restarts"])),
        ("memory", text.size(one["memory_bytes"])),
    ]
    if one["waiting_for"]:
        fields.append(("waits for", ", ".join(one["waiting_for"])))
    for death in one["deaths"]:
        after = text.duration(death["seconds_lived"])
        fields.append(("ended", f"{death['time']} {death['cause']}: {death['detail']}, after {after}"))
        if death.get("hint"):
            fields.append(("hint", death["hint"]))
    title = f"{one['name']} — {one['description']}" if one["description"] else one["name"]
    return "\n".join([title, *(f"  {name + ':':13}{value}" for name, value in fields)])


def event(one: dict[str, Any]) -> str:
    """Return a transition as one line."""
    why = f"{one['reason']}: {one['detail']}" if one["detail"] else one["reason"]
    return f"{one['time']} {one['service']}: {one['from']} → {text.state(one['to'])} ({why})"


def outcome(one: dict[str, Any], seconds: float | None) -> str:
    """Return where a service stands after an operation that took `seconds` (None: nobody waited)."""
    pid = f" (pid {one['pid']})" if one["pid"] else ""
    after = "" if seconds is None else f" after {text.duration(seconds)}"
    return f"{one['name']}: {text.state(one['state'])}{after}{pid}"


def changes(answer: dict[str, Any]) -> str:
    """Return what a plan would change, or an apply has changed; empty when nothing."""
    lines = [f"{one['action']:8}{one['path']}" + _of(one["service"]) for one in answer["changes"]]
    lines += [f"{one['action']:8}{one['service']}" for one in answer["actions"]]
    lines += [diff.rstrip("\n") for diff in answer.get("diffs", {}).values()]
    return "\n".join(lines)


def _of(service: str) -> str:
    return f" ({service})" if service else ""
