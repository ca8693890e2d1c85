"""Converts results of operations to JSON, in the same way for `--json` and for the web API."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def to_json(result: Any, *, indent: int | None = None) -> str:
    """Return a result as JSON text."""
    try:
        # The encoder is fast, but knows no infinite numbers, and no names that are not text.
        return json.dumps(result, indent=indent, allow_nan=False, default=_part)
    except (TypeError, ValueError):
        return json.dumps(plain(result), indent=indent, allow_nan=False)


def _part(value: Any) -> Any:
    """Return a value that JSON does not know in the form of `plain`, but not its parts."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): each for key, each in value.items()}
    return list(value) if isinstance(value, set | frozenset) else plain(value)


def plain(value: Any) -> Any:
    """Return a value converted to JSON's types.

    Dataclasses become objects, and times become ISO 8601 text. A number that is not finite becomes
    null, because JSON has no such numbers.

    >>> plain({"rate": float("nan"), "columns": ("flow", "pressure")})
    {'rate': None, 'columns': ['flow', 'pressure']}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    isoformat: Callable[[], str] | None = getattr(value, "isoformat", None)
    return isoformat() if isoformat else str(value)
