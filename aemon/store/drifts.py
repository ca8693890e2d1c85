"""Drifts in the store, and the state that each monitor computes from its judged records."""

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
    """The kind of a drift."""

    SCORES = "scores"  # most scores changed: records are more or less unusual than before
    COLUMN = "column"  # the values of one column changed
    SHIFT = "shift"  # level shift: nearly all records have been flagged for a long time


OPEN, CLOSED, LEARNED = "open", "closed", "learned"


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """A lasting change of normal data.

    Attributes:
        kind: kind of the drift: scores, one column, or a level shift.
        started_at: event time when the drift began.
        measure: log10 of the evidence (scores), PSI (column), or number of records (level shift).
        reason: the drift in plain words.
        feature: name of the column; empty if the drift is not about one column.
        entity: name of the entity; empty if the drift is about all entities.
        detector_id: id of the detector whose training records differ from the newer records.
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
        """(kind, column, entity), which identify a drift among the open drifts of a monitor."""
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
    """Return the drifts of a monitor that a later detector has learned, oldest first.

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
    """Mark drifts of a monitor as ended.

    Args:
        store: the store.
        monitor: name of the monitor.
        over: the drifts.
        how: text about the end, which is appended to the reason of each drift.
        learned: True if a detector has learned the new level.

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
    """Return (detector id, state) of a monitor; None if the monitor has no stored state.

    The id is the id of the detector that judged last.

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
    """Return one sentence for each unusual finding about the arrival of a monitor's records."""
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
    """Write the state of a monitor, in the transaction that writes the verdicts."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    values = {"detector_id": detector_id, "state": dict(state), "updated_at": now}
    insert = dialect.insert(live_states).values(monitor=monitor, **values)
    connection.execute(insert.on_conflict_do_update(index_elements=["monitor"], set_=values))
