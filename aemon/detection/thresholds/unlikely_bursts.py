"""Unlikely bursts: many flagged records in a row, or a shorter row with a very high score."""

import numpy as np
import numpy.typing as npt

from aemon.detection.arrays import Mask, Texts, Values
from aemon.detection.thresholds.by_entity import of_entities

FAULT_RECORDS = 5
"""Least number of flagged records in a row that may be a fault. At a low target rate, such a row of
false alarms is rare."""

FAULT_PEAK = 2.0
"""One record of a row of `FAULT_RECORDS` must have a larger exceedance than this number. If
consecutive normal records are similar, false alarms come in rows, too, but their exceedances are
smaller. Slow drift also causes rows with small exceedances."""

FAULT_LONG = 15
"""Number of flagged records in a row that are a fault even if all exceedances are small. For
example, a leak begins with small exceedances."""

FAULT_GAP = 2
"""Largest number of unflagged records between two flagged records of the same row."""


def in_faults(exceedances: Values, entities: Texts, *, begun: bool = False) -> Mask:
    """Return a mask (N,) of the flagged records that belong to a fault.

    A fault is a row of flagged records of one entity. The row has `FAULT_LONG` records, or
    `FAULT_RECORDS` with a large exceedance.

    Args:
        exceedances: (N,) in the order of time; NaN or at most 1 for records that are not flagged.
        entities: (N,) the entity of each record.
        begun: whether to include a row of any length that has not ended and may become a fault.
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
"""Largest probability that the most unusual of all normal records counts as an anomaly."""


def unexplained(
    p_values: npt.NDArray[np.float64], false_alarm_rate: float, deviations: float = 3.0
) -> npt.NDArray[np.bool_]:
    """Return a mask (N,) of the flagged records that the target rate does not explain.

    The number of false alarms of N normal records has a binomial distribution. This number is
    rarely above the mean plus three standard deviations. The smallest p-value of N normal records
    is rarely below 0.1 / N. So the target rate explains this number of flagged records, the least
    unusual records first. The target rate never explains a record with a p-value below 0.1 / N.

    Args:
        p_values: (N,) p-values of the flagged records, NaN for all other records.
        false_alarm_rate: the target rate.
        deviations: number of standard deviations above the mean that chance still explains.
    """
    flagged = np.flatnonzero(~np.isnan(p_values))
    expected = false_alarm_rate * len(p_values)
    most = round(expected + deviations * np.sqrt(expected))
    least_unusual_first = flagged[np.argsort(-p_values[flagged], kind="stable")]
    found = np.zeros(len(p_values), dtype=bool)
    found[least_unusual_first[most:]] = True
    found[flagged[p_values[flagged] < CHANCE / max(1, len(p_values))]] = True
    return found
