"""Artifacts: detectors as bytes in safetensors format, with JSON in the header, without code."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from safetensors import SafetensorError
from safetensors.numpy import load, save

from aemon.errors import ArtifactError
from aemon.store.schema.tables import artifacts as artifacts_table
from aemon.store.store import Store

_ENTRY = "aemon"  # name of the one entry in the header's metadata; its value is text

FORMAT_VERSION = 2
"""The format of new artifacts. The number grows when older versions cannot read a new format."""

OLDEST_READ = 2
"""The oldest format that is read. Detectors of format 1 used different measures of how unusual a
record is: aemon trains these detectors again and does not read them."""

_HEADER_LENGTH_BYTES = 8  # safetensors: a little-endian length, then this many bytes of JSON


def pack(arrays: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, Any]) -> bytes:
    """Return an artifact of arrays and JSON-compatible metadata; equal input gives equal bytes."""
    contiguous = {name: np.ascontiguousarray(array) for name, array in sorted(arrays.items())}
    noted = {"format_version": FORMAT_VERSION, "detector": metadata}
    # One metadata entry only: safetensors writes several in random order, which changes the hash.
    text = json.dumps(noted, sort_keys=True, allow_nan=False)
    return save(contiguous, metadata={_ENTRY: text})


def digest(content: bytes) -> str:
    """Return the sha256 of an artifact as hexadecimal text; this hash identifies the artifact."""
    return hashlib.sha256(content).hexdigest()


def unpack(content: bytes, sha256: str) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """Return the arrays and the metadata of an artifact.

    Raises:
        ArtifactError: the artifact was changed or cut, or was written by a newer aemon, or has a
            format before `OLDEST_READ`.
    """
    todo = "train again with `aemon train`; the monitor's results stay"
    if digest(content) != sha256:
        raise ArtifactError(f"artifact {sha256[:12]} was changed after it was stored", todo=todo)
    try:
        noted = _noted(content)
        version = noted["format_version"]
        if version > FORMAT_VERSION:
            raise ArtifactError(
                f"artifact {sha256[:12]} has format {version}, this aemon reads {FORMAT_VERSION}",
                todo="install the newer aemon that wrote it, or " + todo,
            )
        if version < OLDEST_READ:
            raise ArtifactError(
                f"artifact {sha256[:12]} has format {version} of an earlier aemon, this aemon reads "
                f"{OLDEST_READ} and later",
                todo="wait: the daemon trains a new detector by itself; or run `aemon train`",
            )
        return load(content), noted["detector"]
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"artifact {sha256[:12]} cannot be read: {error}", todo=todo) from error


def _noted(content: bytes) -> dict[str, Any]:
    length = int.from_bytes(content[:_HEADER_LENGTH_BYTES], "little")
    text = content[_HEADER_LENGTH_BYTES : _HEADER_LENGTH_BYTES + length]
    noted: dict[str, Any] = json.loads(json.loads(text)["__metadata__"][_ENTRY])
    return noted


def artifact(store: Store, sha256: str) -> bytes:
    """Return the content of an artifact.

    Raises:
        ArtifactError: the store does not have the artifact.
        StoreError: the database fails.
    """
    query = sa.select(artifacts_table.c.content).where(artifacts_table.c.sha256 == sha256)
    with store.reading() as connection:
        content = connection.execute(query).scalar()
    if content is None:
        raise ArtifactError(
            f"artifact {sha256[:12]} is missing", todo="train again with `aemon train`"
        )
    return bytes(content)
