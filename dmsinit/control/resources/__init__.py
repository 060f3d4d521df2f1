"""The resources of the control API, one per file; each names its routes in ROUTES."""

from typing import Final

from dmsinit.control.resources import apply, blame, events, health, logs, metrics, plan, reexec, services, status
from dmsinit.control.route import Route

PUBLIC: Final[tuple[Route, ...]] = (*health.ROUTES, *metrics.ROUTES)
"""What the metrics port offers, too."""
ROUTES: Final[tuple[Route, ...]] = (
    *PUBLIC,
    *status.ROUTES,
    *services.ROUTES,
    *logs.ROUTES,
    *events.ROUTES,
    *blame.ROUTES,
    *plan.ROUTES,
    *apply.ROUTES,
    *reexec.ROUTES,
)
