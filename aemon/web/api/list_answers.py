"""Answers with a list: a page as JSON, or all rows as a stream of CSV or Parquet."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header
from starlette.responses import Response, StreamingResponse

from aemon.operations.installation import Installation
from aemon.operations.lists.pages import MOST_ON_A_PAGE, Page
from aemon.operations.lists.row_forms import CsvForm, ParquetForm, RowForm
from aemon.web.api.desk import RequestDesk, TheDesk
from aemon.web.api.fields import PAGE, PageQuery

FORMS: dict[str, type[CsvForm | ParquetForm]] = {"csv": CsvForm, "parquet": ParquetForm}
_ACCEPTED = {"text/csv": "csv", "application/vnd.apache.parquet": "parquet"}

LISTED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The page; in the other forms, all rows.",
        "content": {name: {"schema": {"type": "string"}} for name in _ACCEPTED},
    }
}
"""The forms of a list, for the OpenAPI document."""

Lister = Callable[[Installation, str | None, int], Page[Any]]
"""A function: installation, cursor, limit -> page."""


@dataclass(frozen=True)
class Listing:
    """Answers a request for a list in the form that the request accepts.

    Attributes:
        desk: the desk that answers requests.
        accept: the header Accept.
    """

    desk: RequestDesk
    accept: str

    async def answer(self, query: PageQuery, kind: type[Any], lister: Lister) -> Response:
        """Return a page as JSON, or the list as a stream.

        Args:
            query: the request.
            kind: the dataclass of the rows.
            lister: the operation that returns a page.

        Raises:
            AemonError: the first page cannot be read.
            UnavailableFormError: the form needs a package that is not installed.
        """
        form = query.format or preferred_form(self.accept)
        if form == "json":
            limit = query.limit or PAGE
            return await self.desk.answer(lambda one: lister(one, query.cursor, limit))
        writer = FORMS[form](kind)
        first = await self._page(lister, query.cursor, query.limit)
        name = kind.__name__.lower()
        headers = {"Content-Disposition": f'attachment; filename="{name}.{writer.ending}"'}
        parts = self._stream(writer, first, lister, whole=query.limit is None)
        return StreamingResponse(parts, headers=headers, media_type=writer.media_type)

    async def _page(self, lister: Lister, cursor: str | None, limit: int | None) -> Page[Any]:
        return await self.desk.run(lambda one: lister(one, cursor, limit or MOST_ON_A_PAGE))

    async def _stream(
        self, writer: RowForm, page: Page[Any], lister: Lister, *, whole: bool
    ) -> AsyncIterator[bytes]:
        """Yield the list; an error breaks the connection, so that a part is not taken for all."""
        yield writer.begin()
        while True:
            yield writer.add(page.items)
            if page.next_cursor is None or not whole:
                break
            page = await self._page(lister, page.next_cursor, None)
        yield writer.end()


def preferred_form(accept: str) -> str:
    """Return the form that a header Accept prefers: json, csv or parquet.

    >>> preferred_form("text/csv"), preferred_form("text/html, */*;q=0.8"), preferred_form("")
    ('csv', 'json', 'json')
    """
    for part in accept.lower().split(","):
        kind, _, weight = part.partition(";")
        if kind.strip() in _ACCEPTED and weight.replace(" ", "") not in ("q=0", "q=0.0"):
            return _ACCEPTED[kind.strip()]
        if kind.strip() in ("application/json", "*/*"):
            return "json"
    return "json"


def _listing(
    desk: TheDesk, accept: Annotated[str, Header(include_in_schema=False)] = ""
) -> Listing:
    return Listing(desk, accept)


TheListing = Annotated[Listing, Depends(_listing)]
"""The answers with a list, as a parameter of a handler."""
