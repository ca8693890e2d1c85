"""Drifts in the store, and the state that a monitor keeps of its judged records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from aemon.frame import printable
from aemon.store.schema.junk import word_of
from aemon.store.schema.tables import drifts, live_states
from aemon.store.store import Store


class DriftKind(StrEnum):
    """The kind of a drift: what has changed."""

    SCORES = "scores"  # most scores: records are more unusual, or less, than before
    COLUMN = "column"  # the values of one column
    SHIFT = "shift"  # nearly all records are flagged, lastingly


OPEN, CLOSED, LEARNED = "open", "closed", "learned"


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """A lasting change of normal data.

    Attributes:
        kind: what has changed.
        started_at: event time of its begin.
        measure: log10 of the evidence, PSI of the column, or records of the shift.
        reason: in plain words.
        feature: the column; empty if it is not a single column.
        entity: the entity; empty for all entities.
        detector_id: the detector whose training records the data differ from.
        learned: whether a later detector has learned the new level.
    """

    kind: DriftKind
    started_at: datetime
    measure: float
    reason: str
    feature: str = ""
    entity: str = ""
    detector_id: int = 0
    learned: bool = False

    @property
    def about(self) -> tuple[str, str, str]:
        """Kind, column and entity; two drifts with equal values are the same drift."""
        return self.kind, self.feature, self.entity


_NAMES = ("kind", "started_at", "measure", "reason", "feature", "entity")


def open_drifts(store: Store, monitor: str) -> list[Drift]:
    """Return the open drifts of a monitor, oldest first.

    Raises:
        StoreError: the database fails.
    """
    return _drifts(store, monitor, OPEN)


def open_reasons(connection: sa.Connection, monitor: str) -> tuple[str, ...]:
    """Return the reason of each open drift of a monitor, oldest first."""
    query = (
        sa.select(drifts.c.reason)
        .where(drifts.c.monitor == monitor, drifts.c.state == OPEN)
        .order_by(drifts.c.id)
    )
    return tuple(connection.execute(query).scalars())


def learned_shifts(store: Store, monitor: str) -> list[Drift]:
    """Return the new levels that a detector of the monitor has learned, oldest first.

    Raises:
        StoreError: the database fails.
    """
    return _drifts(store, monitor, LEARNED)


def _drifts(store: Store, monitor: str, state: str) -> list[Drift]:
    """Return the drifts of a monitor in a state, oldest first.

    Raises:
        StoreError: the database fails.
    """
    query = (
        sa.select(*(drifts.c[name] for name in _NAMES), drifts.c.detector_id)
        .where(drifts.c.monitor == monitor, drifts.c.state == state)
        .order_by(drifts.c.id)
    )
    with store.reading() as connection:
        rows = connection.execute(query).mappings().all()
    learned = state == LEARNED
    return [
        Drift(**{**row, "kind": word_of(DriftKind, row["kind"], DriftKind.SCORES)}, learned=learned)
        for row in rows
    ]


def begin_drifts(store: Store, monitor: str, detector_id: int, found: Sequence[Drift]) -> None:
    """Write new open drifts of a monitor.

    Raises:
        StoreError: the database fails.
    """
    rows = [
        {
            **{name: getattr(drift, name) for name in _NAMES},
            "reason": printable(drift.reason),
            "monitor": monitor,
            "state": OPEN,
            "detected_at": store.now(),
            "detector_id": detector_id,
        }
        for drift in found
    ]
    with store.writing() as connection:
        connection.execute(sa.insert(drifts), rows)


def end_drifts(
    store: Store, monitor: str, over: Sequence[Drift], how: str, *, learned: bool = False
) -> None:
    """Write that drifts have ended, and how.

    Raises:
        StoreError: the database fails.
    """
    with store.writing() as connection:
        for drift in over:
            own = (
                drifts.c.monitor == monitor, drifts.c.state == OPEN, drifts.c.kind == drift.kind,
                drifts.c.feature == drift.feature, drifts.c.entity == drift.entity,
            )  # fmt: skip
            values = {
                "state": LEARNED if learned else CLOSED,
                "ended_at": store.now(),
                "reason": printable(f"{drift.reason}; {how}"),
            }
            connection.execute(sa.update(drifts).where(*own).values(values))


def live_state(store: Store, monitor: str) -> tuple[int, dict[str, Any]] | None:
    """Return the detector that judged a monitor's last records, and the state kept of them.

    Raises:
        StoreError: the database fails.
    """
    query = sa.select(live_states.c.detector_id, live_states.c.state).where(
        live_states.c.monitor == monitor
    )
    with store.reading() as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else (row.detector_id, row.state)


def unusual_traffic(connection: sa.Connection, monitor: str) -> tuple[str, ...]:
    """Return what is unusual about the arrival of a monitor's records, a sentence each."""
    query = sa.select(live_states.c.state).where(live_states.c.monitor == monitor)
    state = connection.execute(query).scalar()
    noted = state.get("traffic") if isinstance(state, dict) else None
    sentences = noted.get("told") if isinstance(noted, dict) else None
    return tuple(str(text) for text in sentences) if isinstance(sentences, list) else ()


def write_live_state(
    connection: sa.Connection,
    monitor: str,
    detector_id: int,
    state: Mapping[str, Any],
    now: datetime,
) -> None:
    """Write the state of a monitor, in the transaction of the verdicts it belongs to."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    values = {"detector_id": detector_id, "state": dict(state), "updated_at": now}
    insert = dialect.insert(live_states).values(monitor=monitor, **values)
    connection.execute(insert.on_conflict_do_update(index_elements=["monitor"], set_=values))
