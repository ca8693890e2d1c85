"""Comparison of the configured columns, kinds and units with the records that were read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from aemon.config.column_settings import ColumnKind, ColumnSettings
from aemon.config.quiet_settings import QuietSettings
from aemon.config.values.conditions import columns_of, parse_condition
from aemon.detection.features.cells import (
    are_opaque,
    example_of,
    is_absent,
    read_cells,
    read_texts,
)
from aemon.detection.features.column_reading import UNREADABLE_SHARE
from aemon.detection.features.columns import (
    EMPTY,
    FEW_RECORDS,
    READABLE_SHARE,
    RECORDS_PER_CATEGORY,
    Kind,
    choose_kind,
    counted,
    listed,
    missing_cells_text,
)
from aemon.detection.features.readings import AS_IS, Reading, find_reading
from aemon.errors import FrameError

if TYPE_CHECKING:
    import pandas as pd

MOST_CONFIGURED_CATEGORIES = 200
"""Largest number of different values in a column that is configured as categorical."""


def check_configured(columns: ColumnSettings, present: list[str]) -> None:
    """Check that every configured column is present.

    Raises:
        FrameError: a configured column is absent.
    """
    named = {
        "columns.include": columns.include or (),
        "columns.exclude": columns.exclude,
        "columns.kinds": tuple(columns.kinds),
        "columns.units": tuple(columns.units),
        "columns.ranges": tuple(columns.ranges),
        "columns.logarithms": () if isinstance(columns.logarithms, str) else columns.logarithms,
        "columns.derived": tuple(one.source for one in columns.derived.values()),
        "columns.mode": (columns.mode,) if columns.mode is not None else (),
    }
    _check_names(named, present)
    check_condition(columns, present)


def check_condition(columns: ColumnSettings, present: list[str]) -> None:
    """Check that every column of the condition `only_when` is present.

    Raises:
        FrameError: a column of the condition is absent.
    """
    if columns.only_when is not None:
        names = columns_of(parse_condition(columns.only_when))
        _check_names({"columns.only_when": names}, present)


def check_quiet(quiet: QuietSettings, present: list[str]) -> None:
    """Check that every column of the rules under `quiet` is present.

    Raises:
        FrameError: a column of a rule is absent.
    """
    named = {
        "quiet.directions": tuple(quiet.directions),
        "quiet.least_gaps": tuple(quiet.least_gaps),
    }
    _check_names(named, present)


def _check_names(named: Mapping[str, Sequence[str]], present: list[str]) -> None:
    for key, names in named.items():
        for name in names:
            if name in present:
                continue
            near = get_close_matches(name, present, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise FrameError(
                f"column {name!r}, named under {key}, is not in the records",
                todo=f"{hint}the records have: {', '.join(present) or 'none'}",
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Taken:
    """The kind of one column, with its cells.

    Attributes:
        kind: the kind of the column.
        reason: why the column has this kind.
        values: (N,) the column's cells, as `reading` prepares them.
        reading: how the cells are read.
    """

    kind: Kind
    reason: str
    values: "pd.Series[Any]"
    reading: Reading = AS_IS


def take_column(values: "pd.Series[Any]", name: str, columns: ColumnSettings) -> Taken:
    """Return the kind of a column with the reason, from the configuration or from the cells.

    Raises:
        FrameError: the cells do not fit the configured kind, or the cells can be read in two ways.
    """
    if name in columns.exclude:
        return Taken(kind="ignored", reason="excluded by the configuration", values=values)
    if columns.include is not None and name not in (*columns.include, *columns.derived):
        return Taken(kind="ignored", reason="not among columns.include", values=values)
    reading, far = find_reading(values, name, columns)
    read = reading.prepare(values)
    kind, reason = _kind_of(read, name, columns, str(reading.format))
    if far.marks:
        reason += f"; {_shown(far.marks)} taken as missing"
    if far.suspects:
        reason += (
            f"; {_shown(far.suspects)} taken as missing, because repeated and far from all other "
            "numbers: list such a number under columns.missing, or, if it is a measured value, set "
            "columns.kinds to numeric"
        )
    return Taken(kind=kind, reason=reason, values=read, reading=reading)


def _shown(numbers: Sequence[float]) -> str:
    return listed([f"{number:.10g}" for number in numbers])


def _kind_of(
    values: "pd.Series[Any]", name: str, columns: ColumnSettings, written: str
) -> tuple[Kind, str]:
    if name in columns.derived:
        kind, reason = _as_numbers(values, name, "numeric")
        return kind, columns.derived[name].summary if kind == "numeric" else reason
    if name not in columns.kinds:
        return choose_kind(values, written)
    if is_absent(values).all():
        return "ignored", EMPTY
    kind = columns.kinds[name]
    if kind == "categorical":
        return _as_categories(values, name)
    return _as_numbers(values, name, kind)


def _as_numbers(values: "pd.Series[Any]", name: str, kind: ColumnKind) -> tuple[Kind, str]:
    cells = read_cells(values, truths=kind == "boolean")
    present = cells.present
    if not present.any():
        return "ignored", f"{EMPTY} or infinite"
    if kind == "boolean":
        wrong = present & ~np.isin(cells.numbers, (0, 1))
        allowed = 1 - READABLE_SHARE
        takes = "a boolean is true or false, yes or no, on or off, 1 or 0: "
    else:
        wrong, allowed, takes = cells.unreadable, UNREADABLE_SHARE, ""
    if wrong.sum() > allowed * present.sum():
        raise _misfit(name, kind, f"holds {example_of(values, wrong)}", takes)
    return kind, f"as configured{missing_cells_text(values, cells)}"


def _as_categories(values: "pd.Series[Any]", name: str) -> tuple[Kind, str]:
    present = ~is_absent(values)
    opaque = present & are_opaque(values)
    if opaque.sum() > UNREADABLE_SHARE * present.sum():
        raise _misfit(name, "categorical", f"holds {example_of(values, opaque)}", "")
    texts, codes = read_texts(values)
    observed, different = int((codes >= 0).sum()), len(texts)
    mostly_new = observed >= FEW_RECORDS and different * RECORDS_PER_CATEGORY > observed
    if mostly_new or different > MOST_CONFIGURED_CATEGORIES:
        found = f"{counted(different, 'different value')} in {counted(observed, 'record')}"
        held = f"holds {found}, such as {example_of(values, codes >= 0)}"
        why = f"categories are repeated, and at most {MOST_CONFIGURED_CATEGORIES} are possible: "
        raise _misfit(name, "categorical", held, why)
    missing = len(values) - observed
    return "categorical", f"as configured{f'; {missing} missing' if missing else ''}"


def _misfit(name: str, kind: ColumnKind, held: str, why: str) -> FrameError:
    return FrameError(
        f"column {name!r} is configured as {kind} but {held}",
        todo=f"{why}take {name!r} out of columns.kinds, or give it another kind",
    )
