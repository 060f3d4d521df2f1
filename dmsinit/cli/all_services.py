"""Which services `all` means, for each operation."""

from dmsinit.cli.errors import checked
from dmsinit.control.client import request


def all_services(verb: str) -> list[str]:
    """Return the names that `VERB all` operates on, in alphabetical order.

    Enabled services; for `reload` those that run and have a way to reload; `start` and `restart` leave out one-shot
    services, which run when their time comes.
    """
    services = checked(request("GET", "/v1/services")).json()
    plan = checked(request("GET", "/v1/plan/current")).json()
    defined = {service["name"]: service for service in plan.get("services", ())}
    chosen = []
    for one in services:
        definition = defined.get(one["name"], {})
        if verb == "reload":
            wanted = one["state"] in ("ready", "busy", "unhealthy") and definition.get("reload") is not None
        else:
            wanted = verb == "stop" or definition.get("type") != "oneshot"
        if one["enabled"] and wanted:
            chosen.append(one["name"])
    return sorted(chosen)
