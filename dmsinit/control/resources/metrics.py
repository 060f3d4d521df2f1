"""`/metrics`: for Prometheus."""

from typing import Final

from dmsinit.control.messages import Request, Response
from dmsinit.control.route import Answer, Context, Route

OPENMETRICS_TYPE: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROMETHEUS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


async def _metrics(context: Context, request: Request, _name: str) -> Response:
    openmetrics = "application/openmetrics-text" in request.accept
    body = await context.operations.metrics(openmetrics=openmetrics)
    return Response(body, content_type=OPENMETRICS_TYPE if openmetrics else PROMETHEUS_TYPE)


ROUTES: Final = (
    Route(
        "GET", "/metrics", _metrics, "All metrics, as text or, for clients that accept it, as OpenMetrics",
        (Answer(str, media=PROMETHEUS_TYPE), Answer(str, media=OPENMETRICS_TYPE)),
    ),
)  # fmt: skip
