"""Hindsight: detection of training records whose scores are far above all other scores."""

from statistics import NormalDist

import numpy as np

from aemon.detection.arrays import Mask, Texts, Values
from aemon.detection.thresholds.unlikely_bursts import in_faults

LEAST_RECORDS = 100
"""Least number of records that are needed to measure the tail of the scores."""

QUANTILES = 0.6, 0.9, 0.97
"""Quantiles that measure the width of the tail: between the first two, and between the last two.
The larger width is used, because the far part of a tail may be wider. Possible anomalies are above
the last quantile."""

MARGIN = 2.0
"""Factor on the limits from the tail, because scores follow no distribution exactly, and because
normal data changes slowly."""

CHANCE = 0.1
"""Probability, in the measured tail, that the most unusual normal record counts as an anomaly."""

MOST_SHARE = 0.1
"""Largest share of records that can stand out. A larger share is a part of normal data, and then no
record stands out."""

TINY = 1e-30  # keeps the logarithm of a score of 0 finite


def standing_out(scores: Values, entities: Texts, rate: float) -> Mask:
    """Return a mask (n,) of the records whose scores stand out from all other scores.

    A threshold always flags its target share of the records from which it was computed. So a
    threshold cannot show whether there are anomalies among these records, but the distribution of
    the scores can. The logarithms of scores are about normally distributed in their upper part. The
    width of this part is measured between quantiles, so that two per cent of anomalies do not
    change the width (like robust scales, Rousseeuw & Croux 1993).

    The width gives two limits. The lower limit is the score that one normal record in 1 / rate
    exceeds. The upper limit is the score of the most unusual of n normal records. A single record
    stands out above the upper limit, a record in a burst stands out above the lower limit.

    Args:
        scores: (n,) in the order of time; each score is from members that did not learn from the
            record. A record with a score that is not finite does not stand out.
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
