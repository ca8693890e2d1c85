"""History in hindsight: which of the records learned from stand out from all others."""

from statistics import NormalDist

import numpy as np

from aemon.detection.arrays import Mask, Texts, Values
from aemon.detection.thresholds.unlikely_bursts import in_faults

LEAST_RECORDS = 100
"""Fewer have no tail that could tell what stands out of it."""

QUANTILES = 0.6, 0.9, 0.97
"""Between the first two and the last two the tail is measured, and the wider counts: tails may widen
outwards. What may be anomalies lies beyond."""

MARGIN = 2.0
"""Times what the tail makes likely: scores follow no law exactly, and life moves slowly."""

SELDOM = 0.1
"""How often the oddest of all normal records is taken for an anomaly, by the tail measured."""

MOST_SHARE = 0.1
"""More records than this do not stand out: they are another part of normal life."""

TINY = 1e-30  # keeps the logarithm of a score of 0 finite


def standing_out(scores: Values, entities: Texts, rate: float) -> Mask:
    """Return which of n records stand out from all others (n,), scored as if never seen.

    A threshold drawn from records flags its promised share of them, whatever they are; so it
    cannot say whether there are anomalies among them. The bulk can: logarithms of scores are about
    normal in their upper part. Its width is measured between quantiles, out of reach of two per
    cent of anomalies (as robust scales are, Rousseeuw & Croux 1993), and followed to where one
    normal record in 1 / rate would come, and to where the oddest of n would. Beyond the second a
    record stands out alone, beyond the first in a burst.

    Args:
        scores: (n,) in the order of time, held out: no record is scored by who learned from it.
            Not finite is not odd.
        entities: (n,) what each record belongs to.
        rate: the promised false-alarm rate.
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

    alone = logs > limit(SELDOM / known.sum())
    bursts = in_faults(np.exp(logs - limit(rate)), entities)
    found = alone | bursts
    return found if found.mean() <= MOST_SHARE else nothing
