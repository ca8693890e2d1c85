"""The threshold: from the scores of held-out normal records to p-values and a line."""

from dataclasses import dataclass, field
from math import ceil
from typing import Literal

import numpy as np
import numpy.typing as npt

from aemon.config.schema import ThresholdSettings
from aemon.config.types import alarms_per_day
from aemon.detection.columns import counted
from aemon.detection.tail import TINY, Tail, fit_tail
from aemon.errors import TrainingError

Scores = npt.NDArray[np.float64]

DEFAULT_FALSE_ALARM_RATE = 0.001
LEAST_RATE, MOST_RATE = 1e-6, 0.5
"""Bounds of a rate worked out from an alarm budget."""

MOST_KEPT = 20_000
"""Calibration scores kept: the upper half exactly, the lower thinned."""

ROUNDING = 1e-6
"""Taken off a count of records before it is rounded up: 1 / rate is seldom exact."""

LEAST_P = 1e-12
"""p-values go no lower: no tail fitted to a few thousand scores can tell one in a trillion."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Threshold:
    """The line and what it was learned from. Made by `calibrate`.

    Attributes:
        value: a record is anomalous iff its score is greater.
        method: `conformal`, or `evt` where the rate is rarer than the records can show.
        false_alarm_rate: the promise, a share of normal records.
        records: how many calibration scores there were, n.
        kept: calibration scores, ascending.
        at_or_above: how many of the n scores are at or above each kept one.
        tail: the fitted upper tail; used by `evt` alone.
    """

    value: float
    method: Literal["conformal", "evt"]
    false_alarm_rate: float
    records: int
    kept: Scores = field(repr=False)
    at_or_above: npt.NDArray[np.int64] = field(repr=False)
    tail: Tail

    @property
    def note(self) -> str:
        """What to know of the promise, in plain words; empty where the records can show it."""
        if self.method == "conformal":
            return ""
        enough = ceil(1 / self.false_alarm_rate - ROUNDING)
        return (
            f"set by a tail fitted to {counted(self.records, 'record')}; "
            f"{enough} or more would promise the rate outright"
        )

    def judge(self, scores: Scores) -> Scores:
        """p-values (N,) in (0, 1]: how often a normal record scores as high or higher.

        Split conformal, p = (1 + #{calibration >= s}) / (n + 1) (Bates et al. 2023, eq. 2); with
        `evt`, scores beyond the largest calibration score follow the tail, from 1 / (n + 1) down.
        """
        above = np.append(self.at_or_above, 0)[np.searchsorted(self.kept, scores, side="left")]
        p_values: Scores = (1.0 + above) / (self.records + 1.0)
        if self.method == "evt":
            extrapolated = np.minimum(self.tail.p_values(scores), p_values)
            p_values = np.where(above == 0, extrapolated, p_values)
        return np.clip(p_values, LEAST_P, 1.0)


def calibrate(calibration_scores: Scores, false_alarm_rate: float) -> Threshold:
    """The line that normal records cross at the given rate.

    With n scores, a conformal line can promise no less than 1 / (n + 1), but that for any
    distribution: P(false alarm) <= rate for a normal record exchangeable with them. Rarer rates
    take their line from a generalised Pareto tail, an extrapolation without that proof, but
    never a lower line than the largest score, which alone would promise too little.

    Raises:
        TrainingError: there are no finite scores.
    """
    ordered = np.sort(calibration_scores[np.isfinite(calibration_scores)].astype(np.float64))
    n = len(ordered)
    if n == 0:
        raise TrainingError(
            "no record is left to learn the threshold from",
            todo="collect more records before training",
        )
    tail = fit_tail(ordered)
    rank = int(np.floor(false_alarm_rate * (n + 1) * (1 + 1e-12)))  # records over the line, + 1
    kept, at_or_above = _thin(ordered)
    if rank >= 1:
        value = float(ordered[n - rank])
    else:
        value = max(tail.score_at(false_alarm_rate), float(ordered[-1]))
    return Threshold(
        value=max(value, TINY),  # an exceedance divides by it
        method="conformal" if rank >= 1 else "evt",
        false_alarm_rate=false_alarm_rate,
        records=n,
        kept=kept,
        at_or_above=at_or_above,
        tail=tail,
    )


def _thin(ordered: Scores) -> tuple[Scores, npt.NDArray[np.int64]]:
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
        TrainingError: a budget is set, but the times do not say how many records a day come.
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
    return float(np.clip(alarms_per_day(settings.alarm_budget) / per_day, LEAST_RATE, MOST_RATE))
