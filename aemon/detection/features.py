"""Fitting a feature map: which columns are judged, as what, and on which scale."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aemon.config.schema import ColumnSettings
from aemon.detection.columns import (
    MOST_CATEGORIES,
    ColumnReport,
    Kind,
    check_configured,
    choose_kind,
    is_absent,
    named_columns,
    read_booleans,
    read_numbers,
    read_texts,
)
from aemon.detection.feature_map import UNREADABLE_SHARE, FeatureMap
from aemon.errors import FrameError, TrainingError
from aemon.frame import Frame

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ColumnReport", "FeatureMap", "fit_features"]

ENTITIES = range(2, 51)
"""How many entities may be context: one says nothing, more than 50 leave too few records each."""

RELATIVE_SPREAD_FLOOR = 1e-9
"""Of a column's largest value: a smaller spread is rounding, so the column is constant."""

NUMERIC_FLOOR = 0.02
"""In spreads: the least normal residual believed of a number, though it was learned better."""

PLACE_SPREAD_FLOOR = 0.3
"""Of a 0/1 feature. A category with share p then errs by at most (1 / 0.3)^2 = 11, which is the
-2 ln p of p = 0.004: rare is odd, but no rarer than a likelihood would have it."""

UNSEEN_FLOOR = 0.1
"""Of the place for categories never seen: one record there errs by (1 / 0.1)^2 = 100."""


@dataclass
class _Features:
    """Features gathered column by column."""

    means: list[float] = field(default_factory=list)
    spreads: list[float] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    floors: list[float] = field(default_factory=list)

    def add(self, *, mean: float, spread: float, weight: float, floor: float) -> None:
        self.means.append(mean)
        self.spreads.append(spread)
        self.weights.append(weight)
        self.floors.append(floor)


def fit_features(frame: Frame, columns: ColumnSettings) -> FeatureMap:
    """Learn from normal records how their columns become features.

    Raises:
        FrameError: a configured column is not there or is not of its configured kind.
        TrainingError: no column is left that varies.
    """
    values = named_columns(frame.values)
    check_configured(columns, list(values.columns))
    reports: dict[str, ColumnReport] = {}
    scaled, booleans, categorical = [], set(), []
    numbers, places = _Features(), _Features()
    width = 0
    for name in values.columns:
        kind, reason = _kind(values[name], name, columns)
        if kind in ("numeric", "boolean"):
            varies = _add_number(numbers, values[name], kind)
            scaled.append(name)
            width += varies
            if kind == "boolean":
                booleans.add(name)
            if not varies:
                reason = "constant: kept but carries no weight"
        elif kind == "categorical":
            categories, varies = _add_categories(places, values[name])
            categorical.append((name, categories))
            width += len(categories) - 1 if varies else 0
            if not varies:
                reason = "constant: kept but carries no weight"
        reports[name] = ColumnReport(column=name, kind=kind, reason=reason)
    entities, entity_report = _entities(frame.entities)
    for entity in entities:
        share = float((frame.entities == entity).mean())
        spread = max((share * (1 - share)) ** 0.5, PLACE_SPREAD_FLOOR)
        places.add(mean=share, spread=spread, weight=0, floor=1)
    if width == 0:
        _refuse(reports)
    return FeatureMap(
        columns=(*reports.values(), *entity_report),
        scaled=tuple(scaled),
        booleans=frozenset(booleans),
        categorical=tuple(categorical),
        entities=entities,
        means=np.array(numbers.means + places.means),
        spreads=np.array(numbers.spreads + places.spreads),
        weights=np.array(numbers.weights + places.weights, dtype=np.float32),
        floors=np.array(numbers.floors + places.floors, dtype=np.float32),
        width=width,
    )


