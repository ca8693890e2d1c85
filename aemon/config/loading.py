"""From a YAML file to a validated `Config`, or to an error that names file, line and key."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError

from aemon.config.document import Document, read_document
from aemon.config.problems import explain
from aemon.config.schema import Config
from aemon.errors import ConfigError


def load_config(path: Path, env: Mapping[str, str] = os.environ) -> Config:
    """Read, substitute and validate a configuration file.

    Inside text, `${NAME}` and `${NAME:-default}` stand for environment variables and
    `${file:/run/secrets/x}` for a file's content without surrounding white space; `$${` is a
    plain `${`. A relative path there starts at the configuration file's folder. Relative paths
    anywhere else (`sqlite:///plant.db`, a CSV `path`) start at the working directory.

    Raises:
        ConfigError: with one line `file:line: key: problem` for each thing that is wrong.
    """
    document = read_document(path, env)
    return validate(document)


def validate(document: Document) -> Config:
    """The settings a document holds.

    Raises:
        ConfigError: as `load_config`.
    """
    try:
        return Config.model_validate(document.data)
    except ValidationError as error:
        # No cause and no input: either could carry a password into a log.
        problems = explain(error, document)
    raise ConfigError("\n".join(problems)) from None


def config_schema() -> dict[str, Any]:
    """The JSON Schema of a configuration file, for editors and for `aemon config schema`."""
    schema = Config.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "aemon configuration"
    for name, field in Config.model_fields.items():
        if isinstance(field.default, SecretStr):  # a default is no secret
            schema["properties"][name]["default"] = field.default.get_secret_value()
    return schema
