"""The effective configuration as text, without its secrets."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, SecretStr

from aemon.config.shown import HIDDEN
from aemon.operations.installation import Installation

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_QUERY = re.compile(r"(?<=[?&])([^=&\s]+)=[^&\s]+(?=$|&)")
_UNITS = ((86_400, "d"), (3600, "h"), (60, "m"))


def configuration_text(installation: Installation, monitor: str | None = None) -> str:
    """Return the effective configuration as YAML; secrets are three stars, defaults are shown.

    Args:
        installation: the installation.
        monitor: the monitor to show; None for all other settings.

    Raises:
        UnknownMonitorError: there is no such monitor.
    """
    import yaml

    config = installation.config
    if monitor is None:
        plain = {key: each for key, each in _plain(config).items() if key != "monitors"}
    else:
        (name,) = installation.monitors(monitor)
        plain = {"monitors": {name: _plain(config.monitors[name])}}
    text: str = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)
    return text


def _plain(value: Any) -> Any:
    """Return a value of a configuration as plain data; keys without a value are left out."""
    if isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        value = {field.alias or name: getattr(value, name) for name, field in fields.items()}
        value = {key: each for key, each in value.items() if each is not None}
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return _duration(value) if isinstance(value, timedelta) else _without_credentials(str(value))


def _without_credentials(text: str) -> str:
    """Return a text without the credentials of an address and without the values of its query.

    >>> _without_credentials("https://me:secret@host/path?token=abc&x=1")
    'https://***@host/path?token=***&x=***'
    """
    if "://" not in text:
        return text
    return _QUERY.sub(rf"\1={HIDDEN}", _CREDENTIALS.sub(HIDDEN, text))


def _duration(length: timedelta) -> str:
    """Return a duration as a configuration writes it.

    >>> _duration(timedelta(minutes=90)), _duration(timedelta(days=7))
    ('90m', '7d')
    """
    seconds = length.total_seconds()
    for size, unit in _UNITS:
        if seconds and seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:g}s"
