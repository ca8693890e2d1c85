"""Thresholds of a detector: one for all records, and one for each entity with enough records."""

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
    """The result of comparing N scores with the thresholds; all arrays are (N,)."""

    p_values: Values  # share of normal records with a score as high or higher
    exceedances: Values  # score / its threshold
    anomalous: Mask
    critical: Mask


@dataclass(frozen=True, kw_only=True, eq=False)
class Thresholds:
    """All thresholds of a detector. `calibrate_thresholds` makes them.

    With one threshold for all records, the realised rate may be too high for one entity and too low
    for another entity. With a threshold of its own, each entity keeps the target rate (Mondrian
    conformal prediction, Vovk et al. 2003).

    Attributes:
        pooled: the threshold from all calibration records, for entities without their own.
        own: entity -> the threshold of this entity.
        batch_fdr: false discovery rate at which Benjamini-Hochberg flags records in place of the
            thresholds; None if the thresholds are used.
    """

    pooled: Threshold
    own: Mapping[str, Threshold]
    batch_fdr: float | None = None

    @property
    def note(self) -> str:
        """Text about how reliable the target rate is; empty if the records suffice to show it."""
        if self.batch_fdr is None:
            return self.pooled.note
        return f"replaced by a false discovery rate of {self.batch_fdr:g} over every batch"

    def values(self, entities: Texts) -> Values:
        """Return the value of the threshold of each record (N,)."""
        values = np.empty(len(entities))
        for threshold, rows in self.parts(entities):
            values[rows] = threshold.value
        return values

    def judge(self, scores: Values, entities: Texts, absent: Mask) -> Judged:
        """Compare the scores of N records, which were fetched together, with their thresholds.

        With `batch_fdr`, p-values below 1 / (n + 1) come from the fitted tail; n is the number of
        calibration scores. Without the tail, no single record could be flagged in a batch of more
        than batch_fdr (n + 1) records. For p-values from the tail, the false discovery rate is not
        proven. It was measured with log-normal scores and a `batch_fdr` of 0.1: the rate was 0.06
        to 0.13 in batches of 20 to 10,000 records. But of the batches of 2,000 and more normal
        records, a share of 0.2 to 0.45 had a flagged record.

        Args:
            scores: (N,) the score of each record.
            entities: (N,) the entity of each record.
            absent: (N,) True for absent records, which are never anomalous.
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
        """Yield each threshold with the rows of its records; every row is yielded exactly once."""
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
    """Compute the thresholds that normal records exceed at the target rate.

    An entity with at least 1 / rate calibration records has its own threshold; a conformal
    threshold needs this number to show the rate. A fixed threshold is the same for all entities.

    Args:
        scores: (n,) scores of held-out normal records; scores that are not finite do not count.
        times: (n,) the event time of each record.
        entities: (n,) the entity of each record.
        settings: the method and its parameters.
        rate: the target rate, `false_alarm_rate_for(settings, ...)`.

    Raises:
        TrainingError: there are no finite scores.
    """
    rows = np.argsort(times, kind="stable")
    rows = rows[np.isfinite(scores[rows])]
    groups = [(name, scores[rows[part]]) for name, part in _by_entity(entities[rows])]
    # Records of one entity depend on each other in time; different entities count as independent.
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

    per_entity = settings.per_entity and settings.method != "fixed" and len(groups) > 1
    enough = records_to_show(rate)
    return Thresholds(
        pooled=threshold(scores[rows], sum(worth.values())),
        own={
            name: threshold(series, worth[name])
            for name, series in groups
            if per_entity and len(series) >= enough
        },
        batch_fdr=settings.batch_fdr,
    )


def benjamini_hochberg(p_values: Values, fdr: float) -> Mask:
    """Return a mask (m,) of the records to flag, from their p-values (m,).

    On average, at most a share `fdr` of the flagged records is normal. The records with the k
    smallest p-values are flagged; k is the largest number with p_(k) <= fdr k / m (Benjamini &
    Hochberg 1995, section 3.1). This is valid for conformal p-values, although they depend on the
    same calibration (Bates et al. 2023, theorem 2).
    """
    m = len(p_values)
    ordered = np.sort(p_values)
    within = np.flatnonzero(ordered <= fdr * np.arange(1, m + 1) / max(m, 1))
    return p_values <= (ordered[within[-1]] if len(within) else -1.0)


def of_entities(entities: Texts, own: Collection[str]) -> Iterator[tuple[str | None, Rows]]:
    """Yield the rows of each entity in `own`, then None with the rows of all other entities.

    The rows of an entity are in ascending order.
    """
    known = set(own)
    others = np.ones(len(entities), dtype=bool)
    for name, rows in _by_entity(entities):
        if name in known:
            others[rows] = False
            yield name, rows
    yield None, np.flatnonzero(others)


def _by_entity(entities: Texts) -> Iterator[tuple[str, Rows]]:
    """Yield each entity with the rows of its records, in ascending order."""
    codes, names = pd.factorize(entities)
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(names)))
    yield from zip(names, np.split(order, ends)[:-1], strict=True)


def redraw(
    thresholds: Thresholds, settings: ThresholdSettings, rate: float, *, entities: int = 1
) -> Thresholds | None:
    """Compute new thresholds from stored scores, as a training with new settings would do.

    The result is None if only a training can compute the thresholds: not all scores were stored, or
    entities could get their own thresholds but their scores are not stored separately.

    Args:
        thresholds: the thresholds as computed at training, before any recalibration.
        settings: the new settings.
        rate: the new target rate, `false_alarm_rate_for(settings, ...)`.
        entities: number of entities that the detector knows.
    """
    per_entity = settings.per_entity and settings.method != "fixed"
    own = thresholds.own if per_entity else {}
    if any(
        threshold.records > len(threshold.kept) for threshold in (thresholds.pooled, *own.values())
    ):
        return None
    rarer = bool(own) and rate <= thresholds.pooled.false_alarm_rate
    if per_entity and len(own) < entities and entities > 1 and not rarer:
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
