"""Where a monitor's records come from: what the settings of all kinds of source have in common."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, ConfigDict, Field, SecretStr

from aemon.config.values.scalars import Settings
from aemon.times.time_format import check_time_format

FORMAT = (
    "how event times are written, where that does not show: a format of strptime such as "
    "'%d.%m.%Y %H:%M:%S', or excel, julian, mjd, matlab, ticks, filetime, unix, unix_ms, unix_us, "
    "unix_ns"
)
TIME = "column with the event time; [Date, Time] where the time of day has its own"
TimeFormat = Annotated[str, AfterValidator(check_time_format)]
TwoColumns = Annotated[tuple[str, ...], Field(min_length=2, max_length=2)]


def kind_required(schema: dict[str, Any]) -> None:
    """Require `kind` in a JSON Schema: its default is for code that makes settings."""
    del schema["properties"]["kind"]["default"]
    schema["required"] = ["kind", *schema.get("required", ())]


class SourceSettings(Settings):
    """The settings of a source; each kind has a class of its own, with a `kind` and these.

    A kind is found by its line in `source_registry`, or by an entry point of the group
    `aemon.sources` in any installed package, whose value is the class. The module of the class is
    imported with the configuration: keep drivers out of it.

    Attributes:
        opened_by: `module:function`, imported when a source is opened. Called with the settings and
            a clock, the function returns a `Replayable`, or a `Stream`; it connects to nothing.
        is_stream: whether that is a stream.
        where_not_what: keys that say where or how records are read. A change of any other key makes
            another source, in which a watermark means nothing.
    """

    model_config = ConfigDict(json_schema_extra=kind_required)

    opened_by: ClassVar[str]
    is_stream: ClassVar[bool] = False
    where_not_what: ClassVar[frozenset[str]] = frozenset()

    kind: str


def secrets_of(settings: Settings) -> Iterator[SecretStr]:
    """Return every secret of some settings, at any depth."""
    held: list[object] = [getattr(settings, name) for name in type(settings).model_fields]
    while held:
        value = held.pop()
        if isinstance(value, SecretStr):
            yield value
        elif isinstance(value, Settings):
            yield from secrets_of(value)
        elif isinstance(value, Mapping):
            held += value.values()
        elif isinstance(value, tuple | list):
            held += value


def identity(source: SourceSettings) -> str:
    """Return what a source reads, as text without secrets.

    A watermark of one source means nothing in another.
    """
    without: dict[str, Any] = dict.fromkeys(source.where_not_what, True)
    for name in type(source).model_fields:
        part = getattr(source, name)
        if name not in without and isinstance(part, Settings) and "wait" in type(part).model_fields:
            without[name] = {"wait"}
    return source.model_dump_json(exclude=without, exclude_none=True)
