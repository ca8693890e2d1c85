"""What an expectation rests on: the few other columns that alone lead to about the same."""

import numpy as np

from aemon.detection.arrays import Floats, Mask, Rows
from aemon.detection.explaining.blame import Blame
from aemon.detection.features.feature_map import FeatureMap
from aemon.detection.scoring.residuals import residuals_of
from aemon.detection.scoring.scorer import Scorer

MOST_GROUNDS = 3
"""Columns that an expectation is said to rest on, at most."""

NOTICEABLE = 0.25
"""In spreads. A column that moves the expectation less than this is not worth naming."""

RELATED = 0.3
"""Of a correlation among normal records: columns less alike lead to an expectation by chance."""

AS_RELATED = 0.5
"""Of the strongest correlation: a column much less alike has no part of its own."""

MOST_TRIED = 8
"""Columns tried as grounds, those that correlate most: hundreds would take too long."""

FILL_ROUNDS = 2
"""How often hidden cells are filled here: more rounds moved no expectation noticeably."""

BLOCK_RECORDS = 256
"""Records worked on at once, each with as many variants as there are columns to try."""


def grounds(
    feature_map: FeatureMap,
    scorer: Scorer,
    X: Floats,  # noqa: N803 -- (N, F)
    blame: Blame,
) -> list[list[int]]:
    """The judged columns that the expectation of each record's first blamed column rests on.

    All columns but the context are hidden, and the one shown again that brings the expectation
    closest to what the whole record leads to; then the next, as long as it gets noticeably
    closer. Hiding them one at a time instead would name none where several tell the same: the
    pressure of a pump follows from its flow as well as from its current.

    Args:
        feature_map: where the features came from.
        scorer: of the detector.
        X: (N, F), 0 where missing.
        blame: of these records.

    Returns:
        Up to `MOST_GROUNDS` places among the judged columns for each record, the weightiest
        first; none where nothing is blamed, the expectation is near the usual value anyway, or
        no other column is related.
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
        """From the expectation by what is known of records (Q, F) to the whole ones' (Q,)."""
        guessed = scorer.space.guess(np.where(known, X[rows], np.float32(0)), known)
        told = residuals_of(scorer.autoencoder, guessed, known, rounds=FILL_ROUNDS).reconstruction
        gaps = np.abs(told - blame.reconstruction[rows]) * member[asked[rows]]
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
        away[:] = 0  # nothing more for the records that got no closer
        away[rows] = left[closer]
    return found


def _members(feature_map: FeatureMap) -> Mask:
    """Which features are of which judged column (judged columns, F)."""
    member = np.zeros((len(feature_map.judged), len(feature_map)), dtype=bool)
    for column, (_, place) in enumerate(feature_map.judged):
        member[column, place] = True
    return member


def _related(records: Floats, member: Mask, asked: Rows) -> Mask:
    """The columns worth trying for each of N records' asked ones (N, judged columns).

    Those `RELATED` to it, and not much less so than the most related, among normal records (P, F), the `MOST_TRIED` most.
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
