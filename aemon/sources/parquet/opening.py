"""Opens a source of kind parquet, which needs the library pyarrow (aemon[parquet])."""

from typing import TYPE_CHECKING

from aemon.clock import Clock
from aemon.errors import SourceConfigError
from aemon.sources.parquet.settings import ParquetSource

if TYPE_CHECKING:
    from aemon.sources.parquet.source import ParquetFiles


def open_files(settings: ParquetSource, _clock: Clock) -> "ParquetFiles":
    """Return the source that settings describe; nothing is read before a call of the source.

    Raises:
        SourceConfigError: pyarrow is not installed.
    """
    need_pyarrow()
    from aemon.sources.parquet.source import ParquetFiles

    return ParquetFiles(settings)


def need_pyarrow() -> None:
    """Load pyarrow.

    Raises:
        SourceConfigError: pyarrow is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401 -- loads it
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "pyarrow":
            raise
        raise SourceConfigError(
            "reading Parquet needs pyarrow, which is not installed",
            todo="pip install 'aemon[parquet]'",
        ) from None
