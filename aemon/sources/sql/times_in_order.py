"""Checks whether the alphabetical order of text times in a database is the order of time."""

import pandas as pd

from aemon.errors import SourceConfigError
from aemon.frame import Roles
from aemon.sources.time_writing import Writing, dates_alone
from aemon.times.text_times import sorts_as_text
from aemon.times.time_apart import column_of_times
from aemon.times.time_format import NAMES, sorts_by_letters

_WAY_OUT = "write a query that converts the text to a time of the database, under another name"
_LOOKED_AT = 1000


def check_order_of_times(table: pd.DataFrame, roles: Roles, where: str) -> None:
    """Raise an error if the database cannot sort the times, or if the times are only dates.

    Args:
        table: the first records; at most `_LOOKED_AT` records are checked.
        roles: the columns of time, key and entity.
        where: a short description of the source, for the message.

    Raises:
        SourceConfigError: the alphabetical order of most times is not the order of time, or the
            time of day is in a second column.
    """
    some = table.iloc[:_LOOKED_AT]
    column = some[roles.time]
    texts = [value for value in column if isinstance(value, str)]
    wrong = [text for text in texts if not _in_order(text, roles.time_format)]
    if wrong and 2 * len(wrong) > len(column):
        raise SourceConfigError(
            f"{where}: {roles.time} {wrong[0]!r} is text whose alphabetical order is not the order "
            "of time",
            todo=f"{_WAY_OUT}: query: SELECT ..., to_timestamp({roles.time}, ...) AS at",
        )
    name = column_of_times(some, roles.time, roles.entity)
    if name is not None:
        example = str(some[name].dropna().iloc[0])
        raise dates_alone(where, roles.time, Writing(times_apart=name, example=example))


def _in_order(text: str, form: str | None) -> bool:
    if form is None:
        return sorts_as_text(text)
    return form in NAMES or sorts_by_letters(form)
