"""Settings of columns: which columns are judged, and as which kind."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from aemon.config.values.conditions import ConditionText
from aemon.config.values.scalars import Settings
from aemon.config.values.times import Duration

ColumnKind = Literal["numeric", "boolean", "categorical", "angle", "counter"]

Mark = Annotated[float, Field(allow_inf_nan=False)] | Annotated[str, Field(max_length=60)]


_WAYS: tuple[Literal["difference", "mean", "spread"], ...] = ("difference", "mean", "spread")

LEAST_TOGETHER, USUAL_TOGETHER = 2, 10
"""Least number and default number of records of a mean or a spread."""

Bound = Annotated[float, Field(allow_inf_nan=False)] | None


MOST_RECORDS = 500
"""Largest number of records of one entity that a derived column is computed from."""


class DerivedColumn(Settings):
    """How a column is derived from another column, over the last records of the same entity."""

    difference: str | None = Field(
        None,
        description="name of a column: derive how much its number has changed since `records` records "
        "earlier; default 1",
    )
    mean: str | None = Field(
        None,
        description="name of a column: derive the mean of its last `records` numbers; default 10",
    )
    spread: str | None = Field(
        None,
        description="name of a column: derive the standard deviation of its last `records` numbers; "
        "default 10",
    )
    records: int | None = Field(
        None,
        ge=1,
        le=MOST_RECORDS,
        description="number of records: for a difference, how many records earlier; for a mean or a "
        "spread, how many of the last records, including the record itself",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        given = [name for name in _WAYS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give one of {', '.join(_WAYS)}, such as {{difference: flow}}")
        if self.how != "difference" and self.count < LEAST_TOGETHER:
            raise ValueError(f"records: a {self.how} needs at least {LEAST_TOGETHER} records")
        return self

    @property
    def how(self) -> Literal["difference", "mean", "spread"]:
        """The way in which the column is computed."""
        return next(name for name in _WAYS if getattr(self, name) is not None)

    @property
    def source(self) -> str:
        """Name of the column that this column is computed from."""
        return str(getattr(self, self.how))

    @property
    def count(self) -> int:
        """The distance of a difference in records, or the number of records of a mean or spread."""
        return self.records or (1 if self.how == "difference" else USUAL_TOGETHER)

    @property
    def earlier(self) -> int:
        """Number of earlier records that the column depends on."""
        return self.count if self.how == "difference" else self.count - 1

    @property
    def summary(self) -> str:
        """Description of the column in the output of `aemon check`."""
        if self.how == "difference":
            before = "the record before" if self.count == 1 else f"{self.count} records before"
            return f"derived: difference of {self.source} from {before}"
        return f"derived: {self.how} of {self.source} over {self.count} records"


class ColumnSettings(Settings):
    """Settings of columns: which columns are judged, and as which kind.

    By default, aemon infers the columns and their kinds from the data.
    """

    include: tuple[str, ...] | None = Field(None, description="judge only these columns")
    exclude: tuple[str, ...] = Field((), description="never judge these columns")
    kinds: dict[str, ColumnKind] = Field({}, description="treat a column as this kind")
    missing: tuple[Mark, ...] = Field(
        (), max_length=50, description="values that mean a missing cell, such as -999 or Bad"
    )
    decimal: Literal[".", ","] | None = Field(
        None, description="decimal mark in numbers written as text; inferred by default"
    )
    units: dict[str, str] = Field({}, description="unit shown with a column's numbers")
    ranges: dict[str, tuple[Bound, Bound]] = Field(
        {},
        description="a number outside its range is an anomaly, and is left out of training: [0, 120]",
    )
    firsts: tuple[Literal["missing", "zero", "beyond", "pair"], ...] = Field(
        (),
        description="flag what no training record had: a missing cell or a zero in a column of "
        "numbers, a number beyond all training records, a new pair of common categories",
    )
    logarithms: Literal["auto", "none"] | tuple[str, ...] = Field(
        "auto",
        description="columns of numbers whose logarithm is judged beside the number itself: auto "
        "selects skewed columns without negative values",
    )
    derived: dict[str, DerivedColumn] = Field(
        {},
        description="additional columns: the difference of a column from earlier records of the "
        "entity, or its mean or spread over the last records",
    )
    only_when: ConditionText | None = Field(
        None,
        description="records that do not meet this condition are not judged and are left out of "
        "training",
    )
    settle: Duration | None = Field(
        None,
        description="within this time after only_when began to hold, records of the entity are not "
        "judged either, and are left out of training",
    )
    wind_down: Duration | None = Field(
        None,
        description="within this time before only_when ceased to hold, records are judged, but left "
        "out of training",
    )
    mode: str | None = Field(
        None,
        description="the column of products, recipes or operating points: each of its values has "
        "its own neighbours and threshold",
    )

    @model_validator(mode="after")
    def _included_and_excluded_differ(self) -> Self:
        both = sorted(set(self.include or ()) & set(self.exclude))
        if both:
            raise ValueError(f"{', '.join(both)}: both included and excluded; choose one")
        return self

    @model_validator(mode="after")
    def _margins_of_something(self) -> Self:
        for margin in ("settle", "wind_down"):
            if getattr(self, margin) is not None and self.only_when is None:
                raise ValueError(f"{margin}: give only_when, too; the margin refers to it")
        return self

    @model_validator(mode="after")
    def _mode_is_context(self) -> Self:
        for key in ("exclude", "kinds", "ranges", "units"):
            if self.mode is not None and self.mode in getattr(self, key):
                raise ValueError(
                    f"mode: {self.mode} is context, and not judged; remove it from {key}"
                )
        return self

    @model_validator(mode="after")
    def _ranges_hold_something(self) -> Self:
        for name, (low, high) in self.ranges.items():
            if low is None and high is None:
                raise ValueError(f"ranges of {name}: give at least one end, such as [0, null]")
            if low is not None and high is not None and low >= high:
                raise ValueError(f"ranges of {name}: the first end must be below the second")
        return self
