"""The application of the API: its paths, its OpenAPI document, and its errors."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute, Mount

from aemon import __version__
from aemon.web.api import (
    change_routes,
    detector_routes,
    episode_routes,
    ledger_routes,
    monitor_routes,
    record_routes,
    series_routes,
)
from aemon.web.api.desk import Desk
from aemon.web.api.problem_details import RESPONSES, Problem, answer_errors

PREFIX = "/api/v1"
_ABOUT = """What aemon watches, what it found, and why; and what people say about it.

Lists come in pages: pass `next_cursor` of a page as `cursor` to read the next page. Errors are
problem details (RFC 9457) with a `todo`. Times are ISO 8601 in UTC.
"""


def build_api(desk: Desk) -> FastAPI:
    """Build the application of the API, to be mounted at `PREFIX` behind the guard."""
    app = FastAPI(
        title="aemon",
        version=__version__,
        description=_ABOUT,
        docs_url=None,  # these pages load scripts from other hosts
        redoc_url=None,
        redirect_slashes=False,
        responses=RESPONSES,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.desk = desk
    for module in (
        monitor_routes, episode_routes, record_routes, detector_routes, ledger_routes, series_routes,
        change_routes,
    ):  # fmt: skip
        app.include_router(module.router)
    answer_errors(app)
    _describe(app)
    return app


def api_routes(desk: Desk) -> list[BaseRoute]:
    """Build the route of the API, without a guard; routes of pushed records come before it."""
    return [Mount(PREFIX, build_api(desk))]


def _describe(app: FastAPI) -> None:
    """Let the OpenAPI document describe problems, and numbers that are null."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            described = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
                servers=[{"url": PREFIX}],
            )
            schemas = described.setdefault("components", {}).setdefault("schemas", {})
            _allow_null(schemas)
            template = "#/components/schemas/{model}"
            problem = Problem.model_json_schema(ref_template=template, mode="serialization")
            schemas.update(problem.pop("$defs"))
            schemas["Problem"] = problem
            app.openapi_schema = described
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _allow_null(schema: Any) -> None:
    """Change every number in a schema to a number or null: JSON has no infinite numbers."""
    if isinstance(schema, dict):
        if schema.get("type") == "number":
            schema["type"] = ["number", "null"]
        for value in schema.values():
            _allow_null(value)
    elif isinstance(schema, list):
        for value in schema:
            _allow_null(value)