def _kind(values: "pd.Series[Any]", name: str, columns: ColumnSettings) -> tuple[Kind, str]:
    if name in columns.exclude:
        return "ignored", "excluded by the configuration"
    if columns.include is not None and name not in columns.include:
        return "ignored", "not among columns.include"
    if name not in columns.kinds:
        return choose_kind(values)
    if is_absent(values).all():
        return "ignored", "every value missing"
    kind: Kind = columns.kinds[name]
    if kind != "categorical":
        read = read_booleans if kind == "boolean" else read_numbers
        present = ~is_absent(values)
        unreadable = present & np.isnan(read(values))
        if unreadable.sum() > UNREADABLE_SHARE * present.sum():
            raise FrameError(
                f"column {name!r} is configured as {kind} but holds "
                f"{str(values[unreadable].iloc[0])!r}",
                todo=f"take {name!r} out of columns.kinds, or give it another kind",
            )
    return kind, "so configured"


def _add_number(features: _Features, values: "pd.Series[Any]", kind: Kind) -> bool:
    """Add one scaled feature; False when it is constant."""
    cells = read_booleans(values) if kind == "boolean" else read_numbers(values)
    cells = cells[~np.isnan(cells)]
    mean = float(cells.mean()) if cells.size else 0.0
    spread = float(cells.std()) if cells.size else 0.0
    largest = float(np.abs(cells).max()) if cells.size else 0.0
    if spread <= RELATIVE_SPREAD_FLOOR * largest:
        features.add(mean=mean, spread=0, weight=0, floor=1)
        return False
    if kind == "boolean":
        spread = max(spread, PLACE_SPREAD_FLOOR)
        features.add(mean=mean, spread=spread, weight=1, floor=PLACE_SPREAD_FLOOR / spread)
    else:
        features.add(mean=mean, spread=spread, weight=1, floor=NUMERIC_FLOOR)
    return True


def _add_categories(features: _Features, values: "pd.Series[Any]") -> tuple[tuple[str, ...], bool]:
    """Add a place for each common category and one for the rest; False when there is but one.

    K places say one thing together: beyond two they share a weight of 2, so that a column of
    many categories does not drown the numbers beside it.
    """
    texts, codes = read_texts(values)
    counts = np.bincount(codes[codes >= 0], minlength=len(texts))
    order = sorted(range(len(texts)), key=lambda i: (-counts[i], texts[i]))[:MOST_CATEGORIES]
    total = max(int(counts.sum()), 1)
    varies = len(texts) > 1
    shares = [counts[i] / total for i in order]
    rest = max(0.0, 1 - sum(shares))
    for share in shares:
        spread = max((share * (1 - share)) ** 0.5, PLACE_SPREAD_FLOOR)
        features.add(
            mean=share,
            spread=spread if varies else 0,
            weight=min(1.0, 2 / len(shares)) if varies else 0,
            floor=PLACE_SPREAD_FLOOR / spread,
        )
    spread = max((rest * (1 - rest)) ** 0.5, PLACE_SPREAD_FLOOR)
    features.add(
        mean=rest,
        spread=spread if varies else 0,
        weight=1 if varies else 0,
        floor=UNSEEN_FLOOR / spread,
    )
    return tuple(texts[i] for i in order), varies


def _entities(
    entities: npt.NDArray[np.object_],
) -> tuple[tuple[str, ...], tuple[ColumnReport, ...]]:
    found = Counter(entity for entity in entities if entity)
    if not found:
        return (), ()
    if len(found) in ENTITIES:
        reason = f"the entity, {len(found)} different: read but not judged"
        return tuple(sorted(found)), (_entity_report("context", reason),)
    reason = f"the entity, {len(found)} different: context takes {ENTITIES[0]} to {ENTITIES[-1]}"
    return (), (_entity_report("ignored", reason),)


def _entity_report(kind: Kind, reason: str) -> ColumnReport:
    return ColumnReport(column="(entity)", kind=kind, reason=reason)


def _refuse(reports: dict[str, ColumnReport]) -> None:
    told = "; ".join(f"{report.column}: {report.reason}" for report in reports.values())
    raise TrainingError(
        f"no column is left to learn from: {told or 'the records have no columns'}",
        todo="give the source columns that vary, or set columns.include and columns.kinds",
    )
