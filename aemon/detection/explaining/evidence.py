"""The grounds of an expected value: a few other columns that alone lead to about the same value."""

import numpy as np

from aemon.detection.arrays import Floats, Mask, Rows
from aemon.detection.explaining.blame import Blame
from aemon.detection.features.feature_map import FeatureMap
from aemon.detection.scoring.residuals import residuals_of
from aemon.detection.scoring.scorer import Scorer

MOST_GROUNDS = 3
"""Largest number of columns that are named as grounds of an expected value."""

NOTICEABLE = 0.25
"""A column is named only if it changes the expected value by at least this number of spreads."""

RELATED = 0.3
"""Least absolute correlation of a column with the blamed column, among normal records. A less
correlated column would lead to the expected value by chance."""

AS_RELATED = 0.5
"""Least correlation of a column as a share of the strongest correlation. A column with a smaller
correlation contributes nothing."""

MOST_TRIED = 8
"""Largest number of columns that are tried as grounds: the columns with the strongest correlations.
To try hundreds of columns would take too long."""

FILL_ROUNDS = 2
"""Number of rounds that fill hidden cells. More rounds changed no expected value noticeably."""

BLOCK_RECORDS = 256
"""Number of records that are processed together, each with a variant for each column to try."""


def grounds(
    feature_map: FeatureMap,
    scorer: Scorer,
    X: Floats,  # noqa: N803 -- (N, F)
    blame: Blame,
) -> list[list[int]]:
    """Find the judged columns that lead to the expected value of each record's first blamed column.

    First all columns except the context are hidden. Then one column is shown: the column that
    brings the expected value closest to the value that is expected from the whole record. In the
    same way, further columns are shown, as long as the expected value comes noticeably closer.

    Another way would be to hide single columns. But if several columns carry the same information,
    no single hidden column changes the expected value. For example, the pressure of a pump follows
    from its flow as well as from its current.

    Args:
        feature_map: the detector's feature map.
        scorer: the detector's scorer.
        X: (N, F) features, 0 where missing.
        blame: the blamed columns of these records.

    Returns:
        Up to `MOST_GROUNDS` indices of judged columns for each record, the most important first.
        The list is empty if no column is blamed, if the expected value is near the usual value, or
        if no other column is related.
    """
    found: list[list[int]] = []
    for start in range(0, len(X), BLOCK_RECORDS):
        block = slice(start, start + BLOCK_RECORDS)
        part = Blame(blame.columns[block], blame.reconstruction[block], blame.shown[block])
        found += _grounds(feature_map, scorer, X[block], part)
    return found


def _grounds(
    feature_map: FeatureMap,
    scorer: Scorer,
    X: Floats,  # noqa: N803 -- (N, F)
    blame: Blame,
) -> list[list[int]]:
    member = _members(feature_map)
    asked = np.array([columns[0] if columns else -1 for columns in blame.columns])
    untried = _related(scorer.space.normal_records, member, asked)
    untried &= ~feature_map.missing(blame.shown)

    def distances(rows: Rows, known: Mask) -> Floats:
        """Return the distances (Q,) between two expected values, for the records at `rows` (Q,).

        One value is expected from the `known` cells (Q, F), the other from the whole record.
        """
        guessed = scorer.space.guess(np.where(known, X[rows], np.float32(0)), known)
        found = residuals_of(scorer.autoencoder, guessed, known, rounds=FILL_ROUNDS)
        gaps = np.abs(found.reconstruction - blame.reconstruction[rows]) * member[asked[rows]]
        largest: Floats = gaps.max(axis=1, initial=0)
        return largest

    known = blame.shown & ~member.any(axis=0)
    away = np.zeros(len(X), dtype=np.float32)
    rows = np.flatnonzero(untried.any(axis=1))
    away[rows] = distances(rows, known[rows])
    found: list[list[int]] = [[] for _ in X]
    for _ in range(MOST_GROUNDS):
        rows, tried = np.nonzero(untried & (away >= NOTICEABLE)[:, None])
        if not rows.size:
            break
        left = distances(rows, known[rows] | (member[tried] & blame.shown[rows]))
        by_record = np.lexsort((left, rows))
        closest = by_record[np.unique(rows[by_record], return_index=True)[1]]
        closer = closest[away[rows[closest]] - left[closest] >= NOTICEABLE]
        rows, tried = rows[closer], tried[closer]
        for row, column in zip(rows, tried, strict=True):
            found[row].append(int(column))
        known[rows] |= member[tried] & blame.shown[rows]
        untried[rows, tried] = False
        away[:] = 0  # records whose expected value came no closer are finished
        away[rows] = left[closer]
    return found


def _members(feature_map: FeatureMap) -> Mask:
    """Return a mask (judged columns, F): True where the feature belongs to the column."""
    member = np.zeros((len(feature_map.judged), len(feature_map)), dtype=bool)
    for column, (_, place) in enumerate(feature_map.judged):
        member[column, place] = True
    return member


def _related(records: Floats, member: Mask, asked: Rows) -> Mask:
    """Return a mask (N, judged columns) of the columns to try for each record.

    For a record, at most `MOST_TRIED` columns are tried. Their correlation with the column in
    `asked` (N,), among normal records (P, F), is at least `RELATED`, and at least `AS_RELATED`
    times the strongest correlation.
    """
    related = np.zeros((len(asked), len(member)), dtype=bool)
    centred = records - records.mean(axis=0)
    sizes = np.sqrt((centred**2).sum(axis=0))
    scaled = np.divide(centred, sizes, out=np.zeros_like(centred), where=sizes > 0)
    for column in np.unique(asked[asked >= 0]):
        alike = np.abs(scaled[:, member[column]].T @ scaled).max(axis=0)  # (F,)
        strength = np.where(member, alike, 0).max(axis=1)
        strength[column] = 0
        most = np.argsort(-strength, kind="stable")[:MOST_TRIED]
        least = max(RELATED, AS_RELATED * strength.max(initial=0))
        related[np.ix_(asked == column, most[strength[most] >= least])] = True
    return related
