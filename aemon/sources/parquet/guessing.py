"""A first configuration for Parquet files, guessed from the first records of one file."""

from aemon.errors import SourceConfigError
from aemon.sources.csv.files import find_files
from aemon.sources.file_systems.opening import FilePath
from aemon.sources.guesses import SAMPLE, Guesses, guess_of_files
from aemon.sources.parquet.opening import need_pyarrow
from aemon.sources.parquet.settings import ENDINGS


def holds_parquet(path: FilePath) -> bool:
    """Return whether a path names Parquet files: by their endings, or by the first bytes."""
    if path.name.lower().endswith(ENDINGS):
        return True
    try:
        if path.is_dir():
            return any(one.name.lower().endswith(ENDINGS) for one in path.iterdir())
        with path.open("rb") as file:
            return file.read(4) == b"PAR1"
    except OSError:
        return False


def guess_files(path: FilePath) -> Guesses:
    """Return the guessed monitor for a file, a folder or a pattern.

    Raises:
        SourceError: there is no file, or the first file cannot be read.
        SourceConfigError: the first file has no column of times, or pyarrow is not installed.
    """
    need_pyarrow()
    from aemon.sources.parquet.columns import as_table
    from aemon.sources.parquet.footers import read_footer
    from aemon.sources.parquet.rows import RowReader

    files = find_files(path, ENDINGS)
    if not files.read:
        raise SourceConfigError(
            f"{path} holds no Parquet file", todo="set the path to a folder with Parquet files"
        )
    first = next(iter(files.read.values()))
    footer = read_footer(first)
    reader = RowReader(first, footer, footer.top, 0)
    try:
        sample = as_table(reader.take(SAMPLE), footer.columns, ())
    finally:
        reader.close()
    return guess_of_files(path, list(files.read.values()), sample, {"kind": "parquet"})
