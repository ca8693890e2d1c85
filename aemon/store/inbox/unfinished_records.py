"""Unfinished records of streams: values that arrive one by one are joined into records."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from aemon.records import Identity
from aemon.store.schema.tables import unfinished_records
from aemon.store.store import KEYS_AT_ONCE, Row, Store

MOST_FINISHED = 10_000  # records that one transaction finishes; the next transaction continues

_TABLE = unfinished_records.c
_NAMES = ("entity", "record_key", "event_time", "record")
_COLUMNS = tuple(_TABLE[name] for name in _NAMES)


def join_parts(
    connection: sa.Connection,
    store: Store,
    monitor: str,
    parts: Sequence[Row],
    received_before: datetime,
) -> list[Row]:
    """Join new parts of records with the stored parts; return and remove the finished records.

    If a column has two values, the later value replaces the earlier value. A missing value does not
    replace an earlier value.

    Args:
        connection: connection of an open transaction.
        store: the store, whose clock gives the time of arrival.
        monitor: name of the monitor.
        parts: parts of records, as rows of `history`, in order of arrival. Parts with equal entity
            and key belong to one record.
        received_before: a record is finished if its first part arrived before this time.
    """
    if parts:
        _join(connection, monitor, parts, store.now())
    finished = (
        sa.select(*_COLUMNS)
        .where(_TABLE.monitor == monitor, _TABLE.received_at < received_before)
        .order_by(_TABLE.event_time, _TABLE.entity, _TABLE.record_key)
        .limit(MOST_FINISHED)
    )
    rows: list[Row] = [dict(row) for row in connection.execute(finished).mappings()]
    _delete(connection, monitor, [(row["entity"], row["record_key"]) for row in rows])
    return rows


def _join(connection: sa.Connection, monitor: str, parts: Sequence[Row], now: datetime) -> None:
    keys = list(dict.fromkeys(part["record_key"] for part in parts))
    joined: dict[Identity, Row] = {}
    for first in range(0, len(keys), KEYS_AT_ONCE):
        some = _TABLE.record_key.in_(keys[first : first + KEYS_AT_ONCE])
        query = sa.select(*_COLUMNS, _TABLE.received_at).where(_TABLE.monitor == monitor, some)
        for row in connection.execute(query).mappings():
            joined[row["entity"], row["record_key"]] = dict(row)
    changed: dict[Identity, Row] = {}
    for part in parts:
        name = (part["entity"], part["record_key"])
        known = joined.setdefault(name, {**part, "record": {}, "received_at": now})
        values = {key: value for key, value in part["record"].items() if value is not None}
        known["record"] = known["record"] | values
        changed[name] = known
    _delete(connection, monitor, list(changed))
    connection.execute(
        sa.insert(unfinished_records), [{"monitor": monitor, **row} for row in changed.values()]
    )


def _delete(connection: sa.Connection, monitor: str, names: Sequence[Identity]) -> None:
    if not names:
        return
    statement = sa.delete(unfinished_records).where(
        _TABLE.monitor == monitor,
        _TABLE.entity == sa.bindparam("of_entity"),
        _TABLE.record_key == sa.bindparam("of_key"),
    )
    connection.execute(statement, [{"of_entity": entity, "of_key": key} for entity, key in names])
