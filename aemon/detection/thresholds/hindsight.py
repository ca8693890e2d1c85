"""Hindsight: the training records that stand out from all others."""

from statistics import NormalDist

import numpy as np

from aemon.detection.arrays import Mask, Texts, Values
from aemon.detection.thresholds.unlikely_bursts import in_faults

LEAST_RECORDS = 100
"""With fewer records, the tail of the scores cannot be measured."""

QUANTILES = 0.6, 0.9, 0.97
"""The width of the tail is measured between the first two and between the last two. The larger
width counts, because a tail may widen outwards. Possible anomalies lie beyond the last quantile."""

MARGIN = 2.0
"""Factor on scores that the tail makes likely: scores follow no distribution exactly, and normal
data moves slowly."""

CHANCE = 0.1
"""Chance that the most unusual of all normal records counts as an anomaly, by the measured tail."""

MOST_SHARE = 0.1
"""If a larger share of the records stands out, these are a part of normal data: none counts."""

TINY = 1e-30  # keeps the logarithm of a score of 0 finite


def standing_out(scores: Values, entities: Texts, rate: float) -> Mask:
    """Return which of n records stand out from all others (n,), from their held-out scores.

    A threshold computed from records flags its target share of them in any case. So it cannot show
    whether there are anomalies among them, but the bulk of the scores can. The logarithms of scores
    are about normally distributed in their upper part. The width of this part is measured between
    quantiles, so that two per cent of anomalies do not change it (like robust scales, Rousseeuw &
    Croux 1993).

    Two limits follow from this width: the score that one normal record in 1 / rate exceeds, and the
    score of the most unusual of n normal records. A record stands out alone above the second limit,
    and in a burst above the first.

    Args:
        scores: (n,) in the order of time, each by members that did not learn from the record. A
            record with a score that is not finite does not stand out.
        entities: (n,) the entity of each record.
        rate: the target false-alarm rate.
    """
    nothing = np.zeros(len(scores), dtype=bool)
    known = np.isfinite(scores)
    if known.sum() < LEAST_RECORDS:
        return nothing
    logs = np.full(len(scores), -np.inf)
    logs[known] = np.log(np.maximum(scores[known], TINY))
    levels = np.quantile(logs[known], QUANTILES)
    normal = NormalDist()
    places = np.array([normal.inv_cdf(quantile) for quantile in QUANTILES])
    scale = float((np.diff(levels) / np.diff(places)).max())

    def limit(share: float) -> float:
        beyond = normal.inv_cdf(1 - share) - places[-1]
        return float(levels[-1] + scale * max(beyond, 0.0) + np.log(MARGIN))

    alone = logs > limit(CHANCE / known.sum())
    bursts = in_faults(np.exp(logs - limit(rate)), entities)
    found = alone | bursts
    return found if found.mean() <= MOST_SHARE else nothing
