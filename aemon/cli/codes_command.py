"""`aemon codes`: the codes of a monitor's newest records as a Parquet file."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aemon.cli.output import CONFIG_FILE, ConfigOption, JsonOption, print_json, read_config
from aemon.cli.printed_tables import print_table, print_words
from aemon.errors import PermanentError
from aemon.operations.newest_records import newest_records
from aemon.operations.opening import NoResultsError, choose_monitors, opened_results

if TYPE_CHECKING:
    from aemon.detection.detector import Detector
    from aemon.detection.explaining.codes import Compression
    from aemon.frame import Frame

RECORDS = 10_000
MOST_NAMED = 5  # of the columns that come back worst


def codes(
    monitor: Annotated[str, typer.Argument(help="The monitor.")],
    out: Annotated[Path, typer.Option(help="The Parquet file to write.")],
    records: Annotated[
        int | None,
        typer.Option(min=1, help=f"At most this many, the newest; by default {RECORDS}."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Only of the last 7d or so, or from 2026-01-31T12:00 on.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Only before then, said the same way.")] = None,
    config: ConfigOption = CONFIG_FILE,
    as_json: JsonOption = False,
) -> None:
    """Export codes, a 2-D map, scores and verdicts of the newest records.

    Codes are those of the active detector's first member: members differ in
    what their codes mean. Also says how much smaller the codes are than the
    records, and how well these come back from them. Times are UTC.
    """
    first, last = _moment(since, "--since"), _moment(until, "--until")
    parquet = _parquet()
    settings = read_config(config)
    choose_monitors(settings, [monitor])
    detector, version = _active_detector(settings, monitor)
    if first or last:
        limit = settings.monitors[monitor].max_training_records
        frame = newest_records(settings, monitor, limit)
        if len(frame) == limit and first and frame.times.min() > first:
            typer.echo(f"only the newest {limit} records are looked at", err=True)
        frame = _between(frame, first, last)
    else:
        frame = newest_records(settings, monitor, records or RECORDS)
    frame = frame.take(slice(-records, None)) if records else frame
    if not len(frame):
        raise NoResultsError(f"{monitor} has no such records")
    table = _as_columns(detector, frame)
    about = {"monitor": monitor, "detector": str(version)}
    _write(parquet, out, table, about)
    told = detector.compression(frame)
    if as_json:
        sizes = {"record_bytes": told.record_bytes, "code_bytes": told.code_bytes}
        errors = {"error": told.error, "by_column": dict(told.by_column)}
        print_json({**about, "file": str(out), "records": len(frame), **sizes, **errors})
    else:
        print_words(f"{out}: {len(frame)} records of {monitor}, by detector {version}")
        _print_compression(told)


def _moment(text: str | None, option: str) -> Any:
    """A time as datetime64 in UTC; a duration counts back from now."""
    import numpy as np

    from aemon.clock import parse_duration, utc_now

    if text is None:
        return None
    try:
        moment = utc_now() - parse_duration(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise typer.BadParameter(
                f"{text!r} is neither a duration such as 15m or 7d nor a time such as "
                "2026-01-31T12:00",
                param_hint=option,
            ) from None
        moment = moment.astimezone(UTC) if moment.tzinfo else moment
    return np.datetime64(moment.replace(tzinfo=None), "us")


def _parquet() -> Any:
    """The library that writes Parquet.

    Raises:
        PermanentError: it is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise PermanentError(
            "writing Parquet needs pyarrow, which is not installed",
            todo="pip install 'aemon[parquet]'",
        ) from error
    return pyarrow.parquet


def _active_detector(settings: Any, monitor: str) -> "tuple[Detector, int]":
    from aemon.lifecycle.loaded_detector import load
    from aemon.store.detectors import active_detector

    with opened_results(settings) as store:
        stored = active_detector(store, monitor)
        if stored is None:
            raise NoResultsError(f"{monitor} has no detector yet", todo="run `aemon train`")
        return load(store, stored).detector, stored.version


def _between(frame: "Frame", first: Any, last: Any) -> "Frame":
    kept = frame.times == frame.times
    if first is not None:
        kept &= frame.times >= first
    if last is not None:
        kept &= frame.times < last
    return frame.take(kept)


def _as_columns(detector: "Detector", frame: "Frame") -> dict[str, Any]:
    """The file's columns, each (N,)."""
    judged = detector.judge(frame)
    code, placed = detector.encode(frame)[0], detector.code_map(frame)
    return {
        "record_key": frame.keys,
        "entity": frame.entities,
        "event_time": frame.times,
        **{f"code_{place}": code[:, place] for place in range(code.shape[1])},
        "map_x": placed[:, 0],
        "map_y": placed[:, 1],
        "score": judged.scores,
        "verdict": judged.verdicts.astype(object),
    }


def _write(parquet: Any, out: Path, columns: dict[str, Any], about: dict[str, str]) -> None:
    import pyarrow as pa

    columns = {name: pa.array(values) for name, values in columns.items()}
    columns["event_time"] = columns["event_time"].cast(pa.timestamp("us", tz="UTC"))
    table = pa.table(columns).replace_schema_metadata(
        {f"aemon.{key}": value for key, value in about.items()}
    )
    try:
        parquet.write_table(table, out)
    except OSError as error:
        raise PermanentError(f"{out} cannot be written: {error}") from error


def _print_compression(told: "Compression") -> None:
    print_words(
        f"codes take {told.code_bytes:,} bytes, the records {told.record_bytes:,} as float32: "
        f"{told.ratio:.0%}; they come back with a mean squared error of {told.error:.3g} spreads"
    )
    typer.echo()
    worst = told.by_column[:MOST_NAMED]
    print_table(("comes back worst", "error"), [(name, f"{error:.3g}") for name, error in worst])
