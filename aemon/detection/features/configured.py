"""Holding the configured columns, kinds and units against the records that are there."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from aemon.config.column_settings import ColumnKind, ColumnSettings
from aemon.config.quiet_settings import QuietSettings
from aemon.detection.features.cells import (
    are_opaque,
    example_of,
    is_absent,
    read_cells,
    read_texts,
)
from aemon.detection.features.columns import (
    EMPTY,
    FEW_RECORDS,
    READABLE_SHARE,
    RECORDS_PER_CATEGORY,
    Kind,
    choose_kind,
    counted,
    gaps_told,
)
from aemon.detection.features.feature_map import UNREADABLE_SHARE
from aemon.errors import FrameError

if TYPE_CHECKING:
    import pandas as pd

MOST_CONFIGURED_CATEGORIES = 200
"""More different values than this are no categories, whatever the configuration says."""


def check_configured(columns: ColumnSettings, there: list[str]) -> None:
    """Hold the configured names against the columns that are there.

    Raises:
        FrameError: a configured column is not there.
    """
    named = {
        "columns.include": columns.include or (),
        "columns.exclude": columns.exclude,
        "columns.kinds": tuple(columns.kinds),
        "columns.units": tuple(columns.units),
    }
    _check_names(named, there)


def check_quiet(quiet: QuietSettings, there: list[str]) -> None:
    """Hold the columns that rules of quiet are about against those that are there.

    Raises:
        FrameError: one of them is not there.
    """
    named = {
        "quiet.directions": tuple(quiet.directions),
        "quiet.least_gaps": tuple(quiet.least_gaps),
    }
    _check_names(named, there)


def _check_names(named: Mapping[str, Sequence[str]], there: list[str]) -> None:
    for key, names in named.items():
        for name in names:
            if name in there:
                continue
            near = get_close_matches(name, there, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise FrameError(
                f"column {name!r}, named under {key}, is not in the records",
                todo=f"{hint}there are: {', '.join(there) or 'none'}",
            )


def kind_of(values: "pd.Series[Any]", name: str, columns: ColumnSettings) -> tuple[Kind, str]:
    """What a column is taken for, by the configuration or by its cells, and why.

    Raises:
        FrameError: it cannot be of its configured kind.
    """
    if name in columns.exclude:
        return "ignored", "excluded by the configuration"
    if columns.include is not None and name not in columns.include:
        return "ignored", "not among columns.include"
    if name not in columns.kinds:
        return choose_kind(values)
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
        bearable = 1 - READABLE_SHARE
        takes = "a boolean is true or false, yes or no, on or off, 1 or 0: "
    else:
        wrong, bearable, takes = cells.unreadable, UNREADABLE_SHARE, ""
    if wrong.sum() > bearable * present.sum():
        raise _misfit(name, kind, f"holds {example_of(values, wrong)}", takes)
    return kind, f"so configured{gaps_told(cells)}"


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
        why = f"a category comes back often, and {MOST_CONFIGURED_CATEGORIES} are the most: "
        raise _misfit(name, "categorical", held, why)
    missing = len(values) - observed
    return "categorical", f"so configured{f'; {missing} missing' if missing else ''}"


def _misfit(name: str, kind: ColumnKind, held: str, why: str) -> FrameError:
    return FrameError(
        f"column {name!r} is configured as {kind} but {held}",
        todo=f"{why}take {name!r} out of columns.kinds, or give it another kind",
    )
