"""The threshold and its p-values, both computed from the scores of held-out normal records."""

from dataclasses import dataclass, field
from math import ceil

import numpy as np
import numpy.typing as npt

from aemon.config.threshold_settings import DEFAULT_FALSE_ALARM_RATE, Method, ThresholdSettings
from aemon.config.values.scalars import alarms_per_day
from aemon.detection.arrays import Values
from aemon.detection.features.columns import counted
from aemon.detection.thresholds.effective_size import independent_records
from aemon.detection.thresholds.methods import compute_value
from aemon.detection.thresholds.tail import TINY, Tail, fit_tail
from aemon.errors import TrainingError

LEAST_RATE, MOST_RATE = 1e-6, 0.5
"""Bounds of a false-alarm rate that is computed from an alarm budget."""

CRITICAL_SHARE = 0.1
"""Default critical rate, as a share of the false-alarm rate."""

MOST_KEPT = 20_000
"""Largest number of calibration scores that are stored. If there are more scores, the largest
MOST_KEPT / 2 scores and a sample of the other scores are stored."""

ROUNDING = 1e-6
"""Amount that is subtracted from 1 / rate before rounding up, because floats are rarely exact."""

DEPENDENT = 0.5
"""If the number of independent records is below this share of the number of records, the note of a
threshold mentions it. By chance alone, the share is larger."""

