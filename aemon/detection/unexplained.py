"""How many flagged records a promised rate explains, and which ones it does not."""

import numpy as np
import numpy.typing as npt

SELDOM = 0.1
"""How often, at most, the oddest of all normal records is taken for an anomaly."""


def unexplained(
    p_values: npt.NDArray[np.float64], false_alarm_rate: float, deviations: float = 3.0
) -> npt.NDArray[np.bool_]:
    """Which of N judged records were flagged beyond what the promised rate explains (N,).

    N normal records give a binomial number of false alarms, seldom more than its mean and three
    standard deviations, and the smallest of their p-values is seldom below a tenth of 1/N. So
    that many flagged records are taken for normal, the least odd first, and none odder.

    Args:
        p_values: (N,) of the flagged records, NaN for the others.
        false_alarm_rate: as promised.
        deviations: standard deviations above the mean that are still believed.
    """
    flagged = np.flatnonzero(~np.isnan(p_values))
    expected = false_alarm_rate * len(p_values)
    most = round(expected + deviations * np.sqrt(expected))
    least_odd_first = flagged[np.argsort(-p_values[flagged], kind="stable")]
    found = np.zeros(len(p_values), dtype=bool)
    found[least_odd_first[most:]] = True
    found[flagged[p_values[flagged] < SELDOM / max(1, len(p_values))]] = True
    return found
