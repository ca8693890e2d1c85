"""Settings of thresholds."""

from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from aemon.config.values.scalars import AlarmBudget, AtKeyError, Settings, given

Method = Literal["conformal", "evt", "quantile", "sigma", "fixed"]

DEFAULT_FALSE_ALARM_RATE = 0.001
"""The target rate if neither a rate nor a budget is given."""

LEAST_RATE = 1e-9
"""The smallest target rate: no history has enough records to show a smaller rate."""

_COMPUTED = ("false_alarm_rate", "alarm_budget", "batch_fdr")  # not valid with a fixed threshold


def _threshold_rules(schema: dict[str, Any]) -> None:
    both = [given("false_alarm_rate", "number"), given("alarm_budget", "string")]
    schema["not"] = {"allOf": both}
    fixed = {"method": {"const": "fixed"}, "value": {"type": "number"}}
    computed = [method for method in schema["properties"]["method"]["enum"] if method != "fixed"]
    schema["anyOf"] = [
        {
            "required": ["method", "value"],
            "properties": fixed | {key: {"type": "null"} for key in _COMPUTED},
        },
        {"properties": {"method": {"enum": computed}, "value": {"type": "null"}}},
    ]


class ThresholdSettings(Settings):
    """Settings for computing the threshold from a target: a false-alarm rate or an alarm budget."""

    model_config = ConfigDict(json_schema_extra=_threshold_rules)

    false_alarm_rate: float | None = Field(
        None,
        ge=LEAST_RATE,
        lt=0.5,
        description="share of normal records that may be flagged",
    )
    alarm_budget: AlarmBudget | None = Field(
        None, description="number of normal records that may be flagged in a period: 3/day"
    )
    method: Method = Field(
        "conformal",
        description="how the threshold is computed from n calibration scores. conformal keeps the "
        "target rate for scores of any distribution; for a target rate below 1/(n+1), it uses the "
        "fitted tail. evt uses the fitted tail (generalised Pareto). quantile uses the plain "
        "quantile. sigma uses mean and standard deviation of the logarithms of the scores. fixed "
        "uses the number in value",
    )
    value: float | None = Field(
        None,
        gt=0,
        le=1e30,
        description="the threshold itself, as a score; only with `method: fixed`",
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
        description="an entity with enough calibration records has its own threshold, so that the "
        "target rate holds for the entity, too",
    )
    batch_fdr: float | None = Field(
        None,
        ge=LEAST_RATE,
        lt=0.5,
        description="instead of comparing each record with the threshold, apply Benjamini-Hochberg, "
        "at this false discovery rate, to all records fetched together. In a batch of normal "
        "records, the chance that any record is flagged approximately equals the rate; the chance "
        "is higher for batches of thousands",
    )

    @model_validator(mode="after")
    def _at_most_one_promise(self) -> Self:
        if self.false_alarm_rate is not None and self.alarm_budget is not None:
            raise ValueError("give either false_alarm_rate or alarm_budget, not both")
        return self

    @model_validator(mode="after")
    def _a_fixed_threshold_is_given(self) -> Self:
        if self.method != "fixed":
            if self.value is not None:
                raise AtKeyError(
                    "value",
                    f"method {self.method} computes the threshold; write value only with method: "
                    "fixed",
                )
            return self
        if self.value is None:
            raise ValueError("method fixed needs value, the score that is the threshold")
        for key in _COMPUTED:
            if getattr(self, key) is not None:
                raise AtKeyError(key, "method fixed has its threshold in value; remove this key")
        return self

    @model_validator(mode="after")
    def _critical_is_rarer(self) -> Self:
        if self.critical_rate is None or self.alarm_budget is not None or self.method == "fixed":
            return self  # a budget is checked when the number of records a day is known
        rate = self.false_alarm_rate or DEFAULT_FALSE_ALARM_RATE
        if self.critical_rate >= rate:
            raise AtKeyError(
                "critical_rate",
                f"{self.critical_rate:g} is not below the false-alarm rate, {rate:g}",
            )
        return self
