"""Which services are tried again at once because a new configuration comes: those that are ill, and that it may cure.

Contract: pure. A service that somebody stopped, one that has an action of its own, and a job that runs now and then are
left alone. The others wait to be started again (`backoff`), or were given up (`failed`):
- One that waits is tried whenever anything changes: what it failed of may lie in a file that is none of its own, in a
  service that it talks to, or in one that had its port. It would have been tried soon in any case.
- One that was given up is tried when its own definition changed, or a service that it waits for is started or ended.
- Who asks for an apply has reason to: both are tried.
"""

from collections.abc import Iterable, Mapping, Sequence

from dmsinit.plan import Action, Change, Plan, dependencies
from dmsinit.supervisor.states import State
from dmsinit.supervisor.unit import Unit


def retries(
    units: Mapping[str, Unit], plan: Plan, todo: Sequence[Action], changes: Iterable[Change], *, asked: bool
) -> list[str]:
    """Return the names of the services to be tried again; `units` are still defined as before."""
    busy_with = {action.service for action in todo}
    old = {name: unit.service for name, unit in units.items()}
    changed = bool(todo) or any(changes) or any(old.get(one.name) != one for one in plan.services)
    found = []
    for service in plan.services:
        unit = units.get(service.name)
        if unit is None or not service.enabled or service.type != "simple" or service.name in busy_with:
            continue
        if unit.state is State.BACKOFF:
            tried = changed or asked
        elif unit.state is State.FAILED:
            tried = asked or unit.service != service or bool(busy_with & set(dependencies(service)))
        else:
            continue
        if tried:
            found.append(service.name)
    return found
