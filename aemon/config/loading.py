"""Loads a YAML file as a validated `Config`; errors name file, line and key."""

import os
from collections.abc import Mapping
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic.json_schema import GenerateJsonSchema

from aemon.clock import format_duration
from aemon.config.document import Document, read_document
from aemon.config.problems import explain, in_order, wrong_addresses
from aemon.config.schema import Config
from aemon.config.values.scalars import Settings
from aemon.errors import ConfigError


def load_config(path: Path, env: Mapping[str, str] = os.environ) -> Config:
    """Read, substitute and validate a configuration file.

    Inside text, `${NAME}` and `${NAME:-default}` are replaced by environment variables, and
    `${file:/run/secrets/x}` is replaced by a file's content without surrounding white space. A
    `$${` in the file stands for the text `${`. Relative paths in `${file:...}` and under `http`
    start at the folder of the configuration file. All other relative paths
    (`sqlite:///plant.db`, a CSV `path`) start at the working directory.

    Raises:
        ConfigError: the configuration is not valid; the message has a line
            `file:line: key: problem` for each problem.
    """
    document = read_document(path, env)
    return validate(document)


def validate(document: Document) -> Config:
    """Return the validated settings of a document.

    Raises:
        ConfigError: the same error as in `load_config`.
    """
    found = wrong_addresses(document)
    try:
        config = Config.model_validate(
            document.data, context={"folder": Path(document.name).parent}
        )
    except ValidationError as error:
        # The error has no cause and no input, because both could put a password into a log.
        found += explain(error, document)
    if found:
        raise ConfigError("\n".join(in_order(found, document)))
    return config


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema of a configuration, for editors and for `aemon config schema`."""
    schema = Config.model_json_schema(schema_generator=_Schema)
    schema["$schema"] = _Schema.schema_dialect
    schema["title"] = "aemon configuration"
    return schema


def settings_schema(settings: type[Settings]) -> dict[str, Any]:
    """Return the JSON Schema of a part of the configuration."""
    return settings.model_json_schema(schema_generator=_Schema)


class _Schema(GenerateJsonSchema):
    """A generator of JSON Schema with defaults in the form that a person writes."""

    def encode_default(self, dft: Any) -> Any:
        if isinstance(dft, timedelta):
            return format_duration(dft)
        if isinstance(dft, SecretStr):  # a default value is public, not a secret
            return dft.get_secret_value()
        return super().encode_default(dft)


def example_text() -> str:
    """Return a small `aemon.yaml` that works, and has all further keys as comments."""
    return files("aemon.config").joinpath("example.yaml").read_text(encoding="utf-8")
