"""The registry of the kinds of source: aemon's own kinds, and kinds of other packages.

Each kind of aemon has a line here. A kind of another package has an entry point. Kinds are
registered as text and imported only when a configuration names them. So drivers of unused kinds are
not loaded, and the settings of a kind can be in the folder of its source.
"""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter, ValidationInfo
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from aemon.config.source_settings import SourceSettings
from aemon.config.values.scalars import AtKeyError
from aemon.errors import ConfigError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "aemon.sources"

BUILT_IN = {
    "sql": "aemon.sources.sql.settings:SqlSource",
    "csv": "aemon.sources.csv.settings:CsvSource",
    "parquet": "aemon.sources.parquet.settings:ParquetSource",
    "host": "aemon.sources.host.settings:HostSource",
    "prometheus": "aemon.sources.prometheus.settings:PrometheusSource",
    "mqtt": "aemon.sources.mqtt.settings:MqttSource",
    "kafka": "aemon.sources.kafka.settings:KafkaSource",
    "opcua": "aemon.sources.opcua.settings:OpcUaSource",
    "push": "aemon.sources.push.settings:PushSource",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownKind:
    """An entry of the registry for a kind of source.

    Attributes:
        kind: name of the kind in a configuration.
        package: name of the distribution that provides the kind; empty for aemon's own kinds.
        settings: class of the kind's settings; None if the kind cannot be used.
        problem: why the kind cannot be used; empty if the kind can be used.
    """

    kind: str
    package: str
    settings: type[SourceSettings] | None
    problem: str = ""


def settings_class(kind: str) -> type[SourceSettings] | None:
    """Return the class of a kind's settings; None if there is no such kind.

    Raises:
        ConfigError: a package provides the kind, but the kind cannot be used.
    """
    if kind in BUILT_IN:
        module, _, name = BUILT_IN[kind].partition(":")
        found: type[SourceSettings] = getattr(importlib.import_module(module), name)
        return found
    for point in _entry_points():
        if point.name == kind:
            return _loaded(point)
    return None


def known_kinds() -> Iterator[KnownKind]:
    """Yield every kind: first aemon's own kinds, then the kinds of installed packages by name."""
    for kind in BUILT_IN:
        yield KnownKind(kind=kind, package="", settings=settings_class(kind))
    for point in _entry_points():
        package = point.dist.name if point.dist else ""
        if point.name in BUILT_IN:
            problem = (
                f"{point.name} is a kind of aemon itself: the package must choose another name"
            )
            yield KnownKind(kind=point.name, package=package, settings=None, problem=problem)
            continue
        try:
            yield KnownKind(kind=point.name, package=package, settings=_loaded(point))
        except ConfigError as error:
            problem = error.message
            yield KnownKind(kind=point.name, package=package, settings=None, problem=problem)


def usable_kinds() -> dict[str, type[SourceSettings]]:
    """Return the settings class of each kind that a configuration may name."""
    return {known.kind: known.settings for known in known_kinds() if known.settings is not None}


def _entry_points() -> "list[EntryPoint]":
    # The import is here, because the call takes long: it reads the metadata of all packages.
    from importlib.metadata import entry_points

    return sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name)


def _loaded(point: "EntryPoint") -> type[SourceSettings]:
    provided = (
        f"the source kind {point.name} of the package {point.dist.name if point.dist else '?'}"
    )
    try:
        found = point.load()
    except Exception as error:  # noqa: BLE001 -- foreign code may raise any error
        # Messages hide quoted text, which may be a secret. Without quotes, the cause is shown.
        cause = f"{type(error).__name__}: {error}".replace("'", "")
        raise ConfigError(f"{provided} cannot be loaded: {cause}") from None
    if not (isinstance(found, type) and issubclass(found, SourceSettings)):
        raise ConfigError(
            f"{provided} is not a subclass of aemon.config.source_settings.SourceSettings"
        )
    return found


class _AnyKind:
    """The validator of settings of any kind: their key `kind` chooses the class."""

    def __get_pydantic_core_schema__(
        self, _source: Any, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(_validated)

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return handler(_union_of(tuple(usable_kinds().values())).core_schema)


Source = Annotated[SourceSettings, _AnyKind()]
"""Settings of a source of any known kind."""


def _validated(value: object, info: ValidationInfo) -> SourceSettings:
    if isinstance(value, SourceSettings):
        return value
    if not isinstance(value, dict):
        raise PydanticKnownError("model_attributes_type")
    if "kind" not in value:
        raise PydanticKnownError("union_tag_not_found", {"discriminator": "'kind'"})
    kind = value["kind"]
    try:
        settings = settings_class(kind) if isinstance(kind, str) else None
    except ConfigError as error:
        raise AtKeyError("kind", error.message) from None
    if settings is None:
        raise PydanticKnownError(
            "union_tag_invalid",
            {
                "discriminator": "'kind'",
                "tag": str(kind),
                "expected_tags": ", ".join(repr(known) for known in usable_kinds()),
            },
        )
    return _union_of((settings,)).validate_python(value, context=info.context)


@cache
def _union_of(classes: tuple[type[SourceSettings], ...]) -> TypeAdapter[SourceSettings]:
    """Return a validator for settings of these kinds; locations of its errors contain the kind."""
    kinds: Any = Union[classes]  # noqa: UP007 -- the number of classes varies
    return TypeAdapter(Annotated[kinds, Field(discriminator="kind")])
