"""Settings for making records from readings, common to many kinds of source."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, ValidationError, field_validator, model_validator

from aemon.config.source_settings import SourceSettings
from aemon.config.values.scalars import AtKeyError, Settings
from aemon.config.values.times import Duration

Name = Annotated[str, Field(min_length=1)]
Aggregation = Literal["mean", "last", "first", "max", "min", "sum", "count", "increase"]
WAIT = timedelta(seconds=30)
_OF_THE_BUCKET = ("sum", "count", "increase")
_WORDS = {
    "extra_forbidden": "unknown key; the keys are column and good",
    "missing": "is missing: name the column with the quality",
    "too_short": "name at least one quality that is good",
}
_ZERO = ("0", "0s", "0m", "0h", "0ms", "0d", 0)


class Pivot(Settings):
    """The columns for tag and value in a long table, which has one reading in each row."""

    name: Name = Field(description="column with the name of the tag; each tag becomes a column")
    value: Name = Field(description="column with the value of the reading")
    wait: Duration = Field(
        WAIT, description="without a bucket: how long after its time a record waits for readings"
    )


class Bucket(Settings):
    """Rules for making one record from the readings of an entity in a period of time."""

    every: Duration = Field(
        description="length of a bucket; buckets begin at its multiples, counted from 1970 in UTC"
    )
    aggregate: Aggregation | dict[str, Aggregation] = Field(
        {},
        description="how the readings of a column become one value: mean, last, first, max, min, sum, "
        "count, or the increase of a counter; for all columns or by name. Default: the mean of "
        "numbers, the last value of anything else",
    )
    offset: Duration | None = Field(
        None,
        description="how long after the multiples of every a bucket begins; shorter than every",
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

    @field_validator("aggregate", mode="before")
    @classmethod
    def _is_known(cls, given: object) -> object:
        ways = get_args(Aggregation)
        words = f"must be {', '.join(ways[:-1])} or {ways[-1]}"
        if isinstance(given, dict):
            for column, way in given.items():
                if way not in ways:
                    raise AtKeyError(str(column), words)
        elif given not in ways:
            raise ValueError(f"{words}; or one of them for each column by name")
        return given

    @model_validator(mode="after")
    def _begins_within(self) -> Self:
        if self.offset is not None and self.offset >= self.every:
            raise AtKeyError("offset", "must be shorter than the bucket (every)")
        return self


def _as_bucket(given: object) -> object:
    return {"every": given} if isinstance(given, str | int | float | timedelta) else given


class Quality(Settings):
    """The column that holds the quality of readings, and the values that mean good quality."""

    column: Name = Field(description="column with the quality of a reading, or of a cell")
    good: tuple[int | str | bool, ...] = Field(
        (192,),
        min_length=1,
        description="qualities of readings that count; a reading of another quality is a missing "
        "value. 192 means good in OPC",
    )


def _as_quality(given: object) -> object:
    """Return a quality for rows, or column -> quality of its cells; errors name the key."""
    if not isinstance(given, dict) or not given:
        return given
    if not all(isinstance(one, dict | Quality) for one in given.values()):
        return _quality_at((), given)
    return {str(name): _quality_at((str(name),), one) for name, one in given.items()}


def _quality_at(path: tuple[str, ...], given: object) -> Quality:
    try:
        return Quality.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        text = _WORDS.get(first["type"], first["msg"])
        raise AtKeyError((*path, *map(str, first["loc"])), text) from None


class Hold(Settings):
    """The rule that fills a gap with the last reading for a limited time."""

    hold: Duration = Field(
        description="how long the last reading replaces missing readings, such as 5m"
    )


class ReadingsSettings(SourceSettings):
    """Settings of a source whose rows, or messages, may be readings."""

    pivot: Pivot | None = Field(
        None,
        description="for a long table, with a row for each reading: the columns with the name of "
        "the tag and with the value",
    )
    bucket: Annotated[Bucket | None, BeforeValidator(_as_bucket)] = Field(
        None,
        description="length of a period, such as 1m: the readings of an entity in one period make "
        "one record, which is judged after the period",
    )
    quality: Annotated[Quality | dict[str, Quality] | None, BeforeValidator(_as_quality)] = Field(
        None,
        description="column with the quality of a reading, and the values that are good; in a table with "
        "a column for each measurement, for each column: {flow: {column: flow_q, good: [192]}}",
    )

    gaps: dict[str, Literal["missing"] | Hold] | None = Field(
        None,
        description="column -> its value in a record without a reading of the column: missing "
        "(default), or {hold: 5m} for the last reading if it is at most that old",
    )

    @field_validator("gaps", mode="before")
    @classmethod
    def _is_missing_or_held(cls, given: object) -> object:
        for column, gap in given.items() if isinstance(given, dict) else ():
            if gap != "missing" and not isinstance(gap, dict | Hold):
                raise AtKeyError(str(column), "must be missing, or {hold: 5m}")
        return given

    @property
    def holds_readings(self) -> bool:
        """Whether rows are readings, from which records must be made."""
        return self.pivot is not None or self.bucket is not None

    @property
    def readings_wait(self) -> timedelta | None:
        """How long a record waits for readings; None if rows are records."""
        if self.bucket is not None:
            return self.bucket.wait
        return self.pivot.wait if self.pivot is not None else None

    @property
    def row_quality(self) -> Quality | None:
        """The setting for the quality of whole rows; None if rows have no quality.

        A row is one reading, or holds the readings of one moment.
        """
        return self.quality if isinstance(self.quality, Quality) else None

    @property
    def cell_qualities(self) -> Mapping[str, Quality]:
        """The settings for the quality of cells: column -> quality; empty if there are none."""
        return self.quality if isinstance(self.quality, dict) else {}

    @model_validator(mode="after")
    def _readings_fit_together(self) -> Self:
        taken = dict(_columns_of(self))
        if self.pivot is not None:
            for key, column in (("name", self.pivot.name), ("value", self.pivot.value)):
                role = taken.get(column)
                # The column of tags may be the key: time and tag together are unique.
                if role is not None and (key, role) != ("name", "key"):
                    raise AtKeyError(
                        ("pivot", key), f"{column} is already the column of the {role}"
                    )
            if self.pivot.name == self.pivot.value:
                raise AtKeyError(("pivot", "value"), "is already the column of the names")
        if self.gaps and not self.holds_readings:
            raise AtKeyError("gaps", "needs pivot or bucket too")
        _check_held(self)
        _check_quality(self, taken)
        return self


def _check_held(settings: ReadingsSettings) -> None:
    """Raise an error if a gap is to be filled with an earlier bucket's sum, count or increase.

    Only a reading can fill a gap.
    """
    ways = settings.bucket.aggregate if settings.bucket is not None else {}
    for column, gap in (settings.gaps or {}).items():
        way = ways if isinstance(ways, str) else ways.get(column)
        if isinstance(gap, Hold) and way in _OF_THE_BUCKET:
            raise AtKeyError(("gaps", column), f"the {way} of an earlier bucket cannot be held")


def _check_quality(settings: ReadingsSettings, taken: Mapping[str, str]) -> None:
    """Raise an error if a quality does not fit the shape of the table or the columns' roles."""
    if settings.row_quality is not None and not settings.holds_readings:
        raise AtKeyError(
            "quality",
            "needs pivot or bucket too; in a table with a column for each measurement, write "
            "{flow: {column: flow_q, good: [192]}}",
        )
    if settings.cell_qualities and settings.pivot is not None:
        raise AtKeyError(
            "quality",
            "is the same setting for all tags of a long table: write {column: q, good: [192]}",
        )
    named: list[tuple[tuple[str, ...], str]] = []
    if settings.row_quality is not None:
        named.append((("quality", "column"), settings.row_quality.column))
    for name, quality in settings.cell_qualities.items():
        named += [(("quality", name), name), (("quality", name, "column"), quality.column)]
        if name == quality.column:
            raise AtKeyError(("quality", name, "column"), "is already the column of the values")
    for path, column in named:
        if column in taken:
            raise AtKeyError(path, f"{column} is already the column of the {taken[column]}")


def _columns_of(settings: SourceSettings) -> Mapping[str, str]:
    """Return the columns with a role (time, key, entity): name of the column -> role."""
    found: dict[str, str] = {}
    for role in ("time", "key", "entity"):
        value: Any = getattr(settings, role, None)
        for column in value if isinstance(value, tuple) else (value,):
            if isinstance(column, str):
                found.setdefault(column, role)
    return found
