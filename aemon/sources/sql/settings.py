"""The settings of a SQL table or query."""

from datetime import timedelta
from typing import Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, SecretStr, model_validator

from aemon.config.source_settings import (
    FORMAT,
    TIME,
    TimeFormat,
    TwoColumns,
    kind_required,
)
from aemon.config.values.scalars import given
from aemon.config.values.times import Duration, TimeZone
from aemon.sources.readings.settings import ReadingsSettings

STATEMENT_TIMEOUT = timedelta(hours=1)
"""Longer than the default timeout of a run: a run that times out then cancels its own query."""


def _sql_rules(schema: dict[str, Any]) -> None:
    kind_required(schema)
    schema["oneOf"] = [given("table", "string"), given("query", "string")]


class SqlSource(ReadingsSettings):
    """A table or query in any database that SQLAlchemy can reach."""

    model_config = ConfigDict(json_schema_extra=_sql_rules)

    opened_by: ClassVar[str] = "aemon.sources.sql.source:SqlTable"
    where_not_what: ClassVar[frozenset[str]] = frozenset(
        {"url", "timezone", "time_format", "statement_timeout", "read_with"}
    )

    kind: Literal["sql"] = "sql"
    url: SecretStr = Field(description="SQLAlchemy URL, such as sqlite:///plant.db")
    table: str | None = Field(None, description="table or view to read; schema.table is allowed")
    query: str | None = Field(None, description="SELECT to read instead of a table")
    time: str | TwoColumns = Field(description=TIME)
    key: str = Field(
        description="column that identifies a record; its values are unique, and grow among "
        "records with equal times"
    )
    entity: str | None = Field(
        None, description="column that names the entity to which a record belongs"
    )
    timezone: TimeZone = Field("UTC", description="zone of event times that have no zone")
    time_format: TimeFormat | None = Field(None, description=FORMAT)

    read_with: Literal["driver", "adbc"] = Field(
        "driver",
        description="adbc, the extra aemon[adbc], reads PostgreSQL several times as fast as the "
        "driver",
    )
    statement_timeout: Duration = Field(
        STATEMENT_TIMEOUT,
        description="longest time for one statement; after this time, PostgreSQL, MariaDB and "
        "MySQL end the statement",
    )

    @model_validator(mode="after")
    def _one_of_table_and_query(self) -> Self:
        if (self.table is None) == (self.query is None):
            both = ", not both" if self.table is not None else ""
            raise ValueError(f"give either table or query{both}")
        return self
