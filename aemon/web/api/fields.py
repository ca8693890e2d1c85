"""Fields that requests share: names, times, limits and cursors, checked before they are used."""

from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from aemon.frame import printable
from aemon.operations.lists.pages import MOST_ON_A_PAGE, MOST_WHOLE

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

Moment = Annotated[
    Text,
    Field(
        description="a time (ISO 8601; without a zone, UTC), or a duration before now",
        examples=["2026-01-31T12:00:00Z", "7d"],
    ),
]


class PageQuery(BaseModel):
    """The part of a request for a list that chooses the page."""

    model_config = ConfigDict(extra="forbid")

    cursor: Annotated[Text | None, Field(description="`next_cursor` of the page before")] = None
    limit: int = Field(PAGE, ge=1, le=MOST_ON_A_PAGE, description="most rows on the page")
