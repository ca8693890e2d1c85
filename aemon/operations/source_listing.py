"""Lists the kinds of source, with the settings of each kind."""

from dataclasses import dataclass
from typing import Any

from aemon.config.loading import settings_schema
from aemon.config.source_registry import KnownKind, known_kinds
from aemon.config.source_settings import SourceSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceKey:
    """A key of a source's settings.

    Attributes:
        key: the key's name in a configuration.
        required: whether the key must be given.
        default: the value if the key is not given; None without a default.
        description: the meaning of the key.
    """

    key: str
    required: bool
    default: Any
    description: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedSource:
    """A kind of source, as lists of sources show it.

    Attributes:
        kind: name of the kind in a configuration.
        summary: a sentence about the records that the source reads.
        live: whether the source is a stream; the inbox keeps the records of a stream.
        package: installed package that provides the kind; empty for aemon's own kinds.
        problem: why the kind cannot be used; empty if the kind can be used.
        keys: the settings of the kind.
    """

    kind: str
    summary: str
    live: bool
    package: str
    problem: str
    keys: tuple[SourceKey, ...]


def list_sources() -> tuple[ListedSource, ...]:
    """Return all known kinds of source, including unusable kinds; aemon's own kinds come first."""
    return tuple(_listed(known) for known in known_kinds())


def _listed(known: KnownKind) -> ListedSource:
    settings = known.settings
    return ListedSource(
        kind=known.kind,
        summary=(settings.__doc__ or "").partition("\n")[0] if settings else "",
        live=settings.is_stream if settings else False,
        package=known.package,
        problem=known.problem,
        keys=_keys(settings) if settings else (),
    )


def _keys(settings: type[SourceSettings]) -> tuple[SourceKey, ...]:
    schema = settings_schema(settings)
    required = set(schema.get("required", ()))
    return tuple(
        SourceKey(
            key=key,
            required=key in required,
            default=described.get("default"),
            description=settings.model_fields[key].description or "",
        )
        for key, described in schema["properties"].items()
        if key != "kind"
    )
