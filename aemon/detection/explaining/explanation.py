"""Explaining records: features back into columns, and each column's part in the blame."""

from collections.abc import Mapping

import numpy as np

from aemon.detection.arrays import Floats, Values
from aemon.detection.explaining.blame import Blame
from aemon.detection.explaining.sentence import sentence
from aemon.detection.features.cells import RecordCells
from aemon.detection.features.feature_map import FeatureMap
from aemon.detection.features.units import cells_of
from aemon.detection.judgement import Contribution, Explanation, Value

SURE = 0.9
"""A boolean is reconstructed as true or false from this probability on, as a number below."""

MOVED_ERROR = 100.0
"""Squared gap told of a column that moved and never did in training, as of a text never seen."""


def explain_records(
    feature_map: FeatureMap,
    cells: RecordCells,
    errors: Floats,
    blame: Blame,
    given: list[list[int]],
    units: Mapping[str, str],
) -> list[Explanation]:
    """One explanation for each of a few records.

    Ranks and the sentence follow one order: the blamed columns as they were found, then the
    others by their errors. No column is told a larger error than one ranked before it: beside a
    wrong value right ones look wrong, too, but that is none of their fault.

    Args:
        feature_map: where the features came from.
        cells: of the N records, as they were read.
        errors: (N, F) squared gaps, shared out by blame.
        blame: which columns, and what was expected of them.
        given: for each record what the expectation of its first blamed column rests on, as
            places among the judged columns.
        units: of numeric columns.
    """
    observed = _observed(feature_map, cells)
    reconstructed = _reconstructed(feature_map, blame.reconstruction)
    names = [name for name, _ in feature_map.judged]
    categories = dict(feature_map.categorical)
    by_column = np.stack([errors[:, place].sum(axis=1) for _, place in feature_map.judged], axis=1)
    explanations = []
    for row, column_errors in enumerate(by_column.astype(np.float64)):
        moved = [feature_map.constants[place] for place in np.flatnonzero(cells.moved[row])]
        errors_of = np.concatenate([column_errors, np.full(len(moved), MOVED_ERROR)])
        blamed = [*range(len(names), len(errors_of)), *blame.columns[row]]
        seen = {name: column[row] for name, column in observed.items()}
        expected = {name: column[row] for name, column in reconstructed.items()}
        columns = [*names, *(constant.column for constant in moved)]
        contributions = _contributions(columns, errors_of, blamed, seen, expected)
        if all(part.observed is None for part in contributions):
            reason = "every value is missing"
        else:
            because = [names[place] for place in given[row]]
            clauses = [constant.reason(seen[constant.column]) for constant in moved]
            rest = contributions[len(moved) : len(blamed)]
            if rest or not moved:
                clauses.append(sentence(rest, because, categories, units))
            reason = "; ".join(clauses)
        explanations.append(
            Explanation(
                observed=seen, reconstructed=expected, contributions=contributions, reason=reason
            )
        )
    return explanations


def _contributions(
    names: list[str],
    errors: Values,
    blamed: list[int],
    observed: Mapping[str, Value],
    reconstructed: Mapping[str, Value],
) -> tuple[Contribution, ...]:
    """Rank the K columns of one record: the blamed ones as they were found, others by error."""
    order = [*blamed, *(i for i in np.argsort(-errors, kind="stable") if i not in blamed)]
    total = float(errors.sum())
    return tuple(
        Contribution(
            column=names[place],
            observed=observed[names[place]],
            reconstructed=reconstructed[names[place]],
            error=float(share) * total,
            share=float(share),
            rank=rank,
        )
        for rank, (place, share) in enumerate(zip(order, _shares(errors[order]), strict=True), 1)
    )


def _shares(errors: Values) -> Values:
    """Shares (K,) of the errors of columns in the order of their ranks; none below a later one."""
    lifted = np.maximum.accumulate(errors[::-1])[::-1]
    total = lifted.sum()
    return lifted / total if total > 0 else np.full(len(errors), 1 / len(errors))


def _observed(feature_map: FeatureMap, cells: RecordCells) -> dict[str, list[Value]]:
    """Every learned column's cells, None where missing."""
    observed: dict[str, list[Value]] = {}
    for place, name in enumerate(feature_map.scaled):
        boolean = name in feature_map.booleans
        observed[name] = [
            None if np.isnan(cell) else bool(cell) if boolean and cell in (0, 1) else float(cell)
            for cell in cells.numbers[:, place]
        ]
    for place, (name, _) in enumerate(feature_map.angles):
        observed[name] = [
            None if np.isnan(cell) else cell for cell in cells.angles[:, place].tolist()
        ]
    for name, _ in feature_map.categorical:
        texts, codes = cells.texts[name] or ([], np.full(len(cells), -1))
        observed[name] = [texts[code] if code >= 0 else None for code in codes]
    return observed


def _reconstructed(feature_map: FeatureMap, reconstruction: Floats) -> dict[str, list[Value]]:
    """Every learned column as the autoencoder expects it, numbers no further than plausible."""
    return {
        name: [_boolean(cell) for cell in cells] if name in feature_map.booleans else cells.tolist()
        for name, cells in cells_of(feature_map, reconstruction).items()
    }


def _boolean(probability: float) -> bool | float:
    if probability >= SURE:
        return True
    if probability <= 1 - SURE:
        return False
    return round(float(probability), 2)
