"""Settings of suppression: when anomalies are stored as suppressed and not notified."""

from datetime import datetime, timedelta
from typing import Literal, Self, assert_never

from pydantic import AwareDatetime, Field, model_validator

from aemon.config.values.scalars import MOST, Settings
from aemon.config.values.times import CronText, Duration, TimeZone
from aemon.records import Quiet


class Maintenance(Settings):
    """A period in which anomalies are expected; the period recurs by cron, or happens once."""

    cron: CronText | None = Field(
        None, description="begin of each recurring period, as five fields of cron: 0 2 * * sun"
    )
    lasts: Duration | None = Field(None, description="length of each recurring period: 4h")
    timezone: TimeZone = Field("UTC", description="zone of the cron expression")
    since: AwareDatetime | None = Field(
        None, description="begin of a single period, with the zone: 2026-12-24T18:00:00+01:00"
    )
    until: AwareDatetime | None = Field(None, description="end of the single period")
    entity: str | None = Field(None, description="only for this entity; default: all entities")

    @model_validator(mode="after")
    def _recurring_or_once(self) -> Self:
        recurs = self.cron is not None and self.lasts is not None
        once = self.since is not None and self.until is not None
        parts = (self.cron, self.lasts, self.since, self.until)
        if recurs == once or sum(part is not None for part in parts) != 2:  # noqa: PLR2004 -- a pair
            raise ValueError("give either cron and lasts, or since and until")
        if self.since is not None and self.until is not None and self.until <= self.since:
            raise ValueError("until is not after since")
        return self


class LeastGap(Settings):
    """The smallest relevant difference between a column and its expected value.

    If both keys are given, the larger of the two differences applies.
    """

    absolute: float = Field(
        0.0, ge=0, le=1e30, description="smallest relevant difference, in the column's own units"
    )
    relative: float = Field(
        0.0,
        ge=0,
        le=1e6,
        description="smallest relevant difference, as a share of the expected value: 0.1",
    )


class QuietSettings(Settings):
    """Rules for anomalies that are stored as suppressed and not notified."""

    maintenance: tuple[Maintenance, ...] = Field(
        (),
        description="periods in which anomalies are expected; their records are left out of training",
    )
    directions: dict[str, Literal["high", "low"]] = Field(
        {},
        description="column -> `high` or `low`: the column counts only if its value is above "
        "(high) or below (low) the expected value",
    )
    least_gaps: dict[str, LeastGap] = Field(
        {},
        description="column -> smallest difference: the column counts only if its value differs at "
        "least this much from the expected value",
    )
    least_records: int = Field(
        0,
        ge=0,
        le=MOST,
        description="an anomaly counts only if its entity has at least this number of judged "
        "records within `window`",
    )
    window: Duration = Field(
        timedelta(hours=1),
        description="length of the period for least_records; the period ends at the anomaly",
    )

    def may_apply(self, reason: Quiet) -> bool:
        """Return whether these settings can suppress anomalies for a reason."""
        match reason:
            case Quiet.MAINTENANCE:
                return bool(self.maintenance)
            case Quiet.SNOOZED | Quiet.DRIFT | Quiet.EXCUSED:
                return True
            case Quiet.DIRECTION:
                return bool(self.directions)
            case Quiet.SMALL:
                return bool(self.least_gaps)
            case Quiet.FEW:
                return bool(self.least_records)
            case _:
                assert_never(reason)


def is_over(maintenance: Maintenance, now: datetime) -> bool:
    """Return whether a maintenance period has ended and does not recur."""
    return maintenance.until is not None and maintenance.until < now
