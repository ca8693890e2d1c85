"""Explanation of records: expected values in original units, ranked columns, and a reason text."""

from collections.abc import Mapping

import numpy as np

from aemon.detection.arrays import Floats, Values
from aemon.detection.explaining.blame import Blame
from aemon.detection.explaining.sentence import sentence
from aemon.detection.features.cells import RecordCells
from aemon.detection.features.columns import shortened
from aemon.detection.features.feature_map import FeatureMap
from aemon.detection.features.modes import unseen
from aemon.detection.features.units import cells_of
from aemon.detection.judgement import Contribution, Explanation, Value

SURE = 0.9
"""Least probability with which the expected value of a boolean is shown as true or false. If the
probability is lower, the probability itself is shown."""

PLAIN_ERROR = 100.0
"""Squared gap that is reported for a column that fails a plain check, such as a constant that moved
or a frozen number. A text that is not in the training set has the same squared gap."""


def explain_records(
    feature_map: FeatureMap,
    cells: RecordCells,
    errors: Floats,
    blame: Blame,
    given: list[list[int]],
    units: Mapping[str, str],
) -> list[Explanation]:
    """Return an explanation for each of a few records.

    Ranks and the reason have the same order: first the blamed columns in the order of blame, then
    the other columns by their errors. A right value can look wrong next to a wrong value. So no
    column is reported with a larger error than a column with a better rank.

    Args:
        feature_map: the detector's feature map.
        cells: the cells of the N records, as they were read.
        errors: (N, F) squared gaps, distributed over the features by blame.
        blame: the blamed columns, and their expected values.
        given: for each record, the indices of the judged columns that lead to the expected value
            of its first blamed column.
        units: column -> unit, for numeric columns.
    """
    observed = _observed(feature_map, cells)
    reconstructed = _reconstructed(feature_map, blame.reconstruction)
    names = [name for name, _ in feature_map.judged]
    categories = _shares_of_categories(feature_map)
    by_column = np.stack([errors[:, place].sum(axis=1) for _, place in feature_map.judged], axis=1)
    explanations = []
    for row, column_errors in enumerate(by_column.astype(np.float64)):
        seen = {name: column[row] for name, column in observed.items()}
        expected = {name: column[row] for name, column in reconstructed.items()}
        moved = _moved_clauses(feature_map, cells, row, seen)
        plain = _plain_clauses(feature_map, cells, row, seen)
        columns = [*names, *moved]
        errors_of = np.concatenate([column_errors, np.full(len(moved), PLAIN_ERROR)])
        first, found = list(range(len(names), len(columns))), blame.columns[row]
        still = [names.index(name) for name in plain if names.index(name) not in found]
        if not found:
            errors_of[still] = PLAIN_ERROR
        contributions = _contributions(columns, errors_of, first + found + still, seen, expected)
        if all(part.observed is None for part in contributions):
            reason = "every value is missing"
        else:
            because = [names[place] for place in given[row]]
            clauses = [*moved.values()]
            if found or not (moved or plain or _mode_clauses(feature_map, cells, row)):
                rest = contributions[len(moved) : len(moved) + len(found)]
                clauses.append(sentence(rest, because, categories, units, feature_map.counted))
            reason = "; ".join([*_mode_clauses(feature_map, cells, row), *clauses, *plain.values()])
        explanations.append(
            Explanation(
                observed=seen, reconstructed=expected, contributions=contributions, reason=reason
            )
        )
    return explanations


def _shares_of_categories(feature_map: FeatureMap) -> dict[str, dict[str, float]]:
    """Return column -> category -> its share of the training records.

    All shares are 1 if the detector has context, because a category that is rare among all records
    can be usual for its entity or mode.
    """
    found, start = {}, len(feature_map.scaled)
    for name, texts in feature_map.categorical:
        shares = feature_map.means[start : start + len(texts)].tolist()
        if feature_map.context:
            shares = [1.0] * len(texts)
        found[name] = dict(zip(texts, shares, strict=True))
        start += len(texts) + 1
    return found


def _moved_clauses(
    feature_map: FeatureMap, cells: RecordCells, row: int, seen: Mapping[str, Value]
) -> dict[str, str]:
    """Return column -> reason, for columns that were constant in training and differ here."""
    moved = [feature_map.constants[place] for place in np.flatnonzero(cells.moved[row])]
    return {constant.column: constant.reason(seen[constant.column]) for constant in moved}


def _mode_clauses(feature_map: FeatureMap, cells: RecordCells, row: int) -> list[str]:
    """Return the reason for a mode that is not in the training set; empty for a known mode."""
    if feature_map.mode is None or cells.modes is None or not unseen(cells.modes.codes)[row]:
        return []
    return [feature_map.mode.reason(cells.modes.texts[row])]


def _plain_clauses(
    feature_map: FeatureMap, cells: RecordCells, row: int, seen: Mapping[str, Value]
) -> dict[str, str]:
    """Return column -> reason, for numbers out of range, new pairs and too many repetitions."""
    judged = {name for name, _ in feature_map.judged}
    clauses: dict[str, list[str]] = {}
    for place in np.flatnonzero(cells.outside[row]):
        one = feature_map.ranges[place]
        if one.column in judged:
            clauses.setdefault(one.column, []).append(one.reason(seen[one.column]))
    for place in np.flatnonzero(cells.new_pairs[row]):
        pair = feature_map.pairs[place]
        clauses.setdefault(pair.column, []).append(pair.reason(seen))
    for place in np.flatnonzero(cells.frozen[row]):
        name, most = feature_map.limits[place]
        held = f"stood still at {seen[name]:.10g} for {cells.frozen[row, place]} records"
        if name in feature_map.counted:
            held = f"risen by {seen[name]:.10g} in each of {cells.frozen[row, place]} records"
        reason = f"{shortened(name)} has {held}, where up to {most} are usual"
        clauses.setdefault(name, []).append(reason)
    return {name: "; ".join(reasons) for name, reasons in clauses.items()}


def _contributions(
    names: list[str],
    errors: Values,
    blamed: list[int],
    observed: Mapping[str, Value],
    reconstructed: Mapping[str, Value],
) -> tuple[Contribution, ...]:
    """Rank the K columns of a record: blamed columns in their order, then the others by error."""
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
    """Return the shares (K,) of the total error, from errors (K,) in the order of ranks.

    A share is never smaller than the shares of later ranks; the errors are raised where needed.
    """
    lifted = np.maximum.accumulate(errors[::-1])[::-1]
    total = lifted.sum()
    return lifted / total if total > 0 else np.full(len(errors), 1 / len(errors))


def _observed(feature_map: FeatureMap, cells: RecordCells) -> dict[str, list[Value]]:
    """Return the cells of every learned column; a missing cell is None."""
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
    """Return the expected cells of every learned column, clipped to plausible numbers."""
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
