"""Dependence in time: the effective number of independent records in a series of scores."""

import numpy as np
import pandas as pd

from aemon.detection.arrays import Values


def independent_records(scores: Values) -> float:
    """Return the effective number of records, in [1, n], of scores (n,) in the order of time.

    The result is n / tau with tau = 1 + 2 (rho_1 + rho_2 + ...). The rho_k are the autocorrelations
    of the ranks of the scores. Ranks are used because one very large score would decide the
    autocorrelations of the scores. The sum ends where a pair rho_2m + rho_2m+1 is no longer
    positive (initial positive sequence, Geyer 1992, section 3.3), because further terms only add
    noise. If all scores are equal, the result is n.
    """
    n = len(scores)
    ranks = pd.Series(scores).rank().to_numpy(copy=True)
    ranks -= ranks.mean() if n else 0.0
    spread = float(ranks @ ranks)
    if spread == 0.0:
        return float(n)
    spectrum = np.fft.rfft(ranks, 2 * n)  # padded: the end of the series is not next to its start
    correlations = np.fft.irfft(spectrum * spectrum.conj(), 2 * n)[: n - n % 2] / spread
    pairs = correlations.reshape(-1, 2).sum(axis=1)
    ends = np.flatnonzero(pairs <= 0.0)
    kept = pairs[: ends[0]] if len(ends) else pairs
    tau = 2.0 * float(kept.sum()) - 1.0
    return n / min(max(tau, 1.0), n)
