"""Watermarks of a Prometheus source: a step, and the last entity read at this step."""

import json
from datetime import datetime

import pandas as pd

from aemon.records import Watermark
from aemon.sources.prometheus.records import ENTITY, KEY


def mark_behind(table: pd.DataFrame) -> Watermark:
    """Return the watermark at the last record of a table."""
    last = table.iloc[-1]
    entity = last[ENTITY] if ENTITY in table else ""
    return Watermark(
        event_time=datetime.fromisoformat(last[KEY]),
        record_key=last[KEY],
        position=json.dumps({"entity": entity}),
    )


def time_of_mark(mark: Watermark) -> datetime:
    """Return the time of a watermark's step.

    Raises:
        ValueError: the watermark has no time, so a different source wrote the watermark.
    """
    if mark.event_time is None:
        raise ValueError("a watermark of Prometheus must have a time")
    return mark.event_time


def entity_of(mark: Watermark) -> str | None:
    """Return the last entity read at a watermark's step; None if the position has no entity."""
    try:
        position = json.loads(mark.position)
    except ValueError:
        return None
    entity = position.get("entity") if isinstance(position, dict) else None
    return entity if isinstance(entity, str) else None


def without_read(table: pd.DataFrame, after: Watermark | None) -> pd.DataFrame:
    """Return a table without the records up to a watermark, which were read before."""
    if after is None or ENTITY not in table or not len(table):
        return table
    entity = entity_of(after)
    same = table[KEY] == after.record_key
    read = same if entity is None else same & (table[ENTITY] <= entity)
    return table[~read].reset_index(drop=True)


def up_to(table: pd.DataFrame, until: Watermark | None) -> pd.DataFrame:
    """Return the records of a table up to a watermark."""
    if until is None or ENTITY not in table or not len(table):
        return table
    entity = entity_of(until)
    if entity is None:
        return table
    later = (table[KEY] == until.record_key) & (table[ENTITY] > entity)
    return table[~later].reset_index(drop=True)
