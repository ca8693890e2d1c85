"""Errors of the API as problem details (RFC 9457): what happened, and what to do."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from aemon.errors import (
    AemonError,
    AmbiguousError,
    ConfigError,
    DetectorError,
    NoResultsError,
    NotFoundError,
    QueryError,
    RefusedError,
    ResourceError,
    RetriableError,
    SchemaError,
    SlowQueryError,
    UnavailableFormError,
    UnknownDetectorError,
    UnknownMonitorError,
)

MEDIA_TYPE = "application/problem+json"
MOST_NAMED = 10  # fields that a problem names

# The first class that fits decides.
KINDS: Mapping[type[AemonError], tuple[HTTPStatus, str]] = {
    UnknownMonitorError: (HTTPStatus.NOT_FOUND, "unknown-monitor"),
    NotFoundError: (HTTPStatus.NOT_FOUND, "not-found"),
    UnknownDetectorError: (HTTPStatus.NOT_FOUND, "unknown-detector"),
    DetectorError: (HTTPStatus.CONFLICT, "detector-unfit"),
    NoResultsError: (HTTPStatus.NOT_FOUND, "no-results"),
    AmbiguousError: (HTTPStatus.CONFLICT, "ambiguous"),
    QueryError: (HTTPStatus.BAD_REQUEST, "wrong-query"),
    UnavailableFormError: (HTTPStatus.NOT_ACCEPTABLE, "form-unavailable"),
    ConfigError: (HTTPStatus.UNPROCESSABLE_ENTITY, "wrong-request"),
    RefusedError: (HTTPStatus.UNPROCESSABLE_ENTITY, "refused-values"),
    SlowQueryError: (HTTPStatus.SERVICE_UNAVAILABLE, "slow-query"),
    ResourceError: (HTTPStatus.SERVICE_UNAVAILABLE, "busy"),
    RetriableError: (HTTPStatus.SERVICE_UNAVAILABLE, "store-unavailable"),
    SchemaError: (HTTPStatus.SERVICE_UNAVAILABLE, "store-unavailable"),
}


class WrongField(BaseModel):
    """A field of a request that is wrong, with the reason."""

    field: str = Field(description="where: query, path or body, and the name of the field")
    problem: str


class Problem(BaseModel):
    """Why a request failed, in the form of RFC 9457."""

    type: str = Field(description="identifies the kind of problem, for programs")
    title: str
    status: int
    detail: str = Field(description="what happened")
    todo: str = Field("", description="what to do; empty if nothing is known")
    errors: list[WrongField] = Field([], description="the wrong fields of the request")


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    for status, text in (
        ("4XX", "The request is wrong, not allowed, or about nothing that exists."),
        ("5XX", "The request cannot be answered now."),
    )
}  # fmt: skip
"""The answers that every path may give besides its own, for the OpenAPI document."""


def problem(
    status: int,
    kind: str,
    detail: str,
    todo: str = "",
    *,
    errors: list[WrongField] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a problem as an answer."""
    content = Problem(
        type=f"urn:aemon:problem:{kind}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        todo=todo,
        errors=errors or [],
    )
    headers = dict(headers or {})
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers.setdefault("Retry-After", "1")
    return JSONResponse(content.model_dump(), status, headers, MEDIA_TYPE)


def of_error(error: AemonError) -> Response:
    """Return an error of an operation as an answer."""
    for kind, (status, name) in KINDS.items():
        if isinstance(error, kind):
            return problem(status, name, error.message, error.todo)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "failed", error.message, error.todo)


def answer_errors(app: FastAPI) -> None:
    """Let an application answer every error with a problem."""

    async def on_error(_request: Request, error: Exception) -> Response:
        if isinstance(error, AemonError):
            return of_error(error)
        if isinstance(error, RequestValidationError):
            return _wrong_fields(error)
        if isinstance(error, HTTPException):
            kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
            return problem(error.status_code, kind, str(error.detail), headers=error.headers)
        # The server logs the error, too.
        return problem(
            HTTPStatus.INTERNAL_SERVER_ERROR, "failed", "aemon made a mistake",
            "the log of the daemon has the error: please report it",
        )  # fmt: skip

    for kind in (AemonError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, on_error)


def _wrong_fields(error: RequestValidationError) -> Response:
    """Return the wrong fields of a request, without their values, which may be secret."""
    wrong = [
        WrongField(field=".".join(map(str, one["loc"])), problem=one["msg"])
        for one in error.errors()[:MOST_NAMED]
    ]
    detail = "; ".join(f"{one.field}: {one.problem}" for one in wrong)
    return problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "wrong-request", detail,
        "the OpenAPI document describes the fields: /api/v1/openapi.json", errors=wrong,
    )  # fmt: skip
