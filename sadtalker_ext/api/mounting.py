"""Handlers into the routes of a FastAPI app, with what its /docs page says about them."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.security import HTTPBasic
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from .jobs import Jobs
from .openapi import DESCRIPTIONS
from .routes import PREFIX, Handler, Routes


class _Password(HTTPBasic):
    """Tells /docs that a password is asked for; `access.caller` asks for it, before anything is read."""

    async def __call__(self, request: HTTPConnection) -> Any:
        return None


def add_routes(app: FastAPI, jobs: Jobs, credentials: Mapping[str, str] | None) -> None:
    """Put all routes on the app, in the place of earlier ones of ours."""
    others = [r for r in app.router.routes if not getattr(r, "path", "").startswith(PREFIX + "/")]
    app.router.routes[:] = others
    routes = Routes(jobs, credentials)
    table: dict[str, dict[str, Handler]] = {
        "version": {"GET": routes.version},
        "engines": {"GET": routes.engines},
        "models": {"GET": routes.models},
        "schema": {"GET": routes.schema},
        "voices": {"GET": routes.voices},
        "detect": {"POST": routes.detect},
        "jobs": {"GET": routes.list_jobs, "POST": routes.submit},
        "jobs/{job_id}": {"GET": routes.show, "DELETE": routes.remove},
        "jobs/{job_id}/video": {"GET": routes.video},
        "jobs/{job_id}/track": {"GET": routes.track},
        "jobs/{job_id}/metadata": {"GET": routes.metadata},
    }
    locked = [] if credentials is None else [Depends(_Password(scheme_name="HTTPBasic", auto_error=False))]
    for path, handlers in table.items():
        for method, handler in handlers.items():
            described = DESCRIPTIONS[method, path]
            app.add_api_route(
                f"{PREFIX}/{path}",
                _endpoint(routes, handler),
                methods=[method],
                name=_name(method, path),
                operation_id=_name(method, path),
                summary=described.summary,
                description=described.text,
                status_code=described.status,
                tags=["SadTalker"],
                dependencies=locked,
                response_model=None,
                response_class=Response,
                responses=described.responses(locked=credentials is not None),
                openapi_extra=described.extra(),
            )
        allowed = (*handlers, "HEAD") if "GET" in handlers else (*handlers,)
        if "GET" in handlers:
            _add_hidden(app, path, _endpoint(routes, handlers["GET"]), ["HEAD"])
        app.router.routes.append(_any_method(path, routes.guarded(routes.wrong_method(allowed))))
    app.router.routes.append(_any_method("{rest:path}", routes.guarded(routes.unknown)))
    app.openapi_schema = None  # made anew when somebody asks, with ours in it


def _add_hidden(app: FastAPI, path: str, endpoint: Any, methods: list[str]) -> None:
    settings: dict[str, Any] = {"include_in_schema": False, "response_model": None}
    app.add_api_route(f"{PREFIX}/{path}", endpoint, methods=methods, **settings)


class _AnyMethod:
    """An endpoint that is no function: those are asked for GET alone."""

    def __init__(self, respond: Callable[[Request], Awaitable[Response]]) -> None:
        self._respond = respond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._respond(Request(scope, receive))
        await response(scope, receive, send)


def _any_method(path: str, respond: Callable[[Request], Awaitable[Response]]) -> Route:
    return Route(f"{PREFIX}/{path}", _AnyMethod(respond))


def _endpoint(routes: Routes, handler: Handler) -> Any:
    respond = routes.guarded(handler)

    async def endpoint(request: Request) -> Response:
        return await respond(request)

    return endpoint


def _name(method: str, path: str) -> str:
    return "sadtalker_" + re.sub(r"\W+", "_", f"{method.lower()}_{path}").strip("_")
