"""`before` and `pauses` of services/NAME.toml: what a service says of another one, carried over to that one.

A milter knows that Postfix waits for it; Postfix need not know its milters. The Plan has one side only.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from dmsinit.plan import Service
from dmsinit.problem import Problem

INVERSE: Final[Mapping[str, str]] = {"before": "wants", "pauses": "pauses_for"}
"""Key of a service → key of the other one that says the same."""


@dataclass
class Relations:
    """What services say of others while they are read."""

    _said: list[tuple[str, str, str, str]] = field(default_factory=list)

    def add(self, name: str, key: str, others: Iterable[str], where: str) -> None:
        """Take note that service `name` has `others` in its `key`; `where` is the file and line of that."""
        self._said += [(name, key, other, where) for other in others]

    def resolved(self, services: Iterable[Service], problems: list[Problem]) -> tuple[Service, ...]:
        """Return the services with what others say of them; names of no service are added to `problems`."""
        known = {service.name: service for service in services}
        for name, key, other, where in self._said:
            if other not in known:
                remedy = "correct the name, or delete it"
                problems.append(Problem(where, f"{key} of {name} names {other}, which does not exist", remedy))
                continue
            kind = INVERSE[key]
            names = tuple(sorted({*getattr(known[other], kind), name}))
            known[other] = msgspec.structs.replace(known[other], **{kind: names})
        return tuple(known.values())
