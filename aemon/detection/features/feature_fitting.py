"""Fitting of a feature map: the choice of judged columns, of their kinds and of their scales."""

import collections
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from aemon.config.column_settings import ColumnSettings
from aemon.detection.arrays import Values
from aemon.detection.features.angles import LOWS
from aemon.detection.features.cells import is_absent, read_booleans, read_numbers
from aemon.detection.features.checks.constants import Constant, decimals_of
from aemon.detection.features.checks.firsts import Never, nevers_of
from aemon.detection.features.checks.pairs import categories_of, pairs_of
from aemon.detection.features.checks.ranges import ranges_of
from aemon.detection.features.checks.repeats import longest_usual
from aemon.detection.features.columns import (
    CONSTANT,
    FEW_RECORDS,
    ONE_SO_FAR,
    ColumnReport,
    Kind,
    listed,
    named_columns,
)
from aemon.detection.features.configured import Taken, check_configured, take_column
from aemon.detection.features.feature_map import FeatureMap
from aemon.detection.features.increases import Counter
from aemon.detection.features.logarithms import JUDGED_WITH, Logarithm, logarithm_of
from aemon.detection.features.measured import measured, within_range
from aemon.detection.features.modes import Mode, fit_mode
from aemon.detection.features.readings import Reading
from aemon.detection.features.resolution import step_of
from aemon.detection.features.scales import (
    PLACE_SPREAD_FLOOR,
    Features,
    add_angle,
    add_categories,
    add_number,
)
from aemon.errors import TrainingError
from aemon.frame import Frame

__all__ = ["ColumnReport", "FeatureMap", "describe_columns", "fit_features"]

ENTITIES = range(2, 51)
"""The entity is a context feature if the number of entities is in this range. A single entity
carries no information. With more than 50 entities, each entity has too few records."""


@dataclass
class _Learned:
    """The parts of a feature map that is not complete yet; `add` appends one column."""

    reports: list[ColumnReport] = field(default_factory=list)
    scaled: list[str] = field(default_factory=list)
    booleans: set[str] = field(default_factory=set)
    categorical: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    angles: list[tuple[str, float]] = field(default_factory=list)
    readings: dict[str, Reading] = field(default_factory=dict)
    constants: list[Constant] = field(default_factory=list)
    decimals: list[int] = field(default_factory=list)
    units: list[int] = field(default_factory=list)
    turns: list[tuple[int, int]] = field(default_factory=list)  # decimals and unit of each angle
    limits: list[tuple[str, int]] = field(default_factory=list)
    counters: list[Counter] = field(default_factory=list)
    nevers: list[Never] = field(default_factory=list)
    numbers: Features = field(default_factory=Features)
    places: Features = field(default_factory=Features)
    sides: Features = field(default_factory=Features)
    logs: Features = field(default_factory=Features)
    logarithms: list[Logarithm] = field(default_factory=list)
    width: int = 0
    mode: Mode | None = None
    columns: ColumnSettings = field(default_factory=ColumnSettings)

    def add(self, name: str, taken: Taken) -> None:
        """Add one column with the kind that was chosen for this column."""
        values, kind, reason = taken.values, taken.kind, taken.reason
        varies = True
        if kind in ("numeric", "boolean", "counter"):
            read = read_booleans if kind == "boolean" else read_numbers
            numbers = read(values)
            numbers = numbers[~np.isnan(numbers)]
            varies = add_number(self.numbers, numbers, kind)
            if varies and kind != "boolean":
                reason += self._add_logarithm(name, numbers)
            self.scaled.append(name)
            self.decimals.append(decimals_of(numbers) if varies else -1)
            self.units.append(step_of(numbers)[1] if varies else 1)
            self.width += varies
            if kind == "boolean":
                self.booleans.add(name)
            if not varies and len(numbers) >= FEW_RECORDS:
                constant = Constant.of_number(name, float(numbers[0]), len(numbers))
                self.constants.append(constant)
        elif kind == "categorical":
            categories, varies = add_categories(self.places, values)
            self.categorical.append((name, categories))
            self.width += len(categories) - 1 if varies else 0
            count = len(values) - int(is_absent(values).sum())
            if not varies and count >= FEW_RECORDS:
                constant = Constant(column=name, value=categories[0], tolerance=0.0, records=count)
                self.constants.append(constant)
        elif kind == "angle":
            degrees = read_numbers(values)
            low = LOWS[0] if np.nanmin(degrees) >= 0 else LOWS[1]
            self.angles.append((name, low))
            degrees = degrees[~np.isnan(degrees)]
            self.width += add_angle(self.sides, degrees)
            self.turns.append((decimals_of(degrees), step_of(degrees)[1]))
        if kind != "ignored" and taken.reading:
            self.readings[name] = taken.reading
        if not varies:
            reason = CONSTANT if len(values) >= FEW_RECORDS else ONE_SO_FAR
        self.reports.append(ColumnReport(column=name, kind=kind, reason=reason))

    def _add_logarithm(self, name: str, numbers: Values) -> str:
        """Add the logarithm of a column that is judged with its logarithm.

        Return a text that is added to the reason for the kind of the column; empty if no logarithm
        was added.
        """
        logarithm = logarithm_of(name, len(self.scaled), numbers, self.columns)
        if logarithm is None or not add_number(self.logs, logarithm.of(numbers), "numeric"):
            return ""
        self.logarithms.append(logarithm)
        return JUDGED_WITH


