"""The score card: a comparison of flagged records with planted faults, without I/O.

A flagged record counts for a fault of its pump if it lies between the fault's start and one second
after the fault's end. All other flagged records are false alarms. A fault is counted only if it
began at least two seconds before the newest judged record, because a later fault may not be flagged
yet. Flagged records of a later fault are not false alarms.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

AFTERMATH = timedelta(seconds=1)
TIME_TO_BE_SEEN = timedelta(seconds=2)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlantedFault:
    """A fault as it was planted; its times are aware UTC."""

    kind: str
    pump: str
    started_at: datetime
    ended_at: datetime
    columns: tuple[str, ...]

    def covers(self, record: "FlaggedMoment") -> bool:
        """Return whether a flagged record counts for this fault."""
        return (
            record.pump == self.pump
            and self.started_at <= record.event_time <= self.ended_at + AFTERMATH
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class FlaggedMoment:
    """The pump and the time of a flagged record; its event time is aware UTC."""

    pump: str
    event_time: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class FaultScore:
    """The result for one planted fault."""

    kind: str
    pump: str
    started_at: datetime
    columns: tuple[str, ...]
    seconds_until_flagged: float | None  # from start to first flagged record; None: missed
    records_flagged: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreCard:
    """Numbers of planted, flagged and missed faults, and of false alarms."""

    planted: int
    flagged: int
    missed: int
    false_alarms: int
    records_judged_normal: int
    faults: tuple[FaultScore, ...]

    @property
    def false_alarm_share(self) -> float:
        """False alarms divided by the number of false alarms and records judged normal."""
        records = self.false_alarms + self.records_judged_normal
        return self.false_alarms / records if records else 0.0

    def as_dict(self) -> dict[str, object]:
        """Return the score card as plain values for JSON."""
        card = asdict(self)
        for fault in card["faults"]:
            fault["started_at"] = fault["started_at"].isoformat()
            fault["columns"] = list(fault["columns"])
        return {
            **card,
            "faults": list(card["faults"]),
            "false_alarm_share": round(self.false_alarm_share, 6),
        }


def score_card(
    planted: Iterable[PlantedFault],
    flagged: Iterable[FlaggedMoment],
    *,
    newest_judged: datetime | None,
    records_judged_normal: int,
) -> ScoreCard:
    """Compare flagged records with planted faults.

    Args:
        planted: the faults.
        flagged: the flagged records.
        newest_judged: event time of the newest judged record; None if no record was judged.
        records_judged_normal: number of records that were judged and not flagged.
    """
    planted, flagged = tuple(planted), tuple(flagged)
    counted = [
        fault
        for fault in planted
        if newest_judged is not None and fault.started_at + TIME_TO_BE_SEEN <= newest_judged
    ]
    faults = tuple(_fault_score(fault, flagged) for fault in counted)
    found = sum(fault.records_flagged > 0 for fault in faults)
    return ScoreCard(
        planted=len(faults),
        flagged=found,
        missed=len(faults) - found,
        false_alarms=sum(not any(fault.covers(record) for fault in planted) for record in flagged),
        records_judged_normal=records_judged_normal,
        faults=faults,
    )


def _fault_score(fault: PlantedFault, flagged: tuple[FlaggedMoment, ...]) -> FaultScore:
    times = [record.event_time for record in flagged if fault.covers(record)]
    return FaultScore(
        kind=fault.kind,
        pump=fault.pump,
        started_at=fault.started_at,
        columns=fault.columns,
        seconds_until_flagged=(
            round((min(times) - fault.started_at).total_seconds(), 3) if times else None
        ),
        records_flagged=len(times),
    )
