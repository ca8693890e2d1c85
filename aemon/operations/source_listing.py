"""The kinds of source there are, with the settings of each."""

from dataclasses import dataclass
from typing import Any

from aemon.config.loading import settings_schema
from aemon.config.source_registry import KnownKind, known_kinds
from aemon.config.source_settings import SourceSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceKey:
    """A key of a source's settings.

    Attributes:
        key: its name in a configuration.
        required: whether it must be given.
        default: its value where it is not given; None for none.
        description: what it says.
    """

    key: str
    required: bool
    default: Any
    description: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ListedSource:
    """A kind of source in a list.

    Attributes:
        kind: its name in a configuration.
        summary: what it reads.
        live: records come once and are kept in the inbox; otherwise they are read where they are.
        package: the installed package that brings it; empty for aemon's own.
        problem: why it cannot be used; empty where it can.
        keys: its settings, as a configuration names them.
    """

    kind: str
    summary: str
    live: bool
    package: str
    problem: str
    keys: tuple[SourceKey, ...]


def list_sources() -> tuple[ListedSource, ...]:
    """Return the kinds of source that are known, aemon's own first, and why some cannot be used."""
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
            default=said.get("default"),
            description=settings.model_fields[key].description or "",
        )
        for key, said in schema["properties"].items()
        if key != "kind"
    )
