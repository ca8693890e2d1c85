"""Bursts that no chance makes: many flagged records in a row, or some of them far over the line."""

import numpy as np
import numpy.typing as npt

from aemon.detection.arrays import Mask, Texts, Values
from aemon.detection.thresholds.by_entity import of_entities

FAULT_RECORDS = 5
"""Flagged records of one entity in a row: false alarms of a rare promise seldom come so."""

FAULT_PEAK = 2.0
"""Times the line that one of them reaches. Where normal life is alike from record to record its
false alarms come in rows, too, but not so far over the line; nor does life that slowly moves."""

FAULT_LONG = 15
"""So many in a row are a fault however little they are over the line: a leak begins mildly."""

FAULT_GAP = 2
"""Records that are not flagged, within a row."""


def in_faults(exceedances: Values, entities: Texts, *, begun: bool = False) -> Mask:
    """Which of N records belong to a fault (N,): its mild records, too, are no false alarms.

    Args:
        exceedances: (N,) score / line in the order of time; NaN or at most 1 where not flagged.
        entities: (N,) what each belongs to.
        begun: a row that goes on at the end counts, too: nobody knows yet what becomes of it.
    """
    found = np.zeros(len(exceedances), dtype=bool)
    over = np.nan_to_num(exceedances, nan=0.0) > 1.0
    for _, rows in of_entities(entities, set(entities[over])):
        flagged = np.flatnonzero(over[rows])
        ends = np.flatnonzero(np.diff(flagged) > FAULT_GAP + 1) + 1
        for run in np.split(flagged, ends):
            its = rows[run]
            far = len(run) >= FAULT_RECORDS and exceedances[its].max() > FAULT_PEAK
            goes_on = begun and len(run) > 0 and len(rows) - 1 - run[-1] <= FAULT_GAP
            if far or goes_on or len(run) >= FAULT_LONG:
                found[its] = True
    return found


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
