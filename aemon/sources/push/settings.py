"""Settings of a source of kind push."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from aemon.config.source_settings import FORMAT, SourceSettings, TimeFormat
from aemon.config.values.times import TimeZone

Name = Annotated[str, Field(min_length=1)]


class PushSource(SourceSettings):
    """Records that programs send over HTTP: JSON, CSV or the line protocol of InfluxDB."""

    opened_by: ClassVar[str] = "aemon.sources.push.source:open_source"
    is_stream: ClassVar[bool] = True
    where_not_what: ClassVar[frozenset[str]] = frozenset(
        {"time", "key", "entity", "timezone", "time_format"}
    )

    kind: Literal["push"] = "push"
    time: Name | None = Field(
        "time", description="column with the event time; null for the time of arrival"
    )
    key: Name | None = Field(
        None,
        description="column that identifies a record; default its place in a request with an "
        "Idempotency-Key, else its time",
    )
    entity: Name | None = Field(None, description="column naming the thing a record belongs to")
    timezone: TimeZone = Field("UTC", description="zone of event times that carry none")
    time_format: TimeFormat | None = Field(None, description=FORMAT)
