"""Settings that make records of readings, for every kind of source that can be read again."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from aemon.config.source_settings import SourceSettings
from aemon.config.values.scalars import AtKeyError, Settings
from aemon.config.values.times import Duration

Name = Annotated[str, Field(min_length=1)]
Aggregation = Literal["mean", "last", "first", "max", "min", "sum", "count", "increase"]
WAIT = timedelta(seconds=30)
_ZERO = ("0", "0s", "0m", "0h", "0ms", "0d", 0)


class Pivot(Settings):
    """How a long table, with a reading a row, says which column a reading belongs to."""

    name: Name = Field(description="column with the name of the tag; each tag becomes a column")
    value: Name = Field(description="column with the value of the reading")
    wait: Duration = Field(
        WAIT, description="without a bucket: how long after its time a record waits for readings"
    )


class Bucket(Settings):
    """How readings of a stretch of time become one record of an entity."""

    every: Duration = Field(
        description="length of a bucket; buckets begin at its multiples, counted from 1970 in UTC"
    )
    aggregate: Aggregation | dict[str, Aggregation] = Field(
        {},
        description="how the readings of a column become one value: mean, last, first, max, min, sum, "
        "count, or the increase of a counter; for all columns or by name. Default: the mean of "
        "numbers, the last of anything else",
    )
    offset: Duration | None = Field(
        None, description="buckets begin so much later; shorter than every"
    )
    wait: Duration = Field(
        WAIT, description="how long after its end a bucket waits for late readings"
    )

    @field_validator("every", mode="before")
    @classmethod
    def _takes_time(cls, every: object) -> object:
        if every in _ZERO or every == timedelta(0):
            raise ValueError("a bucket has a length, such as 1m")
        return every

    @model_validator(mode="after")
    def _begins_within(self) -> Self:
        if self.offset is not None and self.offset >= self.every:
            raise AtKeyError("offset", "must be shorter than the bucket (every)")
        return self


def _as_bucket(given: object) -> object:
    return {"every": given} if isinstance(given, str | int | float | timedelta) else given


class Quality(Settings):
    """Which readings count, where a column says how good each of them is."""

    column: Name = Field(description="column with the quality of a reading")
    good: tuple[int | str | bool, ...] = Field(
        (192,),
        min_length=1,
        description="qualities of readings that count; all others are missing. 192 is good in OPC",
    )


class ReadingsSettings(SourceSettings):
    """The settings of a source that can be read again: its rows may be readings."""

    pivot: Pivot | None = Field(
        None,
        description="for a long table, with a row for each reading: which column names the tag, and "
        "which has the value",
    )
    bucket: Annotated[Bucket | None, BeforeValidator(_as_bucket)] = Field(
        None,
        description="make one record of the readings of an entity in such a time: 1m; judged once "
        "the time is over",
    )
    quality: Quality | None = Field(
        None, description="column that says how good a reading is, and which values are good"
    )

    @property
    def holds_readings(self) -> bool:
        """Whether rows are readings, of which records have to be made."""
        return self.pivot is not None or self.bucket is not None

    @model_validator(mode="after")
    def _readings_fit_together(self) -> Self:
        taken = dict(_columns_of(self))
        if self.pivot is not None:
            for key, column in (("name", self.pivot.name), ("value", self.pivot.value)):
                role = taken.get(column)
                # A tag may be the key: it is unique beside the time.
                if role is not None and (key, role) != ("name", "key"):
                    raise AtKeyError(
                        ("pivot", key), f"{column} is the column of the {role} already"
                    )
            if self.pivot.name == self.pivot.value:
                raise AtKeyError(("pivot", "value"), "is the column of the names already")
        if self.quality is not None and not self.holds_readings:
            raise AtKeyError("quality", "takes pivot or bucket beside it")
        if self.quality is not None and self.quality.column in taken:
            role = taken[self.quality.column]
            raise AtKeyError(
                ("quality", "column"), f"{self.quality.column} is the column of the {role} already"
            )
        return self


def _columns_of(settings: SourceSettings) -> Mapping[str, str]:
    """Return which columns identify a row: name -> its role."""
    found: dict[str, str] = {}
    for role in ("time", "key", "entity"):
        value: Any = getattr(settings, role, None)
        for column in value if isinstance(value, tuple) else (value,):
            if isinstance(column, str):
                found.setdefault(column, role)
    return found
