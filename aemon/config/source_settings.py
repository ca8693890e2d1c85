"""The base class for the settings of all kinds of source, with the identity of a source."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, ConfigDict, Field, SecretStr

from aemon.config.values.scalars import Settings
from aemon.times.time_format import check_time_format

FORMAT = (
    "form of event times, if aemon cannot infer it: a format of strptime such as "
    "'%d.%m.%Y %H:%M:%S', or excel, julian, mjd, matlab, ticks, filetime, unix, unix_ms, unix_us, "
    "unix_ns"
)
TIME = "column with the event time; [Date, Time] if the time of day has its own column"
TimeFormat = Annotated[str, AfterValidator(check_time_format)]
TwoColumns = Annotated[tuple[str, ...], Field(min_length=2, max_length=2)]


def kind_required(schema: dict[str, Any]) -> None:
    """Make `kind` required in a JSON Schema; only settings made in code use its default."""
    del schema["properties"]["kind"]["default"]
    schema["required"] = ["kind", *schema.get("required", ())]


class SourceSettings(Settings):
    """The base of the settings of a source; each kind has a subclass with the key `kind`.

    The registry finds a kind by its line in `source_registry`, or by an entry point of the group
    `aemon.sources` in an installed package. The entry point names the class. The module of the
    class is imported together with the configuration, so this module must not import drivers.

    Attributes:
        opened_by: `module:function`; the module is imported when a source is opened. The function
            gets the settings and a clock, and returns a `Replayable` or a `Stream` without
            connecting.
        is_stream: whether the function returns a stream.
        where_not_what: keys that decide only where and how records are read, not which records. A
            change of any other key makes a different source, for which an old watermark is not
            valid. If this set is empty, a change of any key of a stream keeps the watermark valid,
            because the watermark is a position in the inbox.
    """

    model_config = ConfigDict(json_schema_extra=kind_required)

    opened_by: ClassVar[str]
    is_stream: ClassVar[bool] = False
    where_not_what: ClassVar[frozenset[str]] = frozenset()

    kind: str


def secrets_of(settings: Settings) -> Iterator[SecretStr]:
    """Yield every secret in settings, also in settings within settings."""
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
    """Return the identity of a source, as text without secrets.

    A watermark is valid only for a source with the same identity.
    """
    if source.is_stream and not source.where_not_what:
        return source.model_dump_json(include={"kind"})
    without: dict[str, Any] = dict.fromkeys(source.where_not_what, True)
    for name in type(source).model_fields:
        part = getattr(source, name)
        if name not in without and isinstance(part, Settings) and "wait" in type(part).model_fields:
            without[name] = {"wait"}
    return source.model_dump_json(exclude=without, exclude_none=True)
