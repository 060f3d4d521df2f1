"""Supervision of processes: spawning, states, readiness, health, restart policy, ordering, shutdown, log capture.

Knows no daemon by name; what to run stands in the Plan. `Supervisor` is the whole, `Unit` the life of one service,
`Children` the one owner of waiting.
"""

from dmsinit.supervisor.children import Child, Children, Exit
from dmsinit.supervisor.errors import NoSuchService, OperationFailed
from dmsinit.supervisor.runtime import Runtime
from dmsinit.supervisor.states import Reason, State
from dmsinit.supervisor.status import Applies, Death, Event, ServiceStatus, Span
from dmsinit.supervisor.supervisor import Supervisor

__all__ = [
    "Applies",
    "Child",
    "Children",
    "Death",
    "Event",
    "Exit",
    "NoSuchService",
    "OperationFailed",
    "Reason",
    "Runtime",
    "ServiceStatus",
    "Span",
    "State",
    "Supervisor",
]
