"""Decoding of Avro values with a schema from a file, without a schema registry."""

import io
import math
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from fastavro import schemaless_reader
from fastavro.schema import load_schema

from aemon.errors import SourceConfigError
from aemon.sources.json_values import UnreadableMessageError

NOT_AVRO = "not_avro"
MOST_BRANCHES = 32  # maximum levels of nesting; a deeper document is not read


def avro_decoder(path: Path, skip_bytes: int) -> Callable[[bytes], Any]:
    """Return a function that decodes the bytes of a value to a document with JSON's types.

    Args:
        path: a file with the schema, as JSON; files in the same folder may define named types.
        skip_bytes: number of bytes before the Avro data.

    Raises:
        SourceConfigError: the file cannot be read, or holds no schema.
    """
    if not path.is_file():
        raise SourceConfigError(f"avro_schema {path} is not a readable file")
    try:
        schema = load_schema(str(path))
    except Exception as error:  # noqa: BLE001 -- a file from outside may raise anything
        raise SourceConfigError(
            f"avro_schema {path} holds no Avro schema: {type(error).__name__}: {error}"
        ) from None

    def decode(value: bytes) -> Any:
        stream = io.BytesIO(value)
        stream.seek(skip_bytes)
        try:
            # Only the schema of the file is used; the writer's schema may differ and is not known.
            document = schemaless_reader(stream, schema, None)
        except Exception:  # noqa: BLE001 -- bytes from outside may raise anything
            raise UnreadableMessageError(NOT_AVRO) from None
        if stream.tell() != len(value):
            raise UnreadableMessageError(NOT_AVRO)  # written with another schema, or cut off
        return _as_json(document, MOST_BRANCHES)

    return decode


def _as_json(value: Any, depth: int) -> Any:
    """Return a value in JSON's types. JSON has no bytes, so bytes become an empty list.

    >>> _as_json({"at": date(2026, 3, 1), "p": Decimal("1.5"), "q": math.nan}, 8)
    {'at': '2026-03-01', 'p': 1.5, 'q': None}
    """
    if not depth:
        raise UnreadableMessageError(NOT_AVRO)
    match value:
        case dict():
            value = {str(name): _as_json(one, depth - 1) for name, one in value.items()}
        case list() | tuple():
            value = [_as_json(one, depth - 1) for one in value]
        case bytes():
            value = []
        case float() | Decimal():
            value = float(value) if math.isfinite(value) else None
        case datetime() | date() | time():
            value = value.isoformat()
        case timedelta():
            value = value.total_seconds()
        case UUID():
            value = str(value)
    return value
