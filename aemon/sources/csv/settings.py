"""The settings of CSV files."""

import re
from datetime import timedelta
from typing import ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from aemon.config.source_settings import FORMAT, TIME, TimeFormat, TwoColumns
from aemon.config.values.scalars import AtKeyError, Settings
from aemon.config.values.times import Duration, Join, TimeZone
from aemon.sources.file_systems.settings import PathOrAddress, StoredFiles


class FromPath(Settings):
    """The setting that takes the entity of a record from the name of its file."""

    from_path: str = Field(
        description="regular expression for the file's path below the folder, such as pump(\\d+); "
        "the entity is the text of the first group, or of the whole match if there is no group"
    )

    @field_validator("from_path")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return pattern


class CsvSource(StoredFiles):
    """A CSV file that grows, or a folder of CSV files."""

    opened_by: ClassVar[str] = "aemon.sources.csv.opening:open_files"
    where_not_what: ClassVar[frozenset[str]] = frozenset(
        {"timezone", "time_format", "separator", "encoding", "header_line", "join_wait", "storage"}
    )

    kind: Literal["csv"] = "csv"
    path: PathOrAddress = Field(
        description="a file, a folder whose *.csv files are read in name order, or a pattern such "
        "as exports/**/*.txt; or the address of any of these: s3://bucket/exports; "
        "files compressed by gzip, bzip2, xz or zip are unpacked"
    )
    time: str | TwoColumns = Field(description=TIME)
    key: str | None = Field(None, description="column that identifies a record; default file:line")
    entity: str | FromPath | None = Field(
        None,
        description="column naming the thing a record belongs to; or from_path, which takes the "
        "entity from the name of the file",
    )
    join: Join = Field(
        None,
        description="how to join files that hold one measurement each. 'time': one record of all "
        "values with the same time; a length such as 10s: one record of all values within it",
    )
    join_wait: Duration = Field(
        timedelta(minutes=5),
        description="how long a record waits for a file that has no value yet at the record's "
        "time or later",
    )
    separator: str = Field(
        ",",
        pattern=r'^([^"\r\n\x00]|blanks)$',
        description="field separator, one character; blanks: any run of blanks and tabs",
    )
    encoding: str | None = Field(
        None,
        description="encoding of the text, such as cp1252; default: UTF-8, or UTF-16 if the "
        "file's first bytes are UTF-16; lines that are not UTF-8 are read as cp1252",
    )
    header_line: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="number of the line with the column names; default: the first line that "
        "holds the columns of time, key and entity",
    )
    timezone: TimeZone = Field("UTC", description="zone of event times that have no zone")
    time_format: TimeFormat | None = Field(None, description=FORMAT)

    @model_validator(mode="after")
    def _joined_by_time_alone(self) -> Self:
        for name in ("key", "entity") if self.join is not None else ():
            if getattr(self, name) is not None:
                raise AtKeyError(
                    name, f"files that are joined by time have no {name}: remove {name} or join"
                )
        return self

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, name: str | None) -> str | None:
        try:
            if name is not None:
                "\n".encode(name)
                bytes(range(256)).decode(name, errors="replace")
        except (LookupError, UnicodeError):
            raise ValueError("not an encoding that Python knows, such as utf-8 or cp1252") from None
        return name
