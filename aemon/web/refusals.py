"""Answers to requests that the guard refuses: text, and problem details under the API."""

import json
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response

API = "/api/v1/"
PUSHES = ("/api/v1/records/", "/api/v1/write")  # paths of pushed records: not of the API
_LATER = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
_TODO = {
    HTTPStatus.UNAUTHORIZED: "send a token or password; `aemon web token` makes a token",
    HTTPStatus.FORBIDDEN: "`permissions` and `monitors` of the web configuration decide",
}


_PAGES = ("/monitors/", "/episodes", "/detectors", "/ledger", "/docs", "/static/")


def is_api(path: str) -> bool:
    """Return whether a path belongs to the API, and is not one for pushed records.

    >>> is_api("/api/v1/episodes"), is_api("/api/v1/records/pumps"), is_api("/metrics")
    (True, False, False)
    """
    return path.startswith(API) and not path.startswith(PUSHES)


def is_push(path: str) -> bool:
    """Return whether a path takes pushed records."""
    return path.startswith(PUSHES) or path in ("/write", "/api/v2/write")


def is_page(path: str) -> bool:
    """Return whether a path is that of a page which shows only what its client may know.

    >>> is_page("/"), is_page("/episodes/3"), is_page("/setup"), is_page("/metrics")
    (True, True, False, False)
    """
    return path == "/" or path.startswith(_PAGES)


def refusal(status: HTTPStatus, reason: str) -> HTTPException:
    """Return the refusal of a request, to be raised."""
    headers = {"Retry-After": "1"} if status in _LATER else None
    return HTTPException(status, f"{reason}\n", headers)


def refusal_answer(refused: HTTPException, path: str) -> Response:
    """Return the answer to a refused request."""
    status = HTTPStatus(refused.status_code)
    if not is_api(path):
        return PlainTextResponse(refused.detail, status, refused.headers)
    told = {
        "type": f"urn:aemon:problem:{status.phrase.lower().replace(' ', '-')}",
        "title": status.phrase,
        "status": int(status),
        "detail": refused.detail.strip(),
        "todo": _TODO.get(status, ""),
        "errors": [],
    }
    return Response(json.dumps(told), status, refused.headers, "application/problem+json")
