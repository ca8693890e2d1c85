"""Paths into a JSON message: a small subset of JSONPath. Each path leads to one value."""

import re
from typing import Any

JsonPath = tuple[str | int, ...]
"""The names and positions that lead to a value, outermost first."""

ABSENT = object()
"""Returned by `value_at` for a path that leads to no value."""

MOST_STEPS = 32

_STEP = re.compile(
    r"""\.(?P<name>[^\W\d][\w-]*)          # .flow
      | \[(?P<place>[0-9]{1,6})\]          # [0]
      | \['(?P<single>[^']+)'\]            # ['flow rate']
      | \["(?P<double>[^"]+)"\]            # ["flow rate"]
    """,
    re.VERBOSE,
)


def read_path(text: str) -> JsonPath:
    """Parse a path such as `$.flow`, `$.values[0].p` or `$['flow rate']`; `$` is the whole message.

    >>> read_path("$.values[0]['flow rate']")
    ('values', 0, 'flow rate')

    Raises:
        ValueError: the text is not a path of this form.
    """
    if not text.startswith("$"):
        raise ValueError(f"{text!r} is not a JSON path: a path must begin with $, such as $.flow")
    steps: list[str | int] = []
    at = 1
    while at < len(text):
        step = _STEP.match(text, at)
        if step is None:
            raise ValueError(
                f"{text!r} cannot be read from {text[at:]!r} on: a path consists of .name, [0] and "
                "['any name'], and names one value; wildcards, slices, filters and .. are not supported"
            )
        place = step["place"]
        steps.append(
            int(place) if place else step["name"] or step["single"] or step["double"] or ""
        )
        at = step.end()
    if len(steps) > MOST_STEPS:
        raise ValueError(f"a path has at most {MOST_STEPS} steps")
    return tuple(steps)


def value_at(path: JsonPath, document: Any) -> Any:
    """Return the value that a path leads to; `ABSENT` if the path leads to no value.

    >>> value_at(("values", 0), {"values": [4.0]}), value_at(("flow",), [1]) is ABSENT
    (4.0, True)
    """
    for step in path:
        match step, document:
            case str(), dict() if step in document:
                document = document[step]
            case int(), list() if step < len(document):
                document = document[step]
            case _:
                return ABSENT
    return document
