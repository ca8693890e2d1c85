"""Fields that requests share: names, times, limits and cursors, checked before they are used."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from aemon.frame import printable
from aemon.operations.lists.pages import MOST_ON_A_PAGE, MOST_WHOLE
from aemon.times.given_times import given_time

MOST_CHARACTERS = 1000  # of a name or key
PAGE = 100  # rows on a page without `limit`


def _storable(text: str) -> str:
    """Return a text that a database can hold.

    Raises:
        ValueError: the text has a character that no database can hold.
    """
    if printable(text) != text:
        raise ValueError("has a character that a database cannot hold")
    return text


Text = Annotated[str, Field(max_length=MOST_CHARACTERS), AfterValidator(_storable)]
"""A name, key or note."""

Number = Annotated[int, Path(ge=1, le=MOST_WHOLE, description="the number, as lists show it")]
"""The number of an episode, run or snooze in a path."""

A_TIME = "ISO 8601 (without a zone, UTC), or a duration before now such as 7d"

Moment = Annotated[Text, Field(examples=["2026-01-31T12:00:00Z", "7d"])]


class PageQuery(BaseModel):
    """The part of a request for a list that chooses the page and the form."""

    model_config = ConfigDict(extra="forbid")

    cursor: Annotated[Text | None, Field(description="`next_cursor` of the page before")] = None
    limit: Annotated[
        int | None,
        Field(
            ge=1,
            le=MOST_ON_A_PAGE,
            description=f"most rows on the page; {PAGE} if it is not given. CSV and Parquet have "
            "all rows if it is not given",
        ),
    ] = None
    format: Annotated[
        Literal["json", "csv", "parquet"] | None,
        Field(description="the form; the header Accept decides if it is not given"),
    ] = None


class TimesQuery(PageQuery):
    """A request for rows of a monitor in a time."""

    monitor: Annotated[Text | None, Field(description="only of this monitor")] = None
    since: Annotated[Moment | None, Field(description=f"only from this time on: {A_TIME}")] = None
    until: Annotated[Moment | None, Field(description=f"only before this time: {A_TIME}")] = None

    def times(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """Return (since, until), aware and in UTC.

        Raises:
            QueryError: one of the times cannot be read.
        """
        return read_moment(self.since, now), read_moment(self.until, now)


def read_moment(text: str | None, now: datetime) -> datetime | None:
    """Return a time of a request, aware and in UTC; None if it is not given.

    Raises:
        QueryError: the time cannot be read.
    """
    return None if text is None else given_time(text, now)
