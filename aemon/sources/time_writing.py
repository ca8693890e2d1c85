"""The form in which a source writes event times, as its records show it.

If dates have several possible meanings, an error says so.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from aemon.errors import SourceConfigError
from aemon.frame import Roles
from aemon.times.text_times import format_of, order_of, orders_of, read_text
from aemon.times.time_apart import column_of_times

_MOST = 0.5  # share of a block's texts; if fewer are dates of three numbers, these are mistakes


@dataclass(frozen=True, kw_only=True, slots=True)
class Writing:
    """The form in which event times are written.

    Attributes:
        order: order of day, month and year in dates of three numbers; None without such dates.
        times_apart: the column with the times of day if the time column holds only dates; else
            None.
        example: a value of the column `times_apart`.
    """

    order: str | None = None
    times_apart: str | None = None
    example: str = ""


def writing_of(blocks: Iterable[pd.DataFrame], roles: Roles) -> Writing | None:
    """Return the form of the times, found from the first record with only one possible meaning.

    Returns:
        The form, or None if there are no records yet.

    Raises:
        SourceConfigError: every record has several possible meanings.
    """
    ambiguous: list[str] = []
    found: Writing | None = None
    for block in blocks:
        texts = block[roles.time].dropna().astype(str)
        if texts.empty:
            continue
        if found is None:
            name = column_of_times(block, roles.time, roles.entity)
            found = Writing(
                times_apart=name, example=str(block[name].dropna().iloc[0]) if name else ""
            )
        if roles.time_format is not None or roles.date_order is not None:
            return Writing(
                order=roles.date_order, times_apart=found.times_apart, example=found.example
            )
        dates = [text for text in texts if orders_of(text)]
        if not ambiguous and len(dates) < _MOST * len(texts):
            return found
        order, example = order_of([*ambiguous, *dates])
        if order is not None:
            return Writing(order=order, times_apart=found.times_apart, example=found.example)
        ambiguous = _still_ambiguous(ambiguous, dates, example)
    if ambiguous:
        raise _ambiguous_dates(ambiguous, roles)
    return found


def _still_ambiguous(before: list[str], dates: list[str], example: str | None) -> list[str]:
    """Return a few of the dates that together allow the same orders as all of the dates."""
    different = {orders_of(text): text for text in reversed([*before, *dates])}
    return list(different.values()) or ([example] if example else [])


def _ambiguous_dates(dates: list[str], roles: Roles) -> SourceConfigError:
    """Return the error that shows a date and its possible meanings."""
    date = dates[0]
    possible = frozenset.intersection(*map(orders_of, dates)) or orders_of(date)
    ways = [(format_of(date, order), read_text(date, order, roles.timezone)) for order in possible]
    meant = " or ".join(sorted(f"{moment:%Y-%m-%d}" for _, moment in ways if moment is not None))
    settings = " or ".join(sorted(repr(form) for form, _ in ways))
    return SourceConfigError(
        f"{roles.time} {date!r} may be {meant}, and no other record shows which",
        todo=f"set time_format: {settings}",
    )


def dates_alone(where: str, time: str, writing: Writing) -> SourceConfigError:
    """Return the error for a time column that holds only dates.

    Its message names the column with the times of day.

    Args:
        where: the file or source, for the message.
        time: the configured column of dates.
        writing: the form of the times, with the column of times of day and an example.
    """
    return SourceConfigError(
        f"{where}: {time!r} holds dates alone; the time of day, such as {writing.example!r}, is in "
        f"the column {writing.times_apart!r}",
        todo=f"write time: [{time}, {writing.times_apart}]",
    )
