"""Pages that one looks things up in: detectors, the ledger, the setup, and the documentation."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aemon.errors import UnknownTopicError
from aemon.operations.installation import Installation
from aemon.operations.lists.detector_pages import detector_page, detector_report
from aemon.operations.lists.ledger_pages import Happened, run_page
from aemon.operations.reference_pages import find_page, list_pages, search_pages
from aemon.operations.views.setup_view import configuration_text
from aemon.records import Job, Outcome
from aemon.web.pages.markdown_pages import outline, to_html
from aemon.web.pages.page_desk import PageDesk
from aemon.web.pages.requests_read import text_of, whole_of

LISTED = 100
MOST_FOUND = 200  # lines that a search shows
MOST_VERSION = 2**31 - 1

Handler = Callable[[Request], Awaitable[Response]]


def reference_routes(desk: PageDesk) -> list[Route]:
    """Build the routes of these pages."""
    return [
        *_detector_routes(desk),
        Route("/ledger", _ledger(desk)),
        Route("/setup", _setup(desk)),
        *_docs_routes(desk),
    ]


def _detector_routes(desk: PageDesk) -> list[Route]:
    async def detectors(request: Request) -> Response:
        monitor, cursor = text_of(request, "monitor"), text_of(request, "cursor") or None

        def contents(installation: Installation) -> Mapping[str, Any]:
            page = detector_page(installation, monitor or None, cursor=cursor, limit=LISTED)
            names = sorted(installation.config.monitors)
            return {"page": page, "monitors": names, "monitor": monitor}

        return await desk.page(request, "detectors.html", contents)

    async def detector(request: Request) -> Response:
        name, version = request.path_params["name"], request.path_params["version"]

        def contents(installation: Installation) -> Mapping[str, Any]:
            report = detector_report(installation, name, min(version, MOST_VERSION))
            return {"report": report, "detector": report.detector}

        return await desk.page(request, "detector.html", contents)

    return [
        Route("/detectors", detectors),
        Route("/detectors/{name}/{version:int}", detector),
    ]


def _ledger(desk: PageDesk) -> Handler:
    async def ledger(request: Request) -> Response:
        monitor, outcome = text_of(request, "monitor"), text_of(request, "outcome")
        job, cursor = text_of(request, "job"), text_of(request, "cursor") or None

        def contents(installation: Installation) -> Mapping[str, Any]:
            page = run_page(
                installation,
                Happened(monitor=monitor or None),
                jobs=(Job(job),) if job in list(Job) else None,
                outcomes=(Outcome(outcome),) if outcome in list(Outcome) else None,
                cursor=cursor,
                limit=whole_of(request, "limit", LISTED, most=1000),
            )
            return {
                "page": page,
                "monitors": sorted(installation.config.monitors),
                "monitor": monitor,
                "outcome": outcome,
                "outcomes": [each.value for each in Outcome],
                "job": job,
                "jobs": [each.value for each in Job],
            }

        return await desk.page(request, "ledger.html", contents)

    return ledger


def _setup(desk: PageDesk) -> Handler:
    async def setup(request: Request) -> Response:
        checks, monitor = "checks" in request.query_params, text_of(request, "monitor")

        def contents(installation: Installation) -> Mapping[str, Any]:
            diagnose = desk.diagnose
            return {
                "text": configuration_text(installation),
                "monitor": monitor,
                "monitors": sorted(installation.config.monitors),
                "monitor_text": configuration_text(installation, monitor) if monitor else "",
                "findings": list(diagnose()) if checks and diagnose is not None else None,
                "can_check": diagnose is not None,
            }

        return await desk.page(request, "setup.html", contents)

    return setup


def _docs_routes(desk: PageDesk) -> list[Route]:
    async def docs(request: Request) -> Response:
        search = text_of(request, "q")

        def contents(_installation: Installation) -> Mapping[str, Any]:
            try:
                found = search_pages(search)[:MOST_FOUND] if search.strip() else ()
            except UnknownTopicError:
                found = ()
            return {"pages": list_pages(), "search": search, "found": found}

        return await desk.page(request, "docs.html", contents)

    async def topic(request: Request) -> Response:
        def contents(_installation: Installation) -> Mapping[str, Any]:
            page = find_page(request.path_params["topic"])
            sections = outline(page.text)
            return {"page": page, "body": to_html(page.text), "sections": sections}

        return await desk.page(request, "topic.html", contents)

    return [Route("/docs", docs), Route("/docs/{topic}", topic)]
