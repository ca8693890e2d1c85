"""The routes that receive records: JSON, JSON lines, CSV, InfluxDB lines and Prometheus samples."""

import asyncio
import zlib
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from http import HTTPStatus
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from aemon.errors import NotFoundError, RetriableError, SourceConfigError
from aemon.reading.pushed_records import PushDesk, Pushed
from aemon.sources.push.batches import (
    Batch,
    UnreadableBodyError,
    read_csv,
    read_json,
    read_json_lines,
)
from aemon.sources.push.line_protocol import read_lines
from aemon.sources.push.snappy import LargeBodyError, unpack_snappy
from aemon.web.client import client_of
from aemon.web.worker_threads import in_thread

AT_ONCE = 4  # requests that are read and written at one time; one wait for the disk serves all
MOST_WAITING = 64  # requests whose bodies are held in memory
MOST_KEY = 200  # characters of an Idempotency-Key
MOST_TOLD = 3  # most problems in an answer; Prometheus logs the answer
LATER = {"Retry-After": "1"}

PROTOBUF = ("application/x-protobuf", "application/x-protobuf;proto=prometheus.writerequest")
Reader = Callable[[bytes], Batch]

READERS: dict[str, Callable[[str], Batch]] = {
    "application/json": read_json,
    "application/x-ndjson": read_json_lines,
    "application/jsonl": read_json_lines,
    "application/x-jsonlines": read_json_lines,
    "text/csv": read_csv,
}


class _RefusedError(Exception):
    """A request that is refused with a status and a reason."""

    def __init__(self, status: HTTPStatus, problem: str) -> None:
        super().__init__(problem)
        self.status = status