def fit_features(frame: Frame, columns: ColumnSettings, *, in_order: bool = False) -> FeatureMap:
    """Fit a feature map to normal records.

    Args:
        frame: the records.
        columns: the settings of the columns.
        in_order: whether the records have an order in time. Without an order, increases are
            unknown, and counters are left out.

    Raises:
        FrameError: a configured column is absent or is not of its configured kind.
        TrainingError: no judged column varies.
    """
    learned = _learn_columns(frame, columns, in_order=in_order)
    entities, entity_report = _entities(frame.entities)
    numbers, places = learned.numbers, learned.places.and_then(learned.sides)
    places = places.and_then(learned.logs)
    mode = learned.mode
    shares = [float((frame.entities == entity).mean()) for entity in entities]
    for share in [*shares, *(mode.shares if mode is not None and len(mode) else ())]:
        spread = max((share * (1 - share)) ** 0.5, PLACE_SPREAD_FLOOR)
        places.add(mean=share, spread=spread, weight=0, floor=1)
    if learned.width == 0:
        _refuse(learned.reports)
    found = FeatureMap(
        columns=(*learned.reports, *entity_report),
        scaled=tuple(learned.scaled),
        booleans=frozenset(learned.booleans),
        categorical=tuple(learned.categorical),
        entities=entities,
        means=np.array(numbers.means + places.means),
        spreads=np.array(numbers.spreads + places.spreads),
        weights=np.array(numbers.weights + places.weights, dtype=np.float32),
        floors=np.array(numbers.floors + places.floors, dtype=np.float32),
        lows=np.array(numbers.lows + places.lows, dtype=np.float64),
        highs=np.array(numbers.highs + places.highs, dtype=np.float64),
        width=learned.width,
        angles=tuple(learned.angles),
        readings=learned.readings,
        constants=tuple(learned.constants),
        decimals=(*learned.decimals, *(decimals for decimals, _ in learned.turns)),
        units=(*learned.units, *(unit for _, unit in learned.turns)),
        limits=tuple(learned.limits),
        counters=tuple(learned.counters),
        logarithms=tuple(learned.logarithms),
        ranges=(
            *ranges_of(columns, [*learned.scaled, *(name for name, _ in learned.angles)]),
            *learned.nevers,
        ),
        mode=mode,
    )
    return _with_pairs(found, frame) if "pair" in columns.firsts else found


def _with_pairs(found: FeatureMap, frame: Frame) -> FeatureMap:
    cells = found.read(frame)
    read = categories_of(cells.texts, found.scaled, found.booleans, cells.numbers)
    judged = {name: read[name] for name, _ in found.judged if name in read}
    return replace(found, pairs=pairs_of(judged))


def describe_columns(frame: Frame, columns: ColumnSettings) -> tuple[ColumnReport, ...]:
    """Return each column's kind and reason; few records or constant columns raise no error.

    Raises:
        FrameError: a configured column is absent or is not of its configured kind.
    """
    return (*_learn_columns(frame, columns, in_order=True).reports, *_entities(frame.entities)[1])


def _learn_columns(frame: Frame, columns: ColumnSettings, *, in_order: bool) -> _Learned:
    values = named_columns(frame.values)
    check_configured(columns, list(values.columns))
    order = np.argsort(frame.times, kind="stable")
    learned = _Learned(mode=fit_mode(frame, columns), columns=columns)
    for name in values.columns:
        if learned.mode is not None and name == learned.mode.column:
            learned.reports.append(learned.mode.report)
            continue
        taken = within_range(take_column(values[name], name, columns), name, columns)
        settled = name in columns.kinds or name in columns.derived
        if taken.kind == "counter" or (taken.kind == "numeric" and not settled):
            taken, counter = measured(taken, name, frame, order, in_order=in_order)
            learned.counters += [counter] if counter is not None else []
        learned.add(name, taken)
        if taken.kind in ("numeric", "angle", "counter"):
            numbers = read_numbers(taken.values)[order]
            if taken.kind == "numeric":
                learned.nevers += nevers_of(name, numbers, columns.firsts)
            if most := longest_usual(numbers, frame.entities[order]):
                learned.limits.append((name, most))
    return learned


def _entities(
    entities: npt.NDArray[np.object_],
) -> tuple[tuple[str, ...], tuple[ColumnReport, ...]]:
    found = collections.Counter(entity for entity in entities if entity)
    if not found:
        return (), ()
    if len(found) in ENTITIES:
        reason = f"the entity, {len(found)} different values: read but not judged"
        return tuple(sorted(found)), (_entity_report("context", reason),)
    reason = (
        f"the entity, {len(found)} different values: not used, because there are not "
        f"{ENTITIES[0]} to {ENTITIES[-1]} entities"
    )
    return (), (_entity_report("ignored", reason),)


def _entity_report(kind: Kind, reason: str) -> ColumnReport:
    return ColumnReport(column="(entity)", kind=kind, reason=reason)


def _refuse(reports: list[ColumnReport]) -> None:
    columns_by_reason: dict[str, list[str]] = {}
    for report in reports:
        columns_by_reason.setdefault(report.reason.split(": ")[0], []).append(report.column)
    shown = "; ".join(f"{listed(names)} ({reason})" for reason, names in columns_by_reason.items())
    raise TrainingError(
        f"nothing to learn from: {shown or 'the records have no columns to judge'}",
        todo="select columns whose values vary and are repeated, "
        "or set their kinds under columns.kinds",
    )
