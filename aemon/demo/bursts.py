"""Bursts: groups of flagged records, so that a fault with fifty records fits on a screen."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

BURST_GAP = timedelta(seconds=2.5)
"""A burst ends when its entity has had no flagged record for this long.

This time is longer than the time from one scoring run to the next, and shorter than the pause
between faults.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Blame:
    """A column's contribution to a flagged record; values are in the column's unit."""

    column: str
    observed: float | str | None
    expected: float | str | None
    share: float  # of the explanation of the record, 0..1


@dataclass(frozen=True, kw_only=True, slots=True)
class Flagged:
    """A flagged record as the screen shows it; columns with the largest contribution come first."""

    monitor: str
    entity: str
    event_time: datetime  # aware UTC
    severity: str
    p_value: float
    exceedance: float  # score divided by threshold; 1.0 is the threshold
    reason: str
    contributions: tuple[Blame, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Burst:
    """Flagged records of one entity with short gaps between them."""

    first: Flagged
    worst: Flagged
    last_time: datetime  # event time of the newest record
    seen_at: datetime  # when the newest record was reported
    records: int

    @property
    def name(self) -> str:
        """The entity of the burst, or its monitor if the records have no entity."""
        return self.first.entity or self.first.monitor

    @property
    def seconds(self) -> float:
        """The event time from the first to the newest flagged record, in seconds."""
        return (self.last_time - self.first.event_time).total_seconds()


@dataclass(frozen=True, kw_only=True, slots=True)
class BurstChange:
    """A change of a burst: the burst began, with one record, or the burst ended (`over`)."""

    burst: Burst
    over: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Bursts:
    """The open bursts. The object is immutable: `report` returns the next state."""

    open: tuple[Burst, ...] = ()

    def report(
        self, flagged: Iterable[Flagged], now: datetime
    ) -> tuple["Bursts", tuple[BurstChange, ...]]:
        """Add newly flagged records.

        Args:
            flagged: the records, in any order.
            now: the time of the report, aware.

        Returns:
            The next state, and the changes in order: bursts that began or ended.
        """
        current = {_identity(burst.first): burst for burst in self.open}
        changes: list[BurstChange] = []
        for record in sorted(flagged, key=lambda record: record.event_time):
            identity = _identity(record)
            burst = current.get(identity)
            if burst is not None and record.event_time - burst.last_time <= BURST_GAP:
                current[identity] = _joined(burst, record, now)
                continue
            if burst is not None:
                changes.append(BurstChange(burst=burst, over=True))
            current[identity] = Burst(
                first=record, worst=record, last_time=record.event_time, seen_at=now, records=1
            )
            changes.append(BurstChange(burst=current[identity], over=False))
        for identity, burst in list(current.items()):
            if now - burst.seen_at > BURST_GAP:
                changes.append(BurstChange(burst=current.pop(identity), over=True))
        return Bursts(open=tuple(current.values())), tuple(changes)


def _identity(record: Flagged) -> tuple[str, str]:
    return record.monitor, record.entity


def _joined(burst: Burst, record: Flagged, now: datetime) -> Burst:
    return replace(
        burst,
        worst=max(burst.worst, record, key=lambda flagged: flagged.exceedance),
        last_time=max(burst.last_time, record.event_time),
        seen_at=now,
        records=burst.records + 1,
    )
