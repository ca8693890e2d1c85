"""The place up to which records were made from readings, written as a watermark's position."""

import json
from dataclasses import dataclass
from datetime import datetime

from aemon.errors import SourceConfigError
from aemon.frame import printable
from aemon.records import Watermark

_LONGEST_SHOWN = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """The place up to which records were made from readings and handed over.

    Attributes:
        bucket: beginning of the bucket of the last record handed over, microseconds since 1970.
        entity: entity of the last record handed over; None if all records of the bucket were
            handed over.
        known: number of rows after `start` that the records handed over contain. Late rows are not
            counted.
        start: watermark of the underlying source, before the first row that is still needed; None
            if the first row of that source is needed.
        tags: all tags seen so far. A tag without readings for a while remains a column.
    """

    bucket: int
    entity: str | None
    known: int
    start: Watermark | None
    tags: tuple[str, ...] = ()


def write_place(place: Place) -> str:
    """Return a place as the position of a watermark."""
    start = place.start
    below = None
    if start is not None:
        time = start.event_time.isoformat() if start.event_time is not None else None
        below = [time, start.record_key, start.position]
    return json.dumps(
        {
            "bucket": place.bucket,
            "entity": place.entity,
            "known": place.known,
            "source": below,
            "tags": place.tags,
        },
        ensure_ascii=False,
    )


def read_place(mark: Watermark | None) -> Place | None:
    """Return the place in the position of a watermark; None if there is no position.

    Raises:
        SourceConfigError: the position is not in the form that aemon writes.
    """
    if mark is None or not mark.position:
        return None
    try:
        found = json.loads(mark.position)
        start = None
        if found["source"] is not None:
            time, key, position = map(_text_or_none, found["source"])
            start = Watermark(
                event_time=datetime.fromisoformat(time) if time else None,
                record_key=key or "",
                position=position or "",
            )
        return Place(
            bucket=int(found["bucket"]),
            entity=_text_or_none(found["entity"]),
            known=int(found["known"]),
            start=start,
            tags=tuple(map(_text, found["tags"])),
        )
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError):
        raise SourceConfigError(
            "the position of the watermark cannot be read: watermarks.position is "
            f"{printable(mark.position)[:_LONGEST_SHOWN]!r}",
            todo="delete the monitor's row of `watermarks`: aemon then reads all records again and "
            "judges none twice",
        ) from None


def _text_or_none(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