LEAST_P = 1e-12
"""Least p-value. A tail fitted to a few thousand scores cannot show smaller probabilities."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Threshold:
    """A threshold with its calibration. `calibrate` makes it.

    Attributes:
        value: a record is anomalous if and only if its score is above this value.
        critical_value: an anomalous record is critical if and only if its score is above this
            value, which is at least `value`.
        method: how the value was computed. If there are too few records to show the rate, `evt`
            replaces `conformal`.
        false_alarm_rate: the target rate, a share of normal records.
        critical_rate: the target rate of the critical value.
        records: number of calibration scores, n.
        independent: number of independent records that carry as much information as the n records.
        kept: (k,) stored calibration scores, ascending.
        at_or_above: (k,) for each stored score s, the number of the n scores that are >= s.
        tail: the upper tail that was fitted to the calibration scores.
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
        """Text about how reliable the target rate is; empty if the records suffice to show it."""
        records = counted(self.records, "record")
        if self.method == "fixed":
            share = f"{self.false_alarm_rate:.2g}"
            return f"fixed; measured on {records}, a share of {share} of normal records is above it"
        if self.method == "sigma":
            return f"set as if the logarithms of the scores of {records} were normally distributed"
        enough = records_to_show(self.false_alarm_rate)
        few = self.records < enough - 1
        if few or self.method == "evt":
            by = "a tail fitted to" if self.method == "evt" else "the largest score of"
            more = f"; {enough} or more would guarantee the target rate" if few else ""
            return f"set by {by} {records}{more}"
        worth = self.independent
        if worth < DEPENDENT * self.records and worth * self.false_alarm_rate < 1:
            return (
                f"set by {records} worth {worth:.0f} independent records; "
                f"{enough} or more independent records would guarantee the target rate"
            )
        return ""

    def judge(self, scores: Values, *, extrapolate: bool = False) -> Values:
        """Return p-values (N,) in (0, 1]: the share of normal records with a score >= s.

        For a score s, split conformal prediction gives p = (1 + #{calibration >= s}) / (n + 1)
        (Bates et al. 2023, eq. 2). With the method `conformal`, the least p-value is 1 / (n + 1).
        With other methods, or with `extrapolate`, the tail gives the p-values of scores above the
        largest calibration score; these p-values are at most 1 / (n + 1). With `evt` and a
        threshold below the largest calibration score, the tail gives the p-values of all scores in
        the tail.
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
    """Compute the threshold that normal records exceed at the given rate.

    A conformal threshold from n scores guarantees a rate of 1 / (n + 1) or more, for any
    distribution: P(false alarm) <= rate for a normal record exchangeable with the n records. For a
    lower rate, the threshold comes from a generalised Pareto tail, and there is no guarantee. The
    critical value is at least the threshold, by the same method (`quantile`, `fixed`: `conformal`).

    Args:
        calibration_scores: (n,) scores of held-out normal records; only finite scores count.
        false_alarm_rate: the target rate; with `fixed`, the rate is computed from the value.
        method: how the value is computed.
        value: the value of a `fixed` threshold.
        critical_rate: the target rate of the critical value; by default a tenth of the rate.
        independent: effective number of records; by default computed from scores in time order.

    Raises:
        TrainingError: there are no finite scores.
        ValueError: the method is `fixed` and `value` is None.
    """
    finite = calibration_scores[np.isfinite(calibration_scores)].astype(np.float64)
    if not len(finite):
        raise TrainingError(
            "no record is left from which the threshold could be computed",
            todo="collect more records before training",
        )
    ordered = np.sort(finite)
    tail = fit_tail(ordered)
    used: Method = method
    if method == "fixed":
        if value is None:
            raise ValueError("a fixed threshold needs a value")
        threshold = float(value)
        false_alarm_rate = float(1 + (ordered > threshold).sum()) / (len(finite) + 1)
    else:
        threshold, used = compute_value(method, ordered, tail, false_alarm_rate)
    critical_rate = critical_rate or CRITICAL_SHARE * false_alarm_rate
    alike: Method = "conformal" if method in ("quantile", "fixed") else method
    critical, _ = compute_value(alike, ordered, tail, critical_rate)
    kept, above = _thin(ordered)
    return Threshold(
        value=max(threshold, TINY),  # an exceedance is a score divided by this value
        critical_value=max(critical, threshold, TINY),
        method=used,
        false_alarm_rate=false_alarm_rate,
        critical_rate=critical_rate,
        records=len(finite),
        independent=independent_records(finite) if independent is None else independent,
        kept=kept,
        at_or_above=above,
        tail=tail,
    )


def records_to_show(rate: float) -> int:
    """Return the least number of calibration records that show a rate without a fitted tail."""
    return ceil(1 / rate - ROUNDING)


def _thin(ordered: Values) -> tuple[Values, npt.NDArray[np.int64]]:
    """Return the scores to store (k,), and for each the number of scores (n,) at or above it."""
    rows = np.arange(len(ordered))
    if len(ordered) > MOST_KEPT:
        half = MOST_KEPT // 2
        lower = np.linspace(0, len(ordered) - half - 1, half).round().astype(np.intp)
        rows = np.concatenate([np.unique(lower), rows[-half:]])
    kept = ordered[rows]
    return kept, (len(ordered) - np.searchsorted(ordered, kept, side="left")).astype(np.int64)


def false_alarm_rate_for(settings: ThresholdSettings, times: npt.NDArray[np.datetime64]) -> float:
    """Return the target rate, from the settings or from the alarm budget.

    The alarm budget per day is divided by the number of records per day.

    Args:
        settings: the rate or the alarm budget.
        times: (N,) event times of the records.

    Raises:
        TrainingError: an alarm budget is set, but all event times are equal, so the number of
            records per day is unknown. Or the rate from the budget is not above the critical rate.
    """
    if settings.alarm_budget is None:
        return settings.false_alarm_rate or DEFAULT_FALSE_ALARM_RATE
    days = float((times.max() - times.min()) / np.timedelta64(1, "D")) if len(times) else 0.0
    if days <= 0:
        raise TrainingError(
            f"all {len(times)} records have the same event time, so the number of records a day is "
            f"unknown and threshold.alarm_budget {settings.alarm_budget!r} cannot be used",
            todo="set threshold.false_alarm_rate instead, or name the right time column",
        )
    per_day = (len(times) - 1) / days
    rate = float(np.clip(alarms_per_day(settings.alarm_budget) / per_day, LEAST_RATE, MOST_RATE))
    if settings.critical_rate is not None and settings.critical_rate >= rate:
        raise TrainingError(
            f"threshold.critical_rate {settings.critical_rate:g} is not below {rate:.2g}, the rate "
            f"from threshold.alarm_budget {settings.alarm_budget!r} at {per_day:.0f} records a day",
            todo="lower threshold.critical_rate, or leave it out: by default it is a tenth of the "
            "false-alarm rate",
        )
    return rate
