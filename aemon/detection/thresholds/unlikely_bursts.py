"""Unlikely bursts: many flagged records in a row, or fewer with one far over the threshold."""

import numpy as np
import numpy.typing as npt

from aemon.detection.arrays import Mask, Texts, Values
from aemon.detection.thresholds.by_entity import of_entities

FAULT_RECORDS = 5
"""Flagged records of one entity in a row; at a low target rate, false alarms rarely come in such a
row."""

FAULT_PEAK = 2.0
"""Exceedance that one of them must pass. If consecutive normal records are similar, false alarms
come in rows, too, but not so far over the threshold; the same is true of slow drift."""

FAULT_LONG = 15
"""Flagged records in a row that are a fault at any exceedance: a leak begins mildly."""

FAULT_GAP = 2
"""Most records that are not flagged between two flagged records of a row."""


def in_faults(exceedances: Values, entities: Texts, *, begun: bool = False) -> Mask:
    """Return which of N records belong to a fault (N,), its mild records included.

    Args:
        exceedances: (N,) in the order of time; NaN or at most 1 where not flagged.
        entities: (N,) the entity of each record.
        begun: count a row of any length that has not ended, too, since it may become a fault.
    """
    found = np.zeros(len(exceedances), dtype=bool)
    over = np.nan_to_num(exceedances, nan=0.0) > 1.0
    for _, rows in of_entities(entities, set(entities[over])):
        flagged = np.flatnonzero(over[rows])
        ends = np.flatnonzero(np.diff(flagged) > FAULT_GAP + 1) + 1
        for run in np.split(flagged, ends):
            its = rows[run]
            far = len(run) >= FAULT_RECORDS and exceedances[its].max() > FAULT_PEAK
            unfinished = begun and len(run) > 0 and len(rows) - 1 - run[-1] <= FAULT_GAP
            if far or unfinished or len(run) >= FAULT_LONG:
                found[its] = True
    return found


CHANCE = 0.1
"""Largest chance that the most unusual of all normal records counts as an anomaly."""


def unexplained(
    p_values: npt.NDArray[np.float64], false_alarm_rate: float, deviations: float = 3.0
) -> npt.NDArray[np.bool_]:
    """Return which of N judged records were flagged beyond what the target rate explains (N,).

    N normal records give a binomial number of false alarms, rarely above its mean plus three
    standard deviations. The smallest of their p-values is rarely below a tenth of 1/N. So this
    number of flagged records counts as normal, the least unusual first, unless their p-values are
    smaller than that.

    Args:
        p_values: (N,) of the flagged records, NaN for the others.
        false_alarm_rate: the target rate.
        deviations: standard deviations above the mean that still count as chance.
    """
    flagged = np.flatnonzero(~np.isnan(p_values))
    expected = false_alarm_rate * len(p_values)
    most = round(expected + deviations * np.sqrt(expected))
    least_unusual_first = flagged[np.argsort(-p_values[flagged], kind="stable")]
    found = np.zeros(len(p_values), dtype=bool)
    found[least_unusual_first[most:]] = True
    found[flagged[p_values[flagged] < CHANCE / max(1, len(p_values))]] = True
    return found
