"""A first configuration for Parquet files: roles, by the first records of one."""

from pathlib import Path

from aemon.errors import SourceConfigError
from aemon.sources.csv.files import find_files
from aemon.sources.guesses import (
    SAMPLE,
    Guess,
    Guesses,
    carry_no_zone,
    guess_entity,
    guess_labels,
    guess_pause,
    guess_time,
    monitor_name,
)
from aemon.sources.parquet.opening import need_pyarrow
from aemon.sources.parquet.settings import ENDINGS


def holds_parquet(path: Path) -> bool:
    """Return whether a path means Parquet files: by their names, or by how the file begins."""
    if path.name.lower().endswith(ENDINGS):
        return True
    try:
        if path.is_dir():
            return any(one.name.lower().endswith(ENDINGS) for one in path.iterdir())
        with path.open("rb") as file:
            return file.read(4) == b"PAR1"
    except OSError:
        return False


def guess_files(path: Path) -> Guesses:
    """Return a monitor for a file, a folder or a pattern.

    Raises:
        SourceError: there is none, or it cannot be read.
        SourceConfigError: it has no column of times, or pyarrow is not installed.
    """
    need_pyarrow()
    from aemon.sources.parquet.columns import as_table
    from aemon.sources.parquet.footers import read_footer
    from aemon.sources.parquet.rows import RowReader

    files = find_files(path, ENDINGS)
    if not files.read:
        raise SourceConfigError(f"{path} holds no Parquet file", todo="name one that does")
    first = next(iter(files.read.values()))
    footer = read_footer(first)
    reader = RowReader(first, footer, footer.top, 0)
    try:
        sample = as_table(reader.take(SAMPLE), footer.columns, ())
    finally:
        reader.close()
    found = guess_time(sample)
    if found is None:
        raise SourceConfigError(
            f"{first}: no column holds times that can be read in one way only",
            todo=f"there are: {', '.join(footer.columns)}; write the source by hand, with a time_format",
        )
    times = [found.name] if isinstance(found.name, str) else found.name
    source: dict[str, object] = {"kind": "parquet", "path": str(path), "time": found.name}
    because = {"time": found.because}
    entity = guess_entity(sample, found.times, times)
    if entity is not None:
        source["entity"], because["entity"] = entity
    pause, because["score_every"] = guess_pause(found.times)
    notes = []
    if carry_no_zone(sample[times[0]]):
        notes.append("times carry no zone: UTC is taken for granted, or say timezone")
    if len(files.read) > 1:
        notes.append(
            f"{len(files.read)} files are read, and {first.name} was looked at: with one for each "
            "device, entity: {from_path: ...}"
        )
    name = monitor_name(path.stem.replace(".", "_").strip("*") or path.parent.name)
    guess = Guess(
        monitor=name,
        source=source,
        because=because,
        score_every=pause,
        notes=tuple(notes),
        exclude=guess_labels(sample),
    )
    return Guesses(monitors=(guess,))
