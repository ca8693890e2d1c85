"""Finds the watermark in the source again if its stored position is not valid."""

from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa

from aemon.reading.reader import Reader
from aemon.records import Watermark
from aemon.store.schema.junk import log_junk
from aemon.store.schema.tables import detectors
from aemon.store.store import Mark, Store


def with_valid_positions(
    reader: Reader, monitor: str, store: Store, mark: Mark, chunk: int
) -> Mark:
    """Return the monitor's mark; replace stored positions that this source did not write.

    An invalid watermark is replaced by the end of the first detector's training records in the
    source. All later records are then read again. Records that have a verdict are recognised and
    get no second verdict, and no record is skipped.

    Args:
        reader: reads the source.
        monitor: name of the monitor.
        store: the results database, which has the training period of the first detector.
        mark: the mark as stored.
        chunk: number of records in one read.

    Raises:
        AemonError: the source or the store cannot be read.
    """
    recognises = reader.source.recognises
    if mark.settled is not None and not recognises(mark.settled):
        log_junk("a position up to which records are looked for", mark.settled.position)
        mark = replace(mark, settled=None)
    if mark.watermark is None or recognises(mark.watermark):
        return mark
    log_junk("a position of reading", mark.watermark.position)
    return replace(mark, watermark=_behind(reader, _learned_until(store, monitor), chunk))


def _behind(reader: Reader, until: datetime | None, chunk: int) -> Watermark | None:
    """Return the watermark after the first records up to a time; None without such records."""
    position: Watermark | None = None
    while until is not None:
        read = reader.after(position, chunk)
        if read.watermark is None or read.watermark == position:
            break
        found = reader.watermark_behind(position, read, until)
        if found is None:
            break
        position = found
        if not read.more or found != read.watermark:
            break
    return position


def _learned_until(store: Store, monitor: str) -> datetime | None:
    first = (detectors.c.monitor == monitor, detectors.c.version == 1)
    with store.reading() as connection:
        found: datetime | None = connection.execute(
            sa.select(detectors.c.trained_until).where(*first)
        ).scalar()
    return found
