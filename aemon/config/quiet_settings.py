"""What a configuration may say of when anomalies are not to be told."""

from datetime import datetime, timedelta
from typing import Literal, Self, assert_never

from pydantic import AwareDatetime, Field, model_validator

from aemon.config.values.scalars import MOST, Settings
from aemon.config.values.times import CronText, Duration, TimeZone
from aemon.records import Quiet


class Maintenance(Settings):
    """A stretch in which anomalies are expected: recurring by cron, or once."""

    cron: CronText | None = Field(None, description="when it begins, again and again: 0 2 * * sun")
    lasts: Duration | None = Field(None, description="how long each of them lasts: 4h")
    timezone: TimeZone = Field("UTC", description="zone of the cron expression")
    since: AwareDatetime | None = Field(
        None, description="or once, from this time, with its zone: 2026-12-24T18:00:00+01:00"
    )
    until: AwareDatetime | None = Field(None, description="to this time")
    entity: str | None = Field(None, description="of this entity only")

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
    """How far a column must be from what is expected to count."""

    absolute: float = Field(0.0, ge=0, le=1e30, description="in the column's own units")
    relative: float = Field(0.0, ge=0, le=1e6, description="as a share of the expected value: 0.1")


class QuietSettings(Settings):
    """Anomalies that are stored as suppressed, and told to nobody."""

    maintenance: tuple[Maintenance, ...] = Field(
        (), description="stretches in which anomalies are expected; nothing is learned from them"
    )
    directions: dict[str, Literal["high", "low"]] = Field(
        {}, description="a column counts only where it is above (high) or below (low) expectation"
    )
    least_gaps: dict[str, LeastGap] = Field(
        {}, description="a column counts only where it is that far from what is expected"
    )
    least_records: int = Field(
        0,
        ge=0,
        le=MOST,
        description="anomalies count only with so many records of the entity in `window`",
    )
    window: Duration = Field(timedelta(hours=1), description="that window, up to the anomaly")

    def may_apply(self, reason: Quiet) -> bool:
        """Return whether anomalies may be suppressed for this reason under these settings."""
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


def is_over(one: Maintenance, now: datetime) -> bool:
    """Whether a stretch will not come again."""
    return one.until is not None and one.until < now
