"""The guessed keys of a source for a first configuration, and the reason for each key.

The guesses are made from the first records of the source.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.clock import format_duration
from aemon.errors import SourceConfigError
from aemon.sources.file_systems.opening import FilePath
from aemon.times.event_times import event_times
from aemon.times.text_times import is_date_alone

Times = npt.NDArray[np.datetime64]

SAMPLE = 2_000
"""Number of records from which the keys are guessed."""

MOST_GUESSED = 5
"""Largest number of monitors in a first configuration; a comment lists further tables or series."""

_READABLE = 0.95  # share of a column's values that must be times
_MOST_ENTITIES = 200
_LEAST_OF_EACH = 3  # records of each entity, on average
_PAUSES = [timedelta(seconds=s) for s in (10, 30, 60, 300, 900, 3600, 21_600, 86_400)]
_TIME_NAME = re.compile(
    r"time|date|^ts$|_ts$|_at$|^at$|stamp|epoch|zeit|datum|hora|fecha|heure", re.IGNORECASE
)
_ENTITY_NAME = re.compile(
    r"(pump|machine|device|sensor|host|instance|node|server|unit|asset|station|engine|motor|"
    r"turbine|line|plant|site|entity|tag|vehicle|meter|equipment)(_?(id|name|no|nr|key))?$", re.IGNORECASE
)  # fmt: skip
_LABEL_NAME = re.compile(
    r"(is_?)?(anomaly|anomalous|anomalies|outlier|attack|fault|failure|target|label|class|"
    r"ground_?truth|change_?point)s?(_?(label|flag|type))?", re.IGNORECASE
)  # fmt: skip
_MOST_LABELS = 10
_TIME_OF_DAY = re.compile(r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?( ?[AaPp][Mm])?")


@dataclass(frozen=True, kw_only=True, slots=True)
class Guess:
    """A monitor of a first configuration.

    Attributes:
        monitor: name of the monitor.
        source: keys of the monitor's source -> values, in the order of the configuration file.
        because: key -> the reason for the guess of its value.
        score_every: time between two scoring runs.
        notes: sentences that a person should read.
        exclude: columns that look like labels; a detector must not train on labels.
    """

    monitor: str
    source: Mapping[str, object]
    because: Mapping[str, str] = field(default_factory=dict)
    score_every: timedelta = timedelta(minutes=1)
    notes: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Guesses:
    """All guesses about a source.

    Attributes:
        monitors: the guessed monitors; at least one.
        left: names of the tables or series for which no monitor is guessed.
    """

    monitors: tuple[Guess, ...]
    left: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GuessedTime:
    """The column of event times.

    Attributes:
        name: name of the column; two names if the time of day has its own column.
        because: the reason for the guess.
        times: (N,) event times of the sample, as aemon reads them.
    """

    name: str | list[str]
    because: str
    times: Times


def guess_time(sample: pd.DataFrame) -> GuessedTime | None:
    """Return the column that holds event times; None if there is no such column.

    A column of numbers counts only if its name says that it holds times.
    """
    found: list[tuple[int, GuessedTime]] = []
    for name in map(str, sample):
        column = sample[name]
        has_time_name = bool(_TIME_NAME.search(name))
        if not has_time_name and not _is_text_or_time(column):
            continue
        times = event_times(column, "UTC")
        share = 1 - float(np.isnat(times).mean()) if len(times) else 0.0
        if share < _READABLE:
            continue
        because = f"holds times in {share:.0%} of {len(times)} records looked at"
        rank = -2 * has_time_name - pd.api.types.is_datetime64_any_dtype(column)
        found.append((rank, GuessedTime(name=name, because=because, times=times)))
    if not found:
        return None
    best = min(found, key=lambda one: one[0])[1]
    return _with_time_of_day(sample, best)


def guess_entity(
    sample: pd.DataFrame, times: Times, others: Sequence[str]
) -> tuple[str, str] | None:
    """Return the column that seems to name the entity, with the reason; None if there is none.

    Such a column distinguishes records of the same time, or it has a usual name for an entity.

    Args:
        sample: N records.
        times: (N,) times of the records.
        others: columns that already have another role.
    """
    # Up to 1 % of the records may have equal times by chance.
    repeated = bool(pd.Series(times).duplicated().mean() > 0.01)  # noqa: PLR2004 -- see above
    named: tuple[str, str] | None = None
    for name in map(str, sample):
        column = sample[name]
        count = int(column.nunique())
        floating = pd.api.types.is_float_dtype(column)
        few = 1 < count <= min(_MOST_ENTITIES, len(sample) / _LEAST_OF_EACH)
        if name in others or floating or not few or column.isna().any():
            continue
        pairs = pd.DataFrame({"time": times, "entity": column.to_numpy()})
        if repeated and not pairs.duplicated().any():
            return name, f"distinguishes records of the same time; {count} different values"
        if named is None and _ENTITY_NAME.search(name):
            named = name, f"has a usual name; {count} different values in {len(sample)} records"
    return named


def guess_pause(times: Times) -> tuple[timedelta, str]:
    """Return the time between two scoring runs for records with times (N,), and the reason."""
    present = np.unique(times[~np.isnat(times)])
    if len(present) < 2:  # noqa: PLR2004 -- a pause is between two
        return timedelta(minutes=1), ""
    steps = np.diff(present).astype("timedelta64[us]").astype(np.int64)
    usual = timedelta(microseconds=float(np.median(steps)))
    chosen = next((one for one in _PAUSES if one >= usual), _PAUSES[-1])
    rounded = timedelta(seconds=round(usual.total_seconds())) or usual
    return chosen, f"records come every {format_duration(rounded)}"


def monitor_name(text: str, taken: Sequence[str] = ()) -> str:
    """Return a plain name for a monitor; the name is none of the names already taken.

    >>> monitor_name("public.Pump readings!")
    'Pump_readings'
    >>> monitor_name("7", ["m7"])
    'm7_2'
    """
    plain = (
        re.sub(r"\W+", "_", text.rpartition(".")[2], flags=re.ASCII).strip("_")[:60] or "records"
    )
    name = plain if not plain[0].isdigit() else f"m{plain}"
    number, chosen = 2, name
    while chosen in taken:
        number, chosen = number + 1, f"{name}_{number}"
    return chosen


def carry_no_zone(column: pd.Series) -> bool:
    """Return whether the times of a column have no zone; aemon must then assume a zone."""
    if isinstance(column.dtype, pd.DatetimeTZDtype) or pd.api.types.is_numeric_dtype(column):
        return False
    texts = column.dropna().astype(str).head(20)
    return not bool(texts.str.contains(r"(?:Z|UTC|GMT|[+-]\d{2}:?\d{2})$", regex=True).any())


def _is_text_or_time(column: pd.Series) -> bool:
    if pd.api.types.is_datetime64_any_dtype(column):
        return True
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return False
    present = column.dropna()
    return bool(len(present)) and bool(pd.to_numeric(present, errors="coerce").isna().all())


def _with_time_of_day(sample: pd.DataFrame, found: GuessedTime) -> GuessedTime:
    """Return the column of dates; if there is a column of times of day, return both together."""
    name = str(found.name)
    dates = sample[name].dropna().astype(str).head(50)
    if not dates.map(is_date_alone).all():
        return found
    for other in map(str, sample):
        texts = sample[other].dropna().astype(str).head(50)
        if other != name and len(texts) and texts.map(_TIME_OF_DAY.fullmatch).notna().all():
            both = pd.Series(sample[name].astype(str) + " " + sample[other].astype(str))
            times = event_times(both, "UTC")
            because = "dates, with the time of day in a second column"
            return GuessedTime(name=[name, other], because=because, times=times)
    return found


def guess_of_files(
    path: FilePath,
    files: Sequence[FilePath],
    sample: pd.DataFrame,
    keys: Mapping[str, object],
    *,
    also: str = "",
) -> Guesses:
    """Return a monitor for files, guessed from the first records of the first file.

    Args:
        path: a file, a folder or a pattern.
        files: the files that the path names.
        sample: the first records.
        keys: further keys of the source and their values: `kind` and others, but not the path and
            the roles.
        also: end of the note about several files, such as advice on one file for each measurement.

    Raises:
        SourceConfigError: no column holds times.
    """
    first = files[0]
    found = guess_time(sample)
    if found is None:
        raise SourceConfigError(
            f"{first}: no column holds times with only one possible meaning",
            todo=f"the columns are: {', '.join(map(str, sample))}; write the source by hand, with "
            "a time_format",
        )
    times = [found.name] if isinstance(found.name, str) else found.name
    kind, more = keys["kind"], {name: value for name, value in keys.items() if name != "kind"}
    source: dict[str, object] = {"kind": kind, "path": str(path), "time": found.name, **more}
    because = {"time": found.because}
    entity = guess_entity(sample, found.times, times)
    if entity is not None:
        source["entity"], because["entity"] = entity
    pause, because["score_every"] = guess_pause(found.times)
    notes = zone_notes(sample[times[0]])
    if len(files) > 1:
        notes.append(
            f"{len(files)} files are read; these keys are guessed from {first.name}. If each file "
            f"belongs to one device, write entity: {{from_path: ...}}{also}"
        )
    guess = Guess(
        monitor=monitor_name(path.stem.replace(".", "_").strip("*") or path.parent.name),
        source=source,
        because=because,
        score_every=pause,
        notes=tuple(notes),
        exclude=guess_labels(sample),
    )
    return Guesses(monitors=(guess,))


def zone_notes(column: "pd.Series[Any]") -> list[str]:
    """Return a note if the times of a column have no time zone; otherwise an empty list."""
    if carry_no_zone(column):
        return ["times have no zone: aemon assumes UTC; for another zone, set timezone"]
    return []


def guess_labels(sample: pd.DataFrame) -> tuple[str, ...]:
    """Return the columns that have the name of a label and only a few different values."""
    return tuple(
        str(name)
        for name in sample
        if _LABEL_NAME.fullmatch(str(name).strip()) and sample[name].nunique() <= _MOST_LABELS
    )
