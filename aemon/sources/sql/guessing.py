"""A first configuration for a database, guessed from tables that have a column of times."""

from contextlib import closing

import pandas as pd
import sqlalchemy as sa

from aemon.config.values.addresses import read_address
from aemon.errors import SourceConfigError
from aemon.sources.guesses import (
    MOST_GUESSED,
    SAMPLE,
    Guess,
    Guesses,
    guess_entity,
    guess_labels,
    guess_pause,
    guess_time,
    monitor_name,
    zone_notes,
)
from aemon.sources.sql.connecting import Database
from aemon.times.text_times import sorts_as_text

LEAST_RECORDS = 10
"""A table with fewer records is probably a list of things, not of measurements."""

PASSWORD = "${SOURCE_PASSWORD}"  # noqa: S105 -- a reference to a password


def guess_tables(url: str) -> Guesses:
    """Return a monitor for each table and view that has a column of times.

    Raises:
        SourceError: the database cannot be reached.
        SourceConfigError: no table has a column of times and `LEAST_RECORDS` records.
    """
    written, because = _without_password(url)
    with closing(Database(url)) as database:
        try:
            with database.connect() as connection:
                inspector = sa.inspect(connection)
                names = [*inspector.get_table_names(), *inspector.get_view_names()]
                found: list[Guess] = []
                left: list[str] = []
                for name in names:
                    taken = [one.monitor for one in found]
                    full = len(found) >= MOST_GUESSED
                    guess = None if full else _of_table(connection, inspector, name, taken)
                    if guess is None:
                        left.append(name)
                        continue
                    source = {"kind": "sql", "url": written, **guess.source}
                    reasons = {"url": because, **guess.because}
                    found.append(
                        Guess(
                            monitor=guess.monitor, source=source, because=reasons,
                            score_every=guess.score_every, notes=guess.notes,
                            exclude=guess.exclude,
                        )
                    )  # fmt: skip
        except database.errors as error:
            raise database.trouble(error) from None
        if not found:
            raise SourceConfigError(
                f"{database.name}: no table or view has a column of times and {LEAST_RECORDS} "
                "records",
                todo=f"there are: {', '.join(names) or 'none'}; a `query` can make a time from "
                "columns",
            )
    return Guesses(monitors=tuple(found), left=tuple(left))


def _of_table(
    connection: sa.Connection, inspector: sa.Inspector, name: str, taken: list[str]
) -> Guess | None:
    table = sa.table(name)
    query = sa.select(sa.text("*")).select_from(table).limit(SAMPLE)
    sample = pd.read_sql(query, connection)
    found = guess_time(sample)
    if found is None or len(sample) < LEAST_RECORDS:
        return None
    times = [found.name] if isinstance(found.name, str) else found.name
    primary = [str(column) for column in inspector.get_pk_constraint(name)["constrained_columns"]]
    key, why_key = _key_of(sample, primary, times)
    entity = guess_entity(sample, found.times, [*times, key])
    source: dict[str, object] = {"table": name, "time": found.name, "key": key}
    because = {"time": found.because, "key": why_key}
    if entity is not None:
        source["entity"], because["entity"] = entity
    pause, why = guess_pause(found.times)
    notes = _notes_of(sample[times[0]])
    return Guess(
        monitor=monitor_name(name, taken), source=source, because={**because, "score_every": why},
        score_every=pause, notes=tuple(notes), exclude=guess_labels(sample),
    )  # fmt: skip


def _key_of(sample: pd.DataFrame, primary: list[str], times: list[str]) -> tuple[str, str]:
    if len(primary) == 1:
        return primary[0], "the primary key"
    for name in map(str, sample):
        column = sample[name]
        if name not in times and pd.api.types.is_integer_dtype(column) and column.is_unique:
            return name, f"whole numbers, different in {len(sample)} records looked at"
    return times[0], "no column identifies a record: correct the key if records can share a time"


def _notes_of(column: pd.Series) -> list[str]:
    """Return the notes about a column of times."""
    notes = zone_notes(column)
    texts = column.dropna()
    is_text = not pd.api.types.is_numeric_dtype(
        column
    ) and not pd.api.types.is_datetime64_any_dtype(column)
    if is_text and len(texts) and not all(sorts_as_text(str(text)) for text in texts.head(50)):
        notes.append(
            "times are text that does not sort by time: convert the text to a time in a query"
        )
    return notes


def _without_password(url: str) -> tuple[str, str]:
    """Return an address with a reference in place of its password, and a note for the user."""
    try:
        address = read_address(url)
    except ValueError as error:
        raise SourceConfigError(f"the address {error}") from None
    if not address.password:
        return url, ""
    hidden = address.set(password="PASSWORD").render_as_string(hide_password=False)  # noqa: S106
    return hidden.replace(
        ":PASSWORD@", f":{PASSWORD}@"
    ), "set SOURCE_PASSWORD in the environment, percent-encoded"
