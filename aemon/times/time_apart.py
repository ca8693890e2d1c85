"""Joins two columns, one with dates and one with times of day, to one column of times."""

from collections.abc import Sequence

import pandas as pd

from aemon.times.text_times import has_time_of_day, is_date_alone

_LOOKED_AT = 1000  # number of first records that decide


def column_of_times(table: pd.DataFrame, time: str, entity: str | None = None) -> str | None:
    """Return the name of the column with the times of day for a column of dates.

    Return None if there is no column with times of day, if no entity has two records on one day, or
    if some values of the column of dates are not plain dates (for example, have a time of day).

    Args:
        table: first records of a source.
        time: name of the column with dates.
        entity: name of the column with entities; None without entities.
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
    """Replace columns with parts of a time, such as date and time of day, by one column of text.

    Args:
        table: the records.
        columns: names of the columns with the parts, in the order in which they are joined.
        name: name of the new column. Its value is missing if a part is missing.
    """
    joined = table[columns[0]].astype("string").str.strip()
    for column in columns[1:]:
        joined = joined + " " + table[column].astype("string").str.strip()
    rest = table.drop(columns=list(columns))
    rest.insert(0, name, joined.astype(object).where(joined.notna(), None).astype("str"))
    return rest
