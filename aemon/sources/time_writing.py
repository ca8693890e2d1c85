"""How a source's event times are written: found from its records, or asked for."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from aemon.errors import SourceConfigError
from aemon.frame import Roles
from aemon.times.text_times import format_of, order_of, orders_of, read_text
from aemon.times.time_apart import column_of_times

_MOST = 0.5  # of a block's texts; fewer dates of three numbers are slips among other times


@dataclass(frozen=True, kw_only=True, slots=True)
class Writing:
    """How times are written.

    Attributes:
        order: of dates of three numbers; None where there are none.
        times_apart: the column with the times of day of dates that stand alone.
        example: one of its values.
    """

    order: str | None = None
    times_apart: str | None = None
    example: str = ""


def writing_of(blocks: Iterable[pd.DataFrame], roles: Roles) -> Writing | None:
    """Find out how times are written, from the first records on that leave no doubt.

    Returns:
        None where there are no records yet.

    Raises:
        SourceConfigError: all records there are can be read in two ways.
    """
    open_ones: list[str] = []
    apart: Writing | None = None
    for block in blocks:
        texts = block[roles.time].dropna().astype(str)
        if texts.empty:
            continue
        if apart is None:
            name = column_of_times(block, roles.time, roles.entity)
            apart = Writing(
                times_apart=name, example=str(block[name].dropna().iloc[0]) if name else ""
            )
        if roles.time_format is not None or roles.date_order is not None:
            return Writing(
                order=roles.date_order, times_apart=apart.times_apart, example=apart.example
            )
        dates = [text for text in texts if orders_of(text)]
        if not open_ones and len(dates) < _MOST * len(texts):
            return apart
        order, example = order_of([*open_ones, *dates])
        if order is not None:
            return Writing(order=order, times_apart=apart.times_apart, example=apart.example)
        open_ones = _still_open(open_ones, dates, example)
    if open_ones:
        raise _in_doubt(open_ones, roles)
    return apart


def _still_open(before: list[str], dates: list[str], example: str | None) -> list[str]:
    """Return dates that leave as many orders open as all of them do."""
    different = {orders_of(text): text for text in reversed([*before, *dates])}
    return list(different.values()) or ([example] if example else [])


def _in_doubt(dates: list[str], roles: Roles) -> SourceConfigError:
    """Return the error that shows a date and what it may mean."""
    date = dates[0]
    possible = frozenset.intersection(*map(orders_of, dates)) or orders_of(date)
    ways = [(format_of(date, order), read_text(date, order, roles.timezone)) for order in possible]
    meant = " or ".join(sorted(f"{moment:%Y-%m-%d}" for _, moment in ways if moment is not None))
    settings = " or ".join(sorted(repr(form) for form, _ in ways))
    return SourceConfigError(
        f"{roles.time} {date!r} may be {meant}, and no other record tells",
        todo=f"set time_format: {settings}",
    )


def dates_alone(where: str, time: str, writing: Writing) -> SourceConfigError:
    """Return the error that names the column with the times of day."""
    return SourceConfigError(
        f"{where}: {time!r} holds dates alone; the time of day, such as {writing.example!r}, is in "
        f"the column {writing.times_apart!r}",
        todo=f"write time: [{time}, {writing.times_apart}]",
    )
