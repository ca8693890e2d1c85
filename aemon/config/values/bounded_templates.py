"""The sandbox for message templates, which limits the memory and time that a template uses."""

import re
from collections.abc import Iterable
from functools import wraps
from typing import Any

from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

MOST = 20_000
"""Maximum characters or items that one operation may produce: no message is longer."""

MOST_BITS = 4_096  # maximum size of a number, in bits
_PERCENT = re.compile(r"%(?:\([^)]*\))?[^a-zA-Z%]*(?:\d{5,}|\*)")  # a width in `%99999d`, or `%*d`
_BRACES = re.compile(r"\{[^{}]*(?:\d{5,}|\{)")  # or in `{:99999}`, or `{:{}}`


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """Jinja's sandbox with limits on products, powers, formats and paddings."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for name, filtered in [*self.filters.items()]:
            self.filters[name] = _bounded(name, filtered)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Return the result of an operator.

        Raises:
            SecurityError: the result would be larger than a message needs.
        """
        if operator == "%" and isinstance(left, str):
            _check_width(left, _PERCENT)
        elif operator == "*":
            _check_product(left, right)
        elif operator == "**" and isinstance(left, int) and isinstance(right, int):
            _check_bits(left.bit_length() * right)
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, called: Any, *args: Any, **options: Any) -> Any:
        """Return the result of a function, or of a method of a text value.

        Raises:
            SecurityError: the result would be larger than a message needs.
        """
        method = getattr(called, "__wrapped__", called)  # the sandbox wraps `format`
        text = getattr(method, "__self__", None)
        if isinstance(text, str) and method.__name__.startswith("format"):
            _check_width(text, _BRACES)
        else:
            _check_size([text, *args, *options.values()])
        return super().call(context, called, *args, **options)


def _bounded(name: str, filtered: Any) -> Any:
    """Return a filter that refuses to produce more than a message needs."""
    before = 2 if hasattr(filtered, "jinja_pass_arg") else 1  # the value, and Jinja's own argument

    def bounded(*args: Any, **options: Any) -> Any:
        if name == "format":
            _check_width(str(args[0]), _PERCENT)
        else:
            _check_size([*args[before:], *options.values()])
            _check_size(value for value in args[:before] if isinstance(value, str))
        return filtered(*args, **options)

    return wraps(filtered)(bounded)


def _check_size(values: Iterable[Any]) -> None:
    for value in values:
        size = len(value) if isinstance(value, str) else value if isinstance(value, int) else 0
        if abs(size) > MOST:
            raise SecurityError(f"becomes longer than {MOST} characters or items")


def _check_product(left: Any, right: Any) -> None:
    for sized, times in ((left, right), (right, left)):
        if hasattr(sized, "__len__") and isinstance(times, int) and len(sized) * times > MOST:
            raise SecurityError(f"becomes longer than {MOST} characters or items")
    if isinstance(left, int) and isinstance(right, int):
        _check_bits(left.bit_length() + right.bit_length())


def _check_bits(bits: int) -> None:
    if bits > MOST_BITS:
        raise SecurityError("a number becomes too large")


def _check_width(text: str, wide: re.Pattern[str]) -> None:
    if wide.search(text):
        raise SecurityError("the width in a format is too large, as in {:99999}")
