"""The settings of Parquet files."""

from typing import ClassVar, Literal

from pydantic import Field

from aemon.config.source_settings import FORMAT, TIME, TimeFormat, TwoColumns
from aemon.config.values.times import TimeZone
from aemon.sources.csv.settings import FromPath
from aemon.sources.file_systems.settings import PathOrAddress, StoredFiles

ENDINGS = (".parquet", ".parq", ".pq")
"""Only files with these endings, in upper or lower case, are read in a folder; a pattern may name
other files.
"""


class ParquetSource(StoredFiles):
    """A Parquet file that is replaced by longer files, or a folder of Parquet files."""

    opened_by: ClassVar[str] = "aemon.sources.parquet.opening:open_files"
    where_not_what: ClassVar[frozenset[str]] = frozenset(
        {"timezone", "time_format", "columns", "storage"}
    )

    kind: Literal["parquet"] = "parquet"
    path: PathOrAddress = Field(
        description="a file, a folder whose *.parquet files are read in name order, or a pattern "
        "such as exports/**/*.parquet; or the address of any of these: s3://bucket/exports"
    )
    time: str | TwoColumns = Field(description=TIME)
    key: str | None = Field(None, description="column that identifies a record; default file:row")
    entity: str | FromPath | None = Field(
        None,
        description="column naming the thing a record belongs to; or from_path, which takes the "
        "entity from the name of the file",
    )
    columns: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="columns to read in addition to time, key and entity; other columns are not "
        "read from the disk; default all columns",
    )
    timezone: TimeZone = Field("UTC", description="zone of event times that have no zone")
    time_format: TimeFormat | None = Field(None, description=FORMAT)
