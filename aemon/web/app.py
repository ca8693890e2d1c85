"""The web application: `/`, `/status.json`, `/metrics`, `/healthz`, `/readyz`."""

import gzip
import json
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus

from jinja2 import Environment, PackageLoader, select_autoescape
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from aemon.errors import AemonError
from aemon.web.status import Health, StatusPage, as_json

# The page needs nothing from elsewhere and runs no script.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def build_app(
    status: Callable[[], StatusPage], health: Callable[[], Health], exposed: Callable[[], bytes]
) -> Starlette:
    """The application. Handlers are plain functions: Starlette runs them in its own threads."""
    templates = Environment(
        loader=PackageLoader("aemon.web"), autoescape=select_autoescape(), trim_blocks=True
    )
    templates.filters["ago"] = _ago
    templates.filters["percent"] = _percent
    page = templates.get_template("status.html")

    def index(_request: Request) -> Response:
        try:
            return HTMLResponse(page.render(page=status()), headers=_HEADERS)
        except AemonError as error:
            return PlainTextResponse(f"{error}\n", HTTPStatus.SERVICE_UNAVAILABLE, _HEADERS)

    def status_json(_request: Request) -> Response:
        try:
            text = json.dumps(as_json(status()), default=datetime.isoformat)
        except AemonError as error:
            return PlainTextResponse(f"{error}\n", HTTPStatus.SERVICE_UNAVAILABLE, _HEADERS)
        return Response(text, media_type="application/json", headers=_HEADERS)

    def metrics(request: Request) -> Response:
        text, headers = exposed(), {"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}
        if "gzip" in request.headers.get("accept-encoding", ""):
            # The quickest level: lines are so alike that others gain little.
            text, headers["Content-Encoding"] = gzip.compress(text, 1), "gzip"
        return Response(text, headers=headers)

    def healthz(_request: Request) -> Response:
        now = health()
        code = HTTPStatus.OK if now.alive else HTTPStatus.SERVICE_UNAVAILABLE
        return PlainTextResponse(f"{now.told}\n", code)

    def readyz(_request: Request) -> Response:
        if health().started:
            return PlainTextResponse("ready\n")
        return PlainTextResponse("starting\n", HTTPStatus.SERVICE_UNAVAILABLE)

    return Starlette(
        routes=[
            Route("/", index),
            Route("/status.json", status_json),
            Route("/metrics", metrics),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
        ]
    )


def _percent(share: float) -> str:
    """A share to two significant digits."""
    return f"{100 * share:.2g} %"


def _ago(moment: datetime | None, now: datetime) -> str:
    """How long ago, in the largest fitting unit."""
    if moment is None:
        return "never"
    seconds = max(0, round((now - moment).total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"
