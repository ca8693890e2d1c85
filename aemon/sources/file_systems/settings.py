"""Settings of files: a local path or an address, and the options of its file system."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, PlainValidator, SecretStr, model_validator
from pydantic.json_schema import WithJsonSchema

from aemon.config.values.scalars import AtKeyError
from aemon.sources.readings.settings import ReadingsSettings

MOST_PATH_BYTES = 4096  # the limit of Linux

PACKAGES: dict[str, str] = {
    "s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "abfss": "adlfs",
    "az": "adlfs", "sftp": "paramiko", "ssh": "paramiko", "file": "", "memory": "",
}  # fmt: skip
"""Scheme of an address -> the package that its file system needs in addition to fsspec."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_PASSWORD = re.compile(r"[^/@]*:[^/]*@")

_PLAIN = frozenset(
    {
        "account_name", "addressing_style", "endpoint_url", "host", "host_key_policy", "key_filename",
        "known_hosts", "project", "region_name", "signature_version", "user", "username",
    }
)  # fmt: skip
"""Options with values that are not secret; all other texts are kept as secrets."""


def scheme_of(path: Path | str) -> str:
    """Return the scheme of an address in lower case; empty for a local path.

    >>> scheme_of("s3://plant/exports")
    's3'
    """
    found = _SCHEME.match(path) if isinstance(path, str) else None
    return found[1].lower() if found else ""


def _path_or_address(given: object) -> Path | str:
    if not isinstance(given, str | Path):
        raise ValueError("must be a path or an address such as s3://bucket/folder")  # noqa: TRY004 -- pydantic's
    if len(str(given).encode(errors="replace")) > MOST_PATH_BYTES:
        raise ValueError(f"a path has at most {MOST_PATH_BYTES:,} bytes")
    if "::" in str(given) and "://" in str(given):
        raise ValueError("an address has one file system; chains with :: are not supported")
    scheme = scheme_of(given) if isinstance(given, str) else ""
    if not scheme or isinstance(given, Path):
        return Path(given)
    if scheme not in PACKAGES:
        raise ValueError(
            f"aemon does not read {scheme}://; it reads "
            f"{', '.join(f'{one}://' for one in PACKAGES)}; mount other systems as a folder (rclone mount)"
        )
    place = given.partition("://")[2]
    if _PASSWORD.match(place):
        raise ValueError(
            "an address must not hold a password; write storage: {password: '${file:PATH}'} instead"
        )
    if not place.strip("/"):
        raise ValueError(f"names no file or folder; write for example {scheme}://place/folder")
    return given


PathOrAddress = Annotated[
    Path | str,
    PlainValidator(_path_or_address),
    WithJsonSchema({"type": "string", "format": "path"}),
]
"""A local path, or an address on a file system such as s3://bucket/folder."""


def _hidden(options: Mapping[str, Any]) -> dict[str, Any]:
    return {str(name): _hidden_value(str(name), value) for name, value in options.items()}


def _hidden_value(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return _hidden(value)
    if isinstance(value, list | tuple):
        return [_hidden_value(name, one) for one in value]
    return SecretStr(value) if isinstance(value, str) and name not in _PLAIN else value


class StoredFiles(ReadingsSettings):
    """The common settings of all kinds of files.

    The class of each kind declares `path` again, with its own description.
    """

    path: PathOrAddress
    storage: Annotated[dict[str, Any], AfterValidator(_hidden)] = Field(
        {},
        description="options of the file system of an address, as fsspec names them: {key: "
        "'${S3_KEY}', secret: '${file:s3.secret}'}",
    )

    @model_validator(mode="after")
    def _storage_has_an_address(self) -> Self:
        if self.storage and not scheme_of(self.path):
            raise AtKeyError(
                "storage", "is only for an address such as s3://bucket/folder; path is a local path"
            )
        return self


def revealed(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with their secrets in plain text, for a file system."""
    return {name: _revealed_value(value) for name, value in options.items()}


def _revealed_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return revealed(value)
    if isinstance(value, list):
        return [_revealed_value(one) for one in value]
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def secret_texts(options: Mapping[str, Any]) -> set[str]:
    """Return all secret texts in options, at any depth."""
    found: set[str] = set()
    held: list[Any] = [options]
    while held:
        value = held.pop()
        if isinstance(value, Mapping):
            held += value.values()
        elif isinstance(value, list):
            held += value
        elif isinstance(value, SecretStr):
            found.add(value.get_secret_value())
    return found - {""}
