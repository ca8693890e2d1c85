"""Templates of messages: Jinja2 in a sandbox. Each template is tested with an example first."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from aemon.message import EXAMPLE, Event

if TYPE_CHECKING:
    from jinja2 import Template

LONGEST_TEXT = 20_000
"""Maximum characters of a rendered message; receivers do not accept longer messages."""


class TemplateError(ValueError):
    """A template that cannot be parsed or filled."""


def render(source: str, variables: Mapping[str, Any]) -> str:
    """Fill a template.

    Raises:
        TemplateError: the template is not valid, uses an unknown variable, or becomes too long.
    """
    import jinja2

    try:
        text = _filled(source, variables)
    except TemplateError:
        raise
    except jinja2.TemplateError as error:
        line = getattr(error, "lineno", None)
        where = f" in its line {line}" if line else ""
        raise TemplateError(f"{error}{where}") from None
    except RecursionError:
        raise TemplateError("never ends: a macro calls itself") from None
    except MemoryError:
        raise TemplateError("needs more memory than is available") from None
    except Exception as error:  # noqa: BLE001 -- filters and methods may raise any error
        raise TemplateError(f"{type(error).__name__}: {error}") from None
    return text


def _filled(source: str, variables: Mapping[str, Any]) -> str:
    """Return the text of a filled template; stop as soon as the text becomes too long."""
    parts: list[str] = []
    length = 0
    for part in _compiled(source).generate(variables):
        parts.append(part)
        length += len(part)
        if length > LONGEST_TEXT:
            raise TemplateError(f"becomes longer than {LONGEST_TEXT} characters")
    return "".join(parts)


def render_json(source: str, variables: Mapping[str, Any]) -> str:
    """Fill a template of JSON.

    Raises:
        TemplateError: the same errors as in `render`, or the result is not JSON.
    """
    text = render(source, variables)
    try:
        json.loads(text)
    except ValueError as error:
        raise TemplateError(
            f"does not give valid JSON: {error}; write values as {{{{ reason | tojson }}}}"
        ) from None
    return text


def try_template(source: str, *, as_json: bool = False) -> None:
    """Check a template: fill it with an example for each event.

    Raises:
        TemplateError: the same errors as in `render` or `render_json`.
    """
    for event in Event:
        variables = {**EXAMPLE.variables(), "event": event.value}
        if as_json:
            render_json(source, {**variables, "text": "text"})
        else:
            render(source, variables)


@lru_cache(maxsize=64)
def _compiled(source: str) -> "Template":
    from jinja2 import StrictUndefined

    from aemon.config.values.bounded_templates import BoundedEnvironment

    environment = BoundedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    return environment.from_string(source)
