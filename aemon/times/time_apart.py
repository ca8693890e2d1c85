"""Finding and joining a date in one column and its time of day in another."""

from collections.abc import Sequence

import pandas as pd

from aemon.times.text_times import has_time_of_day, is_date_alone

_LOOKED_AT = 1000  # first records that are looked at


def column_of_times(table: pd.DataFrame, time: str, entity: str | None = None) -> str | None:
    """Return the column with the times of day that belong to a column of dates.

    Return None if the dates suffice: no entity has two records of one day, or the column has more
    than dates.

    Args:
        table: first records of a source.
        time: the column with their event times.
        entity: the column that names the thing a record belongs to.
    """
    some = table.iloc[:_LOOKED_AT]
    dates = some[time].dropna().astype(str)
    if dates.empty or not dates.map(is_date_alone).all():
        return None
    owners = [dates] if entity is None else [dates, some.loc[dates.index, entity].astype(str)]
    if not pd.concat(owners, axis=1).duplicated().any():
        return None
    for name in some.columns:
        if name != time:
            texts = some[name].dropna().astype(str)
            if len(set(texts)) > 1 and texts.map(has_time_of_day).all():
                return str(name)
    return None


def join_times(table: pd.DataFrame, columns: Sequence[str], name: str) -> pd.DataFrame:
    """Replace columns of dates and of times of day by one column; missing if either is missing."""
    joined = table[columns[0]].astype("string").str.strip()
    for column in columns[1:]:
        joined = joined + " " + table[column].astype("string").str.strip()
    rest = table.drop(columns=list(columns))
    rest.insert(0, name, joined.astype(object).where(joined.notna(), None).astype("str"))
    return rest