class Pushes:
    """The handlers of requests with records; the guard has checked the permission `push`.

    Args:
        desk: the object that stores records.
        count: called with a monitor, a reason, and the number of records rejected for it.
        max_body: the largest body, in bytes, also after decompression.
    """

    def __init__(
        self, desk: PushDesk, count: Callable[[str, str, int], None], max_body: int
    ) -> None:
        self._desk = desk
        self._count = count
        self._max_body = max_body
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    @property
    def routes(self) -> list[Route]:
        """The routes, without a guard."""
        return [
            Route("/api/v1/records/{monitor:path}", self._records, methods=["POST"]),
            Route("/write", self._lines, methods=["POST"]),
            Route("/api/v2/write", self._lines, methods=["POST"]),
            Route("/api/v1/write", self._samples, methods=["POST"]),
        ]

    async def _records(self, request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        monitor = request.path_params["monitor"]

        def read(text: str) -> Batch:
            if kind not in READERS:
                problem = f"the Content-Type must be one of {', '.join(READERS)}"
                raise _RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, problem)
            return READERS[kind](text)

        try:
            pushed = await self._take(request, monitor, lambda body: read(_text(body)))
        except _RefusedError as error:
            return _refusal(error)
        all_rejected = pushed.rejected and not pushed.accepted + pushed.duplicates
        status = HTTPStatus.UNPROCESSABLE_ENTITY if all_rejected else HTTPStatus.ACCEPTED
        return JSONResponse(_shown(pushed), status)

    async def _lines(self, request: Request) -> Response:
        query = request.query_params
        monitor = query.get("db") or query.get("bucket") or ""
        precision = query.get("precision") or "ns"
        try:
            pushed = await self._take(
                request, monitor, lambda body: read_lines(_text(body), precision)
            )
        except _RefusedError as error:
            return _refusal(error)
        if not pushed.rejected:
            return Response(status_code=HTTPStatus.NO_CONTENT)
        count = sum(pushed.rejected.values())
        message = f"partial write: {_sentence(pushed)} dropped={count}"
        return JSONResponse({"error": message, **_shown(pushed)}, HTTPStatus.BAD_REQUEST)

    async def _samples(self, request: Request) -> Response:
        monitor = request.query_params.get("monitor", "")
        kind = request.headers.get("content-type", "").replace(" ", "").lower()
        try:
            if kind not in PROTOBUF:
                problem = f"the Content-Type must be {PROTOBUF[0]}, which is remote write 1.0"
                return _refusal(_RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, problem))
            read = partial(self._desk.read_samples, monitor)
            pushed = await self._take(request, monitor, read)
        except _RefusedError as error:
            return _refusal(error)
        if not pushed.rejected:
            return Response(status_code=HTTPStatus.NO_CONTENT)
        # The specification asks for this answer: the other records are stored, and Prometheus logs
        # the message and continues.
        problems = "; ".join(problem.problem for problem in pushed.problems[:MOST_TOLD])
        message = problems or ", ".join(f"{count} {why}" for why, count in pushed.rejected.items())
        return JSONResponse({"error": message, **_shown(pushed)}, HTTPStatus.BAD_REQUEST)

    async def _take(self, request: Request, monitor: str, read: Reader) -> Pushed:
        """Read a request and store its records.

        Raises:
            _RefusedError: no record was stored.
        """
        if not client_of(request.scope).knows(monitor):
            raise _RefusedError(HTTPStatus.FORBIDDEN, f"you may not push to {monitor!r}")
        if self._waiting >= MOST_WAITING:
            raise _RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests wait")
        self._waiting += 1
        try:
            body = await request.body()
            key = _idempotency_key(request)
            packed = request.headers.get("content-encoding", "").lower()
            work = lambda: self._accept(body, packed, monitor, read, key)  # noqa: E731
            async with self._turn:
                pushed = await in_thread(work)
        except (UnreadableBodyError, UnicodeDecodeError) as error:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from None
        except NotFoundError as error:
            raise _RefusedError(HTTPStatus.NOT_FOUND, str(error)) from None
        except ClientDisconnect:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "the request is cut off") from None
        except (RetriableError, SourceConfigError) as error:  # also a package that is missing
            raise _RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from None
        finally:
            self._waiting -= 1
        for reason, records in pushed.rejected.items():
            self._count(monitor, reason, records)
        return pushed

    def _accept(
        self, body: bytes, packed: str, monitor: str, read: Reader, key: str | None
    ) -> Pushed:
        return self._desk.accept(monitor, read(self._unpacked(body, packed)), key)

    def _unpacked(self, body: bytes, packed: str) -> bytes:
        if packed in {"", "identity"}:
            return body
        if packed == "snappy":
            try:
                return unpack_snappy(body, self._max_body)
            except LargeBodyError:
                raise _too_large(self._max_body) from None
        if packed != "gzip":
            problem = f"the Content-Encoding {packed!r} is unknown; use gzip, snappy or none"
            raise _RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, problem)
        unpacking = zlib.decompressobj(wbits=31)
        try:
            unpacked = unpacking.decompress(body, self._max_body + 1)
        except zlib.error:
            raise UnreadableBodyError("the body is not compressed by gzip") from None
        if len(unpacked) > self._max_body:
            raise _too_large(self._max_body)
        if not unpacking.eof:
            raise UnreadableBodyError("the compressed body is cut off")
        return unpacked


def _too_large(most: int) -> _RefusedError:
    problem = f"the body is larger than {most} bytes decompressed (http.max_body)"
    return _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, problem)


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= MOST_KEY and key.isascii() and key.isprintable()):
        problem = f"an Idempotency-Key has 1 to {MOST_KEY} characters of ASCII"
        raise _RefusedError(HTTPStatus.BAD_REQUEST, problem)
    return key


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise UnreadableBodyError(f"line {line}: the body is not UTF-8 text") from None


def _shown(pushed: Pushed) -> dict[str, Any]:
    return asdict(pushed)


def _sentence(pushed: Pushed) -> str:
    first = pushed.problems[0] if pushed.problems else None
    if first is None:
        return "; ".join(f"{count} {reason}" for reason, count in pushed.rejected.items())
    return f"line {first.line}, column {first.column}: {first.problem}"


def _refusal(error: _RefusedError) -> Response:
    headers = LATER if error.status == HTTPStatus.SERVICE_UNAVAILABLE else None
    return JSONResponse({"error": str(error)}, error.status, headers)
