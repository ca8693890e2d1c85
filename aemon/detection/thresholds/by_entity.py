"""The lines: one threshold for all records, and one for each entity with enough of its own."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.config.threshold_settings import ThresholdSettings
from aemon.detection.arrays import Mask, Rows, Texts, Values
from aemon.detection.thresholds.effective_size import independent_records
from aemon.detection.thresholds.threshold import Threshold, calibrate, records_to_show


class Judged(NamedTuple):
    """What the lines say of N scores."""

    p_values: Values  # how often a normal record scores as high or higher
    exceedances: Values  # score / its line
    anomalous: Mask
    critical: Mask


@dataclass(frozen=True, kw_only=True, eq=False)
class Thresholds:
    """Every line a detector judges by. Made by `calibrate_thresholds`.

    A promise about all records may be broken for one entity and overfulfilled for another; with
    lines of its own it is kept for each (Mondrian conformal prediction, Vovk et al. 2003).

    Attributes:
        pooled: learned from all calibration records; judges all that have no line of their own.
        own: entity -> its line.
        batch_fdr: flag by Benjamini-Hochberg at this false discovery rate instead of by line.
    """

    pooled: Threshold
    own: Mapping[str, Threshold]
    batch_fdr: float | None = None

    @property
    def note(self) -> str:
        """What to know of the promise, in plain words; empty where it is kept outright."""
        if self.batch_fdr is None:
            return self.pooled.note
        return f"replaced by a false discovery rate of {self.batch_fdr:g} over every batch"

    def values(self, entities: Texts) -> Values:
        """The line (N,) that each of N records is held against."""
        values = np.empty(len(entities))
        for threshold, rows in self.parts(entities):
            values[rows] = threshold.value
        return values

    def judge(self, scores: Values, entities: Texts, absent: Mask) -> Judged:
        """The verdicts on N records fetched together, all arrays (N,).

        With `batch_fdr`, p-values go on below 1 / (n + 1) along the fitted tail: no record could
        be picked alone from a batch of more than batch_fdr (n + 1) otherwise. The proof ends
        there, too: at 0.1 and log-normal scores the rate was 0.06 to 0.13 in batches of 20 to
        10,000, but 0.2 to 0.45 of the batches of 2,000 and more normal records had one flagged.
        """
        p_values, values, criticals = np.empty((3, len(scores)))
        for threshold, rows in self.parts(entities):
            p_values[rows] = threshold.judge(scores[rows], extrapolate=self.batch_fdr is not None)
            values[rows], criticals[rows] = threshold.value, threshold.critical_value
        if self.batch_fdr is None:
            anomalous = (scores > values) & ~absent
        else:
            anomalous = np.zeros(len(scores), dtype=bool)
            anomalous[~absent] = benjamini_hochberg(p_values[~absent], self.batch_fdr)
        return Judged(
            p_values=p_values,
            exceedances=scores / values,
            anomalous=anomalous,
            critical=anomalous & (scores > criticals),
        )

    def parts(self, entities: Texts) -> Iterator[tuple[Threshold, Rows | slice]]:
        """Each line and the rows it judges; all rows are met once."""
        if not self.own:
            yield self.pooled, slice(None)
            return
        for name, rows in _by_entity(entities):
            yield self.own.get(name, self.pooled), rows


def calibrate_thresholds(
    scores: Values,
    times: npt.NDArray[np.datetime64],
    entities: Texts,
    settings: ThresholdSettings,
    rate: float,
) -> Thresholds:
    """The lines that normal records cross at the promised rate.

    An entity has a line of its own from 1 / rate calibration records on, which a conformal line
    needs to show the rate; a fixed line is one for all.

    Args:
        scores: (n,) of held-out normal records; those not finite do not count.
        times: (n,) their event times.
        entities: (n,) what each belongs to.
        settings: how to draw.
        rate: the promise, `false_alarm_rate_for(settings, ...)`.

    Raises:
        TrainingError: there are no finite scores.
    """
    rows = np.argsort(times, kind="stable")
    rows = rows[np.isfinite(scores[rows])]
    groups = [(name, scores[rows[part]]) for name, part in _by_entity(entities[rows])]
    # One entity's records follow each other in time; those of two are taken for independent.
    worth = {name: independent_records(series) for name, series in groups}

    def threshold(series: Values, independent: float) -> Threshold:
        return calibrate(
            series,
            rate,
            method=settings.method,
            value=settings.value,
            critical_rate=settings.critical_rate,
            independent=independent,
        )

    wanted = settings.per_entity and settings.method != "fixed" and len(groups) > 1
    enough = records_to_show(rate)
    return Thresholds(
        pooled=threshold(scores[rows], sum(worth.values())),
        own={
            name: threshold(series, worth[name])
            for name, series in groups
            if wanted and len(series) >= enough
        },
        batch_fdr=settings.batch_fdr,
    )


def benjamini_hochberg(p_values: Values, fdr: float) -> Mask:
    """Which of m records to flag, so that at most a share `fdr` of them is normal on average.

    Benjamini & Hochberg 1995, section 3.1: the k smallest p-values, k being the largest with
    p_(k) <= fdr k / m. It holds for conformal p-values, though all share one calibration (Bates
    et al. 2023, theorem 2).
    """
    m = len(p_values)
    ordered = np.sort(p_values)
    within = np.flatnonzero(ordered <= fdr * np.arange(1, m + 1) / max(m, 1))
    return p_values <= (ordered[within[-1]] if len(within) else -1.0)


def of_entities(entities: Texts, own: Collection[str]) -> Iterator[tuple[str | None, Rows]]:
    """The rows of each entity that is in `own`, and under None those of all others, in order."""
    known = set(own)
    others = np.ones(len(entities), dtype=bool)
    for name, rows in _by_entity(entities):
        if name in known:
            others[rows] = False
            yield name, rows
    yield None, np.flatnonzero(others)


def _by_entity(entities: Texts) -> Iterator[tuple[str, Rows]]:
    """Each entity and its rows, in their order."""
    codes, names = pd.factorize(entities)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(names)))
    yield from zip(names, np.split(order, ends)[:-1], strict=True)


def redraw(
    thresholds: Thresholds, settings: ThresholdSettings, rate: float, *, entities: int = 1
) -> Thresholds | None:
    """The lines that a training with these settings would have drawn from the same scores.

    None where only a training can tell: where the scores kept are not all there were, or where
    entities might get lines of their own whose scores nobody kept apart.

    Args:
        thresholds: as drawn at training; the ones in force may have moved since.
        settings: the new ones.
        rate: the new promise, `false_alarm_rate_for(settings, ...)`.
        entities: how many the detector knows.
    """
    apart = settings.per_entity and settings.method != "fixed"
    own = thresholds.own if apart else {}
    if any(
        threshold.records > len(threshold.kept) for threshold in (thresholds.pooled, *own.values())
    ):
        return None
    rarer = bool(own) and rate <= thresholds.pooled.false_alarm_rate
    if apart and len(own) < entities and entities > 1 and not rarer:
        return None

    def threshold(old: Threshold) -> Threshold:
        return calibrate(
            old.kept,
            rate,
            method=settings.method,
            value=settings.value,
            critical_rate=settings.critical_rate,
            independent=old.independent,
        )

    enough = records_to_show(rate)
    return Thresholds(
        pooled=threshold(thresholds.pooled),
        own={name: threshold(old) for name, old in own.items() if old.records >= enough},
        batch_fdr=settings.batch_fdr,
    )
