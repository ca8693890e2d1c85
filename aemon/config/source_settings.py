"""Where a monitor's records come from."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from aemon.config.values.scalars import AtKeyError, Settings, given
from aemon.config.values.times import Duration, Join, Pause, TimeZone
from aemon.times.time_format import check_time_format


def _kind_required(schema: dict[str, Any]) -> None:
    # A default for code that makes settings; a file must say it.
    del schema["properties"]["kind"]["default"]
    schema["required"] = ["kind", *schema.get("required", ())]


def _sql_rules(schema: dict[str, Any]) -> None:
    _kind_required(schema)
    schema["oneOf"] = [given("table", "string"), given("query", "string")]


_FORMAT = (
    "how event times are written, where that does not show: a format of strptime such as "
    "'%d.%m.%Y %H:%M:%S', or excel, julian, mjd, matlab, ticks, filetime, unix, unix_ms, unix_us, "
    "unix_ns"
)
MOST_PATH_BYTES = 4096  # Linux opens no longer one
TimeFormat = Annotated[str, AfterValidator(check_time_format)]
_TIME = "column with the event time; [Date, Time] where the time of day has its own"
TwoColumns = Annotated[tuple[str, ...], Field(min_length=2, max_length=2)]


class SqlSource(Settings):
    """A table or query in any database SQLAlchemy can reach."""

    model_config = ConfigDict(json_schema_extra=_sql_rules)

    kind: Literal["sql"] = "sql"
    url: SecretStr = Field(description="SQLAlchemy URL, such as sqlite:///plant.db")
    table: str | None = Field(None, description="table or view to read, schema.table allowed")
    query: str | None = Field(None, description="SELECT to read instead of a table")
    time: str | TwoColumns = Field(description=_TIME)
    key: str = Field(description="column that identifies a record; unique, grows within one time")
    entity: str | None = Field(None, description="column naming the thing a record belongs to")
    timezone: TimeZone = Field("UTC", description="zone of event times that carry none")
    time_format: TimeFormat | None = Field(None, description=_FORMAT)

    @model_validator(mode="after")
    def _one_of_table_and_query(self) -> Self:
        if (self.table is None) == (self.query is None):
            both = ", not both" if self.table is not None else ""
            raise ValueError(f"give either table or query{both}")
        return self


class FromPath(Settings):
    """The entity of a record where the name of its file says it."""

    from_path: str = Field(
        description="regular expression, searched for in the file's name (below the folder); its "
        "first group is the entity, or else all that it finds: pump(\\d+)"
    )

    @field_validator("from_path")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"no regular expression: {error}") from None
        return pattern


class CsvSource(Settings):
    """A CSV file that grows, or a folder of them."""

    model_config = ConfigDict(json_schema_extra=_kind_required)

    kind: Literal["csv"] = "csv"
    path: Path = Field(
        description="a file, a folder whose *.csv files are read in name order, or a pattern such "
        "as exports/**/*.txt; files compressed by gzip, bzip2, xz or zip are unpacked"
    )
    time: str | TwoColumns = Field(description=_TIME)
    key: str | None = Field(None, description="column that identifies a record; default file:line")
    entity: str | FromPath | None = Field(
        None,
        description="column naming the thing a record belongs to; or from_path, where the name of "
        "the file says it",
    )
    join: Join = Field(
        None,
        description="one file for each measurement: records are made of the values that all files "
        "have at one time; a length such as 10s takes what lies within as one time",
    )
    join_wait: Duration = Field(
        timedelta(minutes=5),
        description="how long a record waits for files that have not come to its time",
    )
    separator: str = Field(
        ",",
        pattern=r'^([^"\r\n\x00]|blanks)$',
        description="field separator, one character; blanks: any run of blanks and tabs",
    )
    encoding: str | None = Field(
        None,
        description="of the text, such as cp1252; default UTF-8, UTF-16 where the file shows it, "
        "and cp1252 for lines that are neither",
    )
    header_line: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="number of the line with the column names; default: the first that holds those "
        "of time, key and entity",
    )
    timezone: TimeZone = Field("UTC", description="zone of event times that carry none")
    time_format: TimeFormat | None = Field(None, description=_FORMAT)

    @model_validator(mode="after")
    def _joined_by_time_alone(self) -> Self:
        for name in ("key", "entity") if self.join is not None else ():
            if getattr(self, name) is not None:
                raise AtKeyError(
                    name, f"files that are joined by time have no {name}: leave {name} or join out"
                )
        return self

    @field_validator("path")
    @classmethod
    def _is_short(cls, path: Path) -> Path:
        if len(str(path).encode(errors="replace")) > MOST_PATH_BYTES:
            raise ValueError(f"a path has at most {MOST_PATH_BYTES:,} bytes")
        return path

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, name: str | None) -> str | None:
        try:
            if name is not None:
                "\n".encode(name)
                bytes(range(256)).decode(name, errors="replace")
        except (LookupError, UnicodeError):
            raise ValueError("no encoding that Python knows, such as utf-8 or cp1252") from None
        return name


class HostSource(Settings):
    """The machine aemon runs on: load, processor, memory, disk and network, by psutil."""

    model_config = ConfigDict(json_schema_extra=_kind_required)

    kind: Literal["host"] = "host"
    sample_every: Pause = Field(timedelta(seconds=5), description="pause between samples")


Source = Annotated[SqlSource | CsvSource | HostSource, Field(discriminator="kind")]

_WHERE_NOT_WHAT = {
    "url",
    "timezone",
    "time_format",
    "separator",
    "sample_every",
    "encoding",
    "header_line",
    "join_wait",
}


def identity(source: Source) -> str:
    """What a source reads, as text: a position in one is none in another. It holds no secrets.

    >>> identity(HostSource())
    '{"kind":"host"}'
    """
    return source.model_dump_json(exclude=_WHERE_NOT_WHAT, exclude_none=True)
