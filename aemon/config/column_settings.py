"""What a configuration may say of columns: which are judged, and as what."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from aemon.config.values.conditions import ConditionText
from aemon.config.values.scalars import Settings
from aemon.config.values.times import Duration

ColumnKind = Literal["numeric", "boolean", "categorical", "angle", "counter"]

Mark = Annotated[float, Field(allow_inf_nan=False)] | Annotated[str, Field(max_length=60)]


Bound = Annotated[float, Field(allow_inf_nan=False)] | None


class ColumnSettings(Settings):
    """Which columns are judged, and as what; by default chosen from the data."""

    include: tuple[str, ...] | None = Field(None, description="judge only these columns")
    exclude: tuple[str, ...] = Field((), description="never judge these columns")
    kinds: dict[str, ColumnKind] = Field({}, description="take a column as this kind")
    missing: tuple[Mark, ...] = Field(
        (), max_length=50, description="values that stand for a missing cell, such as -999 or Bad"
    )
    decimal: Literal[".", ","] | None = Field(
        None, description="the mark before decimals in numbers written as text; found by default"
    )
    units: dict[str, str] = Field({}, description="tell a column's numbers in this unit")
    ranges: dict[str, tuple[Bound, Bound]] = Field(
        {}, description="a number outside of it is an anomaly, and teaches nothing: [0, 120]"
    )
    firsts: tuple[Literal["missing", "zero", "beyond", "pair"], ...] = Field(
        (),
        description="what is an anomaly if no training record had it: in a column of numbers a "
        "missing cell, a zero, a number beyond all others; a pair of common categories",
    )
    logarithms: Literal["auto", "none"] | tuple[str, ...] = Field(
        "auto",
        description="columns of numbers whose logarithm is judged beside the number itself: auto "
        "takes skewed columns without negative values",
    )
    only_when: ConditionText | None = Field(
        None, description="records for which this does not hold teach nothing and are not judged"
    )
    settle: Duration | None = Field(
        None,
        description="nor are records of an entity within this time after only_when began to hold",
    )
    wind_down: Duration | None = Field(
        None,
        description="records within this time before only_when ceased to hold teach nothing, but "
        "are judged",
    )
    mode: str | None = Field(
        None,
        description="the column of products, recipes or operating points: each has its own "
        "neighbours and threshold",
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
                raise ValueError(f"{margin}: give only_when, too; it says what the margin is of")
        return self

    @model_validator(mode="after")
    def _mode_is_context(self) -> Self:
        for key in ("exclude", "kinds", "ranges", "units"):
            if self.mode is not None and self.mode in getattr(self, key):
                raise ValueError(
                    f"mode: {self.mode} is context, and not judged; take it out of {key}"
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
