"""`/v1/services`: the services, and operating on one."""

from typing import Final

from dmsinit.control.messages import Refused, Request, Response, json_response
from dmsinit.control.operations import VERBS, Verb
from dmsinit.control.route import Answer, Context, Handler, Parameter, Route
from dmsinit.supervisor.status import ServiceStatus

_WAIT: Final = Parameter("wait", "boolean", "Answer when the service is ready (or stopped)", default=False)
_SIGNAL: Final = Parameter("signal", "string", "Name without SIG, or number", required=True)


async def _services(context: Context, _request: Request, _name: str) -> Response:
    return json_response(context.operations.status().services)


async def _service(context: Context, _request: Request, name: str) -> Response:
    return json_response(context.operations.service(name))


def _operation(verb: Verb) -> Handler:
    async def handler(context: Context, request: Request, name: str) -> Response:
        wait = request.flag("wait")
        status = await context.to_the_end(context.operations.operate(name, verb, wait=wait))
        return json_response(status, 200 if wait else 202)

    return handler


async def _signal(context: Context, request: Request, name: str) -> Response:
    signal = request.query.get("signal", "")
    if not signal:
        raise Refused(400, "which signal? write ?signal=HUP")
    return json_response(await context.to_the_end(context.operations.signal(name, signal)))


ROUTES: Final = (
    Route("GET", "/v1/services", _services, "All services, the disabled ones included", (Answer(list[ServiceStatus]),)),
    Route("GET", "/v1/services/NAME", _service, "One service", (Answer(ServiceStatus),), errors=(404,)),
    *(
        Route(
            "POST", f"/v1/services/NAME/{verb}", _operation(verb), f"{verb.capitalize()} a service",
            (Answer(ServiceStatus, 202), Answer(ServiceStatus)), (_WAIT,), (404, 409),
        )
        for verb in VERBS
    ),
    Route(
        "POST", "/v1/services/NAME/signal", _signal, "Send a signal to the main process of a service",
        (Answer(ServiceStatus),), (_SIGNAL,), (404, 409),
    ),
)  # fmt: skip
