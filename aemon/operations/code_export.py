"""Exports the codes of a monitor's newest records as a Parquet file."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from aemon.detection.detector import Detector
from aemon.errors import NoResultsError, PermanentError
from aemon.frame import Frame, naive_utc
from aemon.lifecycle.loaded_detector import load
from aemon.operations.installation import Installation
from aemon.operations.newest_records import newest_records
from aemon.store.detectors import active_detector

RECORDS = 10_000  # default number of records to export


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordChoice:
    """The records to export: the newest records, by number or by event time.

    Attributes:
        count: largest number of records; 10,000 if neither a count nor a time is given.
        since: only records from this event time on, aware.
        until: only records before this event time, aware.
    """

    count: int | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportedCodes:
    """An exported file of codes, with the sizes of records and codes and the reconstruction error.

    Attributes:
        detector: version of the detector that made the codes.
        records: number of records.
        record_bytes: size of the judged features of the records in bytes, as float32.
        code_bytes: size of the codes of the records in bytes, as float32.
        error: weighted mean squared reconstruction error, in squared spreads.
        by_column: column -> reconstruction error of this judged column, the largest first.
        warning: a warning about the choice of records; empty without a warning.
    """

    monitor: str
    detector: str
    file: Path
    records: int
    record_bytes: int
    code_bytes: int
    error: float
    by_column: Mapping[str, float]
    warning: str = ""

    @property
    def ratio(self) -> float:
        """Bytes of the codes divided by bytes of the records."""
        return self.code_bytes / max(self.record_bytes, 1)


def export_codes(
    installation: Installation, monitor: str, file: Path, choice: RecordChoice
) -> ExportedCodes:
    """Write codes, a 2-D map, scores and verdicts of the newest records to a Parquet file.

    The first member of the active detector makes the codes. The store is not changed.

    Raises:
        PermanentError: pyarrow is not installed, or the file cannot be written.
        ConfigError: there is no such monitor.
        NoResultsError: there are no results or no detector yet, or no records in the chosen times.
        AemonError: the source or the store cannot be read.
    """
    parquet = _parquet()
    name = installation.monitor(monitor)
    stored = active_detector(installation.store, name)
    if stored is None:
        raise NoResultsError(f"{name} has no detector yet", todo="run `aemon train`")
    detector = load(installation.store, stored).detector
    frame, warning = _chosen(installation, name, choice)
    if not len(frame):
        raise NoResultsError(f"{name} has no records to export")
    about = {"monitor": name, "detector": str(stored.version)}
    _write(parquet, file, _as_columns(detector, frame), about)
    sizes = detector.compression(frame)
    return ExportedCodes(
        monitor=name,
        detector=about["detector"],
        file=file,
        records=len(frame),
        record_bytes=sizes.record_bytes,
        code_bytes=sizes.code_bytes,
        error=sizes.error,
        by_column=dict(sizes.by_column),
        warning=warning,
    )


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise PermanentError(
            "writing Parquet needs pyarrow, which is not installed",
            todo="pip install 'aemon[parquet]'",
        ) from error
    return pyarrow.parquet


def _chosen(installation: Installation, name: str, choice: RecordChoice) -> tuple[Frame, str]:
    """Return the chosen records, and a warning if older records were not read."""
    if choice.since is None and choice.until is None:
        return newest_records(installation, name, choice.count or RECORDS), ""
    limit = installation.config.monitors[name].max_training_records
    frame = newest_records(installation, name, limit)
    warning = ""
    kept = np.ones(len(frame), dtype=bool)
    if choice.since is not None:
        since = naive_utc(choice.since)
        if len(frame) == limit and frame.times.min() > since:
            warning = f"only the newest {limit} records are read"
        kept &= frame.times >= since
    if choice.until is not None:
        kept &= frame.times < naive_utc(choice.until)
    frame = frame.take(kept)
    return (frame.take(slice(-choice.count, None)) if choice.count else frame), warning


def _as_columns(detector: Detector, frame: Frame) -> dict[str, Any]:
    """Return the columns of the file: name -> values (N,) of N records."""
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


def _write(parquet: Any, file: Path, columns: dict[str, Any], about: dict[str, str]) -> None:
    import pyarrow as pa

    columns = {name: pa.array(values) for name, values in columns.items()}
    columns["event_time"] = columns["event_time"].cast(pa.timestamp("us", tz="UTC"))
    table = pa.table(columns).replace_schema_metadata(
        {f"aemon.{key}": value for key, value in about.items()}
    )
    try:
        parquet.write_table(table, file)
    except OSError as error:
        raise PermanentError(f"{file} cannot be written: {error}") from error
