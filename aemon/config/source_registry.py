"""The kinds of source there are: one line for each of ours, an entry point for those of others.

Kinds are named by text and imported when a configuration asks for them, so that no driver of another
kind is loaded, and the settings of a kind can live beside its source.
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
    """A kind of source, as the registry knows it.

    Attributes:
        kind: its name in a configuration.
        package: the distribution that brings it; empty for our own.
        settings: the class of its settings; None where it cannot be used.
        problem: why it cannot be used; empty where it can.
    """

    kind: str
    package: str
    settings: type[SourceSettings] | None
    problem: str = ""


def settings_class(kind: str) -> type[SourceSettings] | None:
    """Return the class of a kind's settings, None where there is no such kind.

    Raises:
        ConfigError: a package brings the kind, and it cannot be used.
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
    """Return every kind, ours first, then those of installed packages by name."""
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
    # Imported here and asked last: it looks at every installed package.
    from importlib.metadata import entry_points

    return sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name)


def _loaded(point: "EntryPoint") -> type[SourceSettings]:
    brought = (
        f"the source kind {point.name} of the package {point.dist.name if point.dist else '?'}"
    )
    try:
        found = point.load()
    except Exception as error:  # noqa: BLE001 -- code of others, which may raise anything
        # What stands in quotes would be hidden, as a value that may be a secret.
        told = f"{type(error).__name__}: {error}".replace("'", "")
        raise ConfigError(f"{brought} cannot be loaded: {told}") from None
    if not (isinstance(found, type) and issubclass(found, SourceSettings)):
        raise ConfigError(
            f"{brought} is no class made from aemon.config.source_settings.SourceSettings"
        )
    return found


class _AnyKind:
    """Validates settings of whichever kind they name."""

    def __get_pydantic_core_schema__(
        self, _source: Any, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(_validated)

    def __get_pydantic_json_schema__(
        self, _schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return handler(_union_of(tuple(usable_kinds().values())).core_schema)


Source = Annotated[SourceSettings, _AnyKind()]
"""Settings of a source, of any kind that is known."""


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
    """Return a validator of settings of these kinds, in whose errors the kind is part of the place."""
    kinds: Any = Union[classes]  # noqa: UP007 -- as many as there are
    return TypeAdapter(Annotated[kinds, Field(discriminator="kind")])
