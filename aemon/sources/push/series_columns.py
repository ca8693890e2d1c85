"""Finds the column that a series of Prometheus fills: by selectors, or by its name and labels."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from aemon.frame import printable

NAME = "__name__"
_NOT_NAMED = frozenset({NAME, "job", "instance"})  # labels that are not part of a column's name
_SELECTOR = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)?\s*(?:\{(.*)\}\s*)?", re.DOTALL)
_MATCHER = re.compile(
    r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)', re.DOTALL
)
_ESCAPED = re.compile(r'\\([\\"])')


@dataclass(frozen=True, slots=True)
class Selector:
    """An instant vector selector of PromQL, such as `requests{code="500"}`."""

    matchers: tuple[tuple[str, str, re.Pattern[str]], ...] = field(default=())

    def takes(self, labels: Mapping[str, str]) -> bool:
        """Return whether the labels of a series match; a missing label counts as empty."""
        return all(
            (pattern.fullmatch(labels.get(name, "")) is not None) is (operator in {"=", "=~"})
            for name, operator, pattern in self.matchers
        )


def read_selector(text: str) -> Selector:
    """Read a selector from a text.

    >>> read_selector('requests{code=~"5.."}').takes({"__name__": "requests", "code": "503"})
    True

    Raises:
        ValueError: the text is not a selector.
    """
    found = _SELECTOR.fullmatch(text)
    if found is None or not text.strip():
        raise ValueError(f'{text!r} is not a selector, such as requests{{code="500"}}')
    matchers = [(NAME, "=", re.compile(re.escape(found[1])))] if found[1] else []
    within, at = (found[2] or "").rstrip(), 0
    while at < len(within):
        one = _MATCHER.match(within, at)
        if one is None:
            raise ValueError(f'{within[at:]!r} in {text!r} is not a matcher, such as code="500"')
        value = _ESCAPED.sub(r"\1", one[3])
        try:
            pattern = re.compile(value if one[2].endswith("~") else re.escape(value), re.DOTALL)
        except re.error as error:
            raise ValueError(f"{value!r} is not a regular expression: {error}") from None
        matchers.append((one[1], one[2], pattern))
        at = one.end()
    if not matchers:
        raise ValueError(f"{text!r} selects every series; name a metric or a label")
    return Selector(tuple(matchers))


def column_of(labels: Mapping[str, str], entity: str | None) -> str:
    """Return the column of a series if no columns are configured: its name and further labels.

    >>> column_of({"__name__": "requests", "code": "500", "job": "shop", "pod": "a"}, "pod")
    'requests{code="500"}'
    """
    others = ",".join(
        f'{name}="{value}"'
        for name, value in sorted(labels.items())
        if name not in _NOT_NAMED and name != entity
    )
    name = labels.get(NAME, "")
    return printable(f"{name}{{{others}}}" if others else name)
