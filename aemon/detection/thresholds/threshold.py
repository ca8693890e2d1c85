"""The threshold: from the scores of held-out normal records to p-values and a line."""

from dataclasses import dataclass, field
from math import ceil

import numpy as np
import numpy.typing as npt

from aemon.config.threshold_settings import DEFAULT_FALSE_ALARM_RATE, Method, ThresholdSettings
from aemon.config.values.scalars import alarms_per_day
from aemon.detection.arrays import Values
from aemon.detection.features.columns import counted
from aemon.detection.thresholds.effective_size import independent_records
from aemon.detection.thresholds.methods import draw
from aemon.detection.thresholds.tail import TINY, Tail, fit_tail
from aemon.errors import TrainingError

LEAST_RATE, MOST_RATE = 1e-6, 0.5
"""Bounds of a rate worked out from an alarm budget."""

CRITICAL_SHARE = 0.1
"""Of normal records that may be flagged, this share may be flagged as critical."""

MOST_KEPT = 20_000
"""Calibration scores kept: the upper half exactly, the lower thinned."""

ROUNDING = 1e-6
"""Taken off a count of records before it is rounded up: 1 / rate is seldom exact."""

DEPENDENT = 0.5
"""Records worth less than this share of their number are said to be alike; chance makes more."""

LEAST_P = 1e-12
"""p-values go no lower: no tail fitted to a few thousand scores can tell one in a trillion."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Threshold:
    """The line and what it was learned from. Made by `calibrate`.

    Attributes:
        value: a record is anomalous iff its score is greater.
        critical_value: an anomalous record is critical iff its score is greater; >= value.
        method: how the line was drawn; `evt` in place of `conformal` where the rate is rarer
            than the records can show.
        false_alarm_rate: the promise, a share of normal records.
        critical_rate: the promise of the critical line.
        records: how many calibration scores there were, n.
        independent: how many independent ones they are worth.
        kept: calibration scores, ascending.
        at_or_above: how many of the n scores are at or above each kept one.
        tail: the fitted upper tail.
    """

    value: float
    critical_value: float
    method: Method
    false_alarm_rate: float
    critical_rate: float
    records: int
    independent: float
    kept: Values = field(repr=False)
    at_or_above: npt.NDArray[np.int64] = field(repr=False)
    tail: Tail

    @property
    def note(self) -> str:
        """What to know of the promise, in plain words; empty where the records can show it."""
        there = counted(self.records, "record")
        if self.method == "fixed":
            return f"fixed; by {there}, {self.false_alarm_rate:.2g} of normal ones are above it"
        if self.method == "sigma":
            return f"set as if the logarithms of the scores of {there} were normal"
        enough = records_to_show(self.false_alarm_rate)
        few = self.records < enough - 1
        if few or self.method == "evt":
            by = "a tail fitted to" if self.method == "evt" else "the largest score of"
            more = f"; {enough} or more would promise the rate outright" if few else ""
            return f"set by {by} {there}{more}"
        worth = self.independent
        if worth < DEPENDENT * self.records and worth * self.false_alarm_rate < 1:
            return (
                f"set by {there} worth {worth:.0f} independent ones; "
                f"{enough} or more of those would promise the rate outright"
            )
        return ""

    def judge(self, scores: Values, *, extrapolate: bool = False) -> Values:
        """p-values (N,) in (0, 1]: how often a normal record scores as high or higher.

        Split conformal, p = (1 + #{calibration >= s}) / (n + 1) (Bates et al. 2023, eq. 2), which
        for `conformal` ends at 1 / (n + 1). With the other methods, or with `extrapolate`,
        scores beyond the largest calibration score follow the tail, from 1 / (n + 1) down; all
        scores in the tail do where it drew the line among them.
        """
        above = np.append(self.at_or_above, 0)[np.searchsorted(self.kept, scores, side="left")]
        p_values: Values = (1.0 + above) / (self.records + 1.0)
        if self.method == "evt" and self.value < self.kept[-1]:
            p_values = np.where(scores > self.tail.start, self.tail.p_values(scores), p_values)
        elif self.method != "conformal" or extrapolate:
            beyond = above == 0
            p_values[beyond] = np.minimum(self.tail.p_values(scores[beyond]), p_values[beyond])
        return np.clip(p_values, LEAST_P, 1.0)


def calibrate(
    calibration_scores: Values,
    false_alarm_rate: float,
    *,
    method: Method = "conformal",
    value: float | None = None,
    critical_rate: float | None = None,
    independent: float | None = None,
) -> Threshold:
    """The line that normal records cross at the given rate.

    With n scores, a conformal line promises 1 / (n + 1) or more, for any distribution: P(false
    alarm) <= rate for a normal record exchangeable with them. Rarer rates take theirs from a
    generalised Pareto tail, without that proof. The critical line is drawn by the same method
    (that of `quantile` and `fixed` by `conformal`), and never below the first.

    Args:
        calibration_scores: (n,) of held-out normal records; those not finite do not count.
        false_alarm_rate: the promise; with `fixed`, the conformal rate found above the value.
        method: how the line is drawn.
        value: the line of `fixed`.
        critical_rate: the promise of the critical line; by default a tenth of the rate.
        independent: how many records these are worth; by default by their order, that of time.

    Raises:
        TrainingError: there are no finite scores.
        ValueError: a fixed line without its value.
    """
    finite = calibration_scores[np.isfinite(calibration_scores)].astype(np.float64)
    if not len(finite):
        raise TrainingError(
            "no record is left to learn the threshold from",
            todo="collect more records before training",
        )
    ordered = np.sort(finite)
    tail = fit_tail(ordered)
    drawn: Method = method
    if method == "fixed":
        if value is None:
            raise ValueError("a fixed line takes its value")
        threshold = float(value)
        false_alarm_rate = float(1 + (ordered > threshold).sum()) / (len(finite) + 1)
    else:
        threshold, drawn = draw(method, ordered, tail, false_alarm_rate)
    critical_rate = critical_rate or CRITICAL_SHARE * false_alarm_rate
    alike: Method = "conformal" if method in ("quantile", "fixed") else method
    critical, _ = draw(alike, ordered, tail, critical_rate)
    kept, above = _thin(ordered)
    return Threshold(
        value=max(threshold, TINY),  # an exceedance divides by it
        critical_value=max(critical, threshold, TINY),
        method=drawn,
        false_alarm_rate=false_alarm_rate,
        critical_rate=critical_rate,
        records=len(finite),
        independent=independent_records(finite) if independent is None else independent,
        kept=kept,
        at_or_above=above,
        tail=tail,
    )


def records_to_show(rate: float) -> int:
    """How many calibration records promise a rate without a tail."""
    return ceil(1 / rate - ROUNDING)


def _thin(ordered: Values) -> tuple[Values, npt.NDArray[np.int64]]:
    """Scores to keep, and how many of all scores are at or above each."""
    rows = np.arange(len(ordered))
    if len(ordered) > MOST_KEPT:
        half = MOST_KEPT // 2
        lower = np.linspace(0, len(ordered) - half - 1, half).round().astype(np.intp)
        rows = np.concatenate([np.unique(lower), rows[-half:]])
    kept = ordered[rows]
    return kept, (len(ordered) - np.searchsorted(ordered, kept, side="left")).astype(np.int64)


def false_alarm_rate_for(settings: ThresholdSettings, times: npt.NDArray[np.datetime64]) -> float:
    """The promised rate, a budget being divided by the records a day in event times (N,).

    Raises:
        TrainingError: a budget is set, but the times do not say how many records a day come, or
            it allows fewer than the critical rate.
    """
    if settings.alarm_budget is None:
        return settings.false_alarm_rate or DEFAULT_FALSE_ALARM_RATE
    days = float((times.max() - times.min()) / np.timedelta64(1, "D")) if len(times) else 0.0
    if days <= 0:
        raise TrainingError(
            f"all {len(times)} records carry the same event time, so how many a day come "
            f"cannot be told and threshold.alarm_budget {settings.alarm_budget!r} has no meaning",
            todo="set threshold.false_alarm_rate instead, or name the right time column",
        )
    per_day = (len(times) - 1) / days
    rate = float(np.clip(alarms_per_day(settings.alarm_budget) / per_day, LEAST_RATE, MOST_RATE))
    if settings.critical_rate is not None and settings.critical_rate >= rate:
        raise TrainingError(
            f"threshold.critical_rate {settings.critical_rate:g} is not below the {rate:.2g} that "
            f"threshold.alarm_budget {settings.alarm_budget!r} makes at {per_day:.0f} records a day",
            todo="lower threshold.critical_rate, or leave it out: it is then a tenth",
        )
    return rate
