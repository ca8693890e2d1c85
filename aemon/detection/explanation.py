"""Explaining records: features back into columns, units and one plain sentence."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.detection.cells import read_texts
from aemon.detection.columns import named_columns
from aemon.detection.feature_map import FeatureMap
from aemon.detection.judgement import Contribution, Explanation, Value
from aemon.frame import Frame

Floats = npt.NDArray[np.float32]

SURE = 0.9
"""A boolean is reconstructed as true or false from this probability on, as a number below."""

LARGEST_PLAIN = 1e9
"""From here on numbers are written with an exponent."""

_LEAST_DIGITS, _MOST_DIGITS = 3, 12


def explain_records(
    feature_map: FeatureMap,
    frame: Frame,
    errors: Floats,
    blamed: list[list[int]],
    reconstruction: Floats,
) -> list[Explanation]:
    """One explanation for each of a few records.

    Args:
        feature_map: where the features came from.
        frame: the N records.
        errors: (N, F) reconstruction errors.
        blamed: for each record the judged columns to blame.
        reconstruction: (N, F) features as expected without the blamed columns.
    """
    observed = _observed(feature_map, frame)
    reconstructed = _reconstructed(feature_map, reconstruction)
    judged = feature_map.judged
    by_column = np.stack([errors[:, place].sum(axis=1) for _, place in judged], axis=1)
    explanations = []
    for row, column_errors in enumerate(by_column.astype(np.float64)):
        total = float(column_errors.sum())
        equal = np.full(len(judged), 1 / len(judged))
        shares = column_errors / total if total > 0 else equal
        contributions = tuple(
            Contribution(
                column=judged[place][0],
                observed=observed[judged[place][0]][row],
                reconstructed=reconstructed[judged[place][0]][row],
                error=float(column_errors[place]),
                share=float(shares[place]),
                rank=rank,
            )
            for rank, place in enumerate(np.argsort(-shares, kind="stable"), start=1)
        )
        explanations.append(
            Explanation(
                observed={name: cells[row] for name, cells in observed.items()},
                reconstructed={name: cells[row] for name, cells in reconstructed.items()},
                contributions=contributions,
                reason=_reason(
                    [judged[place][0] for place in blamed[row]], contributions, feature_map
                ),
            )
        )
    return explanations


def _observed(feature_map: FeatureMap, frame: Frame) -> dict[str, list[Value]]:
    """Every learned column's cells, None where missing."""
    values = named_columns(frame.values)
    numbers = feature_map.numbers(values)
    observed: dict[str, list[Value]] = {}
    for place, name in enumerate(feature_map.scaled):
        cells = numbers[:, place]
        boolean = name in feature_map.booleans
        observed[name] = [
            None if np.isnan(cell) else bool(cell) if boolean and cell in (0, 1) else float(cell)
            for cell in cells
        ]
    for name, _ in feature_map.categorical:
        texts, codes = read_texts(values.get(name, pd.Series([None] * len(frame), dtype=object)))
        observed[name] = [texts[code] if code >= 0 else None for code in codes]
    return observed


def _reconstructed(feature_map: FeatureMap, reconstruction: Floats) -> dict[str, list[Value]]:
    """Every learned column as the autoencoder expects it, numbers no further than plausible."""
    raw = reconstruction * feature_map.spreads + feature_map.means
    held = feature_map.plausible(raw)
    reconstructed: dict[str, list[Value]] = {}
    for place, name in enumerate(feature_map.scaled):
        reconstructed[name] = [
            _boolean(cell) if name in feature_map.booleans else float(cell)
            for cell in held[:, place]
        ]
    start = len(feature_map.scaled)
    for name, categories in feature_map.categorical:
        places = raw[:, start : start + len(categories)]
        reconstructed[name] = [categories[place] for place in places.argmax(axis=1)]
        start += len(categories) + 1
    return reconstructed


def _boolean(probability: float) -> bool | float:
    if probability >= SURE:
        return True
    if probability <= 1 - SURE:
        return False
    return round(float(probability), 2)


def _reason(
    blamed: list[str], contributions: tuple[Contribution, ...], feature_map: FeatureMap
) -> str:
    if all(part.observed is None for part in contributions):
        return "every value is missing"
    known = dict(feature_map.categorical)
    parts = {part.column: part for part in contributions}
    clauses = [_clause(parts[column], known.get(column)) for column in blamed]
    return "; ".join(clauses) or "every value is as expected"


def _clause(part: Contribution, categories: tuple[str, ...] | None) -> str:
    if categories is not None:
        if part.observed not in categories:
            return f"{part.column} {part.observed!r} never seen in training"
        observed, expected = str(part.observed), str(part.reconstructed)
    elif isinstance(part.observed, bool):
        observed = str(part.observed).lower()
        if isinstance(part.reconstructed, bool):
            expected = str(part.reconstructed).lower()
        else:
            expected = f"true with probability {part.reconstructed}"
    else:
        pair = float(part.observed or 0), float(part.reconstructed or 0)
        observed, expected = _number_pair(*pair)
    if observed == expected:
        return f"{part.column} {observed} unusual beside the other columns"
    return f"{part.column} {observed} where {expected} was expected"


def _number_pair(observed: float, expected: float) -> tuple[str, str]:
    """Two numbers with as many digits as it takes to tell them apart.

    >>> _number_pair(2.1, 4.0)
    ('2.1', '4')
    >>> _number_pair(1013.25, 1013.41)
    ('1013.2', '1013.4')
    """
    for digits in range(_LEAST_DIGITS, _MOST_DIGITS):
        pair = _with_digits(observed, digits), _with_digits(expected, digits)
        if pair[0] != pair[1]:
            break
    return pair


def _with_digits(number: float, digits: int) -> str:
    """A number with so many digits, though never 1.23e+03 where 1234 can be said."""
    whole = len(str(int(abs(number)))) if abs(number) < LARGEST_PLAIN else 0
    return f"{number:.{max(digits, whole)}g}"
