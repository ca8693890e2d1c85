"""Explanation of records that are usual alone, but unusual together with the earlier records."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from aemon.detection.arrays import Mask
from aemon.detection.explaining.blame import MOST_BLAMED, Blame
from aemon.detection.explaining.explanation import explain_records
from aemon.detection.features.cells import RecordCells
from aemon.detection.features.feature_map import FeatureMap
from aemon.detection.judgement import Explanation
from aemon.detection.series.series_view import InSeries

BLAMED_SHARE = 0.25
"""Least share of a window's squared gaps that a blamed column has; the column with the largest gap
is always blamed."""

AFTER = ", after the previous records"


def explain_windows(
    feature_map: FeatureMap,
    cells: RecordCells,
    mask: Mask,
    seen: InSeries,
    units: Mapping[str, str] | None,
    times: Sequence[str],
) -> list[Explanation]:
    """Explain N records by the squared gaps in their windows.

    Args:
        feature_map: the detector's feature map.
        cells: the cells of the records.
        mask: (N, F) True where a feature was observed.
        seen: comparison of each record with the records before it; the gaps are distributed over
            the features by blame.
        units: column -> unit, for numeric columns.
        times: (N,) time in the season as text; an empty text if the season is not the main reason.
    """
    errors, places = seen.gaps, [place for _, place in feature_map.judged]
    by_column = np.stack([errors[:, place].sum(axis=1) for place in places], axis=1)
    least = BLAMED_SHARE * by_column.sum(axis=1)
    blamed = []
    for row, enough in zip(by_column, least, strict=True):
        order = np.argsort(-row, kind="stable")[:MOST_BLAMED].tolist()
        first = [place for place in order if row[place] > 0]
        blamed.append(first[:1] + [place for place in first[1:] if row[place] >= enough])
    blame = Blame(blamed, seen.expected, mask)
    nothing: list[list[int]] = [[] for _ in blamed]
    found = explain_records(feature_map, cells, errors, blame, nothing, units or {})
    ends = [f", for {time}" if time else AFTER for time in times]
    return [replace(one, reason=one.reason + end) for one, end in zip(found, ends, strict=True)]
