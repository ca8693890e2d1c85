"""Records made from the series of queries: one row for each step and entity that has a value."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.errors import SourceConfigError
from aemon.sources.prometheus.answers import Answer
from aemon.sources.prometheus.settings import PrometheusSource
from aemon.sources.prometheus.steps import Steps

TIME, KEY, ENTITY = "step:time", "step:key", "label:entity"
"""Columns that identify a record; queries and labels are unlikely to have such names."""

MOST_COLUMNS = 2_000
_NAME = "__name__"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Series:
    """One series of an answer.

    Attributes:
        query: the name of the query.
        column: the column of the values.
        entity: the entity of the series; empty if the source has no entity.
        labels: all labels of the series.
        places: (V,) positions, from 0, of the steps that have a value.
        values: (V,) the value at each of these steps; NaN if the server returns NaN.
    """

    query: str
    column: str
    entity: str
    labels: Mapping[str, str]
    places: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]


def series_of(
    name: str, answer: Answer, steps: Steps, settings: PrometheusSource
) -> Iterator[Series]:
    """Yield the series of a query's answer.

    Args:
        name: name of the query.
        answer: answer to the query.
        steps: the steps of the query.
        settings: settings of the source, with the labels that name entities and columns.

    Raises:
        SourceConfigError: a series lacks the label of the entity or column, or holds histograms.
    """
    for one in answer.series:
        labels = one["metric"]
        if "values" not in one:
            raise SourceConfigError(
                f"query {name} returns histograms, but a column holds numbers",
                todo="make one number of each histogram: histogram_quantile(0.9, ...), "
                "histogram_avg(...)",
            )
        entity = _label(settings.entity, labels, name) if settings.entity else ""
        column = _label(settings.columns, labels, name) if settings.columns else name
        # (V, 2): a time and a text; both are converted to numbers, also the texts NaN and +Inf.
        pairs = np.array(one["values"], dtype=object).reshape(-1, 2)
        moments = pairs[:, 0].astype(np.float64)
        places = np.rint((moments - steps.first) / steps.seconds).astype(np.int64)
        inside = (places >= 0) & (places < steps.count)
        yield Series(
            query=name,
            column=column,
            entity=entity,
            labels=labels,
            places=places[inside],
            values=pairs[inside, 1].astype(np.float64),
        )


def table_of(found: Sequence[Series], steps: Steps, settings: PrometheusSource) -> pd.DataFrame:
    """Return records in the order of time and entity, with a number or NaN in each column.

    A step at which an entity has no value at all makes no record.

    Args:
        found: the series of all queries.
        steps: the steps of the queries.
        settings: settings of the source, with the queries and labels.

    Raises:
        SourceConfigError: two series have a value for the same cell, or there are too many columns.
    """
    columns = _columns(found, settings)
    entities = sorted({one.entity for one in found}) if settings.entity else [""]
    of_entity = {entity: place for place, entity in enumerate(entities)}
    of_column = {name: place for place, name in enumerate(columns)}
    cells = np.full((len(columns), steps.count, len(entities)), np.nan)
    taken: dict[tuple[str, str], list[Series]] = {}
    for one in found:
        others = taken.setdefault((one.column, one.entity), [])
        for other in others:
            _check_no_overlap(one, other, steps, settings)
        others.append(one)
        cells[of_column[one.column], one.places, of_entity[one.entity]] = one.values
    present = ~np.isnan(cells).all(axis=0)
    step_places, entity_places = np.nonzero(present)  # in the order of time, then of entity
    times = (steps.first + step_places * steps.seconds).astype("datetime64[s]")
    keys = pd.Series([f"{moment}Z" for moment in np.datetime_as_string(times)], dtype="str")
    table = pd.DataFrame(cells[:, present].T, columns=columns)
    table.insert(0, TIME, keys)
    table.insert(1, KEY, keys)
    if settings.entity:
        table.insert(
            2, ENTITY, pd.Series([entities[place] for place in entity_places], dtype="str")
        )
    return table


def _columns(found: Sequence[Series], settings: PrometheusSource) -> list[str]:
    by_label = settings.columns is not None
    names = sorted({one.column for one in found}) if by_label else list(settings.queries)
    for name in {TIME, KEY, ENTITY} & set(names):
        raise SourceConfigError(f"{name} cannot be a column's name", todo="choose another name")
    if len(names) > MOST_COLUMNS:
        raise SourceConfigError(
            f"the label {settings.columns} makes {len(names)} columns; the maximum is {MOST_COLUMNS}",
            todo="make this label the entity, or aggregate in the query",
        )
    return names


def _label(label: str, labels: Mapping[str, str], name: str) -> str:
    value = labels.get(label, "")
    if value:
        return value
    others = ", ".join(sorted(set(labels) - {_NAME})) or "none"
    raise SourceConfigError(
        f"query {name} returns a series without the label {label}; its labels: {others}",
        todo=f"keep the label, as `by ({label})` does, or name another label",
    )


def _check_no_overlap(one: Series, other: Series, steps: Steps, settings: PrometheusSource) -> None:
    """Raise an error if two series of one column and entity have values at the same step."""
    both = np.intersect1d(one.places, other.places)
    if not len(both):
        return
    differ = [
        label
        for label in sorted({*one.labels, *other.labels})
        if one.labels.get(label) != other.labels.get(label)
    ]
    differences = "; ".join(
        f"{label} is {one.labels.get(label, 'missing')} and {other.labels.get(label, 'missing')}"
        for label in differ
    )
    kept = [label for label in (settings.entity, settings.columns) if label]
    by = f" by ({', '.join(kept)})" if kept else ""
    chosen = [label for label in differ if label != _NAME]
    raise SourceConfigError(
        f"query {one.query} returns several series for one cell"
        + (f" of {one.entity}" if one.entity else "")
        + f" at {np.datetime64(steps.first + int(both[0]) * steps.seconds, 's')}Z: {differences}",
        todo=f"aggregate, such as sum{by} (...) or max{by} (...)"
        + (f"; or select {chosen[0]}=...; or make {chosen[0]} the entity" if chosen else ""),
    )
