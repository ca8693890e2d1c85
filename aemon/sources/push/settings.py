"""Settings of a source of kind push."""

from datetime import timedelta
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from aemon.config.source_settings import FORMAT, TimeFormat
from aemon.config.values.scalars import AtKeyError, Settings
from aemon.config.values.times import Duration, TimeZone
from aemon.sources.push.series_columns import read_selector
from aemon.sources.readings.settings import ReadingsSettings

Name = Annotated[str, Field(min_length=1)]


def _checked_selector(text: str) -> str:
    read_selector(text)
    return text


Selected = Annotated[str, AfterValidator(_checked_selector)]


class RemoteWrite(Settings):
    """Settings for making records from the samples that a Prometheus sends."""

    step: Duration = Field(
        timedelta(seconds=15),
        description="length of a step, such as the scrape interval: samples of an entity within a "
        "step are one record",
    )
    wait: Duration = Field(
        timedelta(seconds=30),
        description="how long a record waits for late samples after the length of a step has "
        "passed since its first sample",
    )
    columns: dict[Name, Selected] | None = Field(
        None,
        min_length=1,
        description="column -> selector of the series that fills the column; null: every series is "
        "a column, named by its name and labels",
    )


class PushSource(ReadingsSettings):
    """Records that programs send over HTTP: JSON, CSV, InfluxDB lines, Prometheus remote write."""

    opened_by: ClassVar[str] = "aemon.sources.push.source:open_source"
    is_stream: ClassVar[bool] = True

    kind: Literal["push"] = "push"
    time: Name | None = Field(
        "time",
        description="column with the event time; null: the time of arrival is the event time",
    )
    key: Name | None = Field(
        None,
        description="column that identifies a record; default: the record's position in a request "
        "with an Idempotency-Key, otherwise the record's time",
    )
    entity: Name | None = Field(
        None, description="column that names the entity to which a record belongs"
    )
    timezone: TimeZone = Field("UTC", description="zone of event times that have no zone")
    time_format: TimeFormat | None = Field(None, description=FORMAT)
    remote_write: RemoteWrite | None = Field(
        None,
        description="settings for samples that a Prometheus sends; null: samples are not accepted",
    )

    @model_validator(mode="after")
    def _makes_records_once(self) -> Self:
        if self.remote_write is not None and self.holds_readings:
            key = "pivot" if self.pivot is not None else "bucket"
            raise AtKeyError(
                key, "cannot be used with remote_write, which makes its own records of each step"
            )
        return self
