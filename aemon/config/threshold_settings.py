"""What a configuration may say of thresholds."""

from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from aemon.config.values.scalars import AlarmBudget, AtKeyError, Settings, given

Method = Literal["conformal", "evt", "quantile", "sigma", "fixed"]

DEFAULT_FALSE_ALARM_RATE = 0.001
"""The promise where neither a rate nor a budget is given."""

LEAST_RATE = 1e-9
"""No smaller rate is a promise: no history holds so many records."""

_DRAWN = ("false_alarm_rate", "alarm_budget", "batch_fdr")  # make no sense beside a fixed line


def _threshold_rules(schema: dict[str, Any]) -> None:
    both = [given("false_alarm_rate", "number"), given("alarm_budget", "string")]
    schema["not"] = {"allOf": both}
    fixed = {"method": {"const": "fixed"}, "value": {"type": "number"}}
    learned = [method for method in schema["properties"]["method"]["enum"] if method != "fixed"]
    schema["anyOf"] = [
        {
            "required": ["method", "value"],
            "properties": fixed | {key: {"type": "null"} for key in _DRAWN},
        },
        {"properties": {"method": {"enum": learned}, "value": {"type": "null"}}},
    ]


class ThresholdSettings(Settings):
    """Where the line is drawn, as a promise: a rate or a budget."""

    model_config = ConfigDict(json_schema_extra=_threshold_rules)

    false_alarm_rate: float | None = Field(
        None,
        ge=LEAST_RATE,
        lt=0.5,
        description="share of normal records that may be flagged",
    )
    alarm_budget: AlarmBudget | None = Field(
        None, description="count of normal records that may be flagged, such as 3/day"
    )
    method: Method = Field(
        "conformal",
        description="how the line is drawn: conformal keeps the rate for scores of any "
        "distribution, and follows a fitted tail below 1/(n+1); evt is that tail (generalised "
        "Pareto); quantile the plain quantile; sigma the mean and standard deviations of log "
        "scores; fixed the given value",
    )
    value: float | None = Field(
        None,
        gt=0,
        le=1e30,
        description="the line itself: a score; with method fixed, and only then",
    )
    critical_rate: float | None = Field(
        None,
        ge=LEAST_RATE,
        lt=0.5,
        description="share of normal records that may be flagged as critical; default a tenth "
        "of the false-alarm rate",
    )
    per_entity: bool = Field(
        True,
        description="an entity with enough calibration records of its own has its own line, so "
        "that the promise holds for it, too",
    )
    batch_fdr: float | None = Field(
        None,
        ge=LEAST_RATE,
        lt=0.5,
        description="instead of a line for each record: of the records fetched together those "
        "are flagged that Benjamini-Hochberg picks at this false discovery rate; about as often "
        "does a batch of normal records alone have one flagged, a batch of thousands more often",
    )

    @model_validator(mode="after")
    def _at_most_one_promise(self) -> Self:
        if self.false_alarm_rate is not None and self.alarm_budget is not None:
            raise ValueError("give either false_alarm_rate or alarm_budget, not both")
        return self

    @model_validator(mode="after")
    def _a_fixed_line_isgiven(self) -> Self:
        if self.method != "fixed":
            if self.value is not None:
                raise AtKeyError(
                    "value",
                    f"method {self.method} draws the line itself; with method fixed it is given",
                )
            return self
        if self.value is None:
            raise ValueError("method fixed needs value, the score to draw the line at")
        for key in _DRAWN:
            if getattr(self, key) is not None:
                raise AtKeyError(key, "method fixed draws the line at value; leave this out")
        return self

    @model_validator(mode="after")
    def _critical_is_rarer(self) -> Self:
        if self.critical_rate is None or self.alarm_budget is not None or self.method == "fixed":
            return self  # against a budget it is held when the records of a day are known
        rate = self.false_alarm_rate or DEFAULT_FALSE_ALARM_RATE
        if self.critical_rate >= rate:
            raise AtKeyError(
                "critical_rate",
                f"{self.critical_rate:g} is not below the false-alarm rate, {rate:g}",
            )
        return self
