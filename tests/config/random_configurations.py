"""Configurations as nobody would write them: every setting there is, with values of every kind."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from aemon.config.values.cron import Cron
from aemon.config.values.scalars import Settings

ODD = [
    # YAML of its own kinds
    "!!bool x", "!!bool maybe", '!!int ""', "!!int x", '!!float ""', "!!float x", "!!timestamp x",
    "!!null x", "!!binary x", "!!binary '====='", "!!omap 5", "!!set {a}", "!!pairs [1]", "!!python/object:os.system x",
    "!own x", "! x", "!!str 5", "!!str [x]", "!!map x", "!!seq x", "!!merge x", "2001-99-99", "2001-12-14t21:59:43.10-05:00",
    "2001-02-30", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "1_000", "0b2", "0o9", "0x", "1:99:99", "<<", "=",
    # numbers
    "0", "-1", "1", "1e23", "1e-320", "5e-324", "1e400", ".inf", "-.inf", ".nan", "9" * 30, "9" * 5000, "0x" + "f" * 300,
    "9223372036854775807", "9223372036854775808", "-9223372036854775809", "0.5", "1.0", "true", "no", "~", "",
    # texts
    "'0s'", "999999999d", "36500d", "1ms", "0.0000001ms", "9e9d", "-5m", "1d1d", "99999999999w", "'* * * * *'", "'0 0 30 2 *'",
    "'0 0 29 2 *'", "'0 0 31 * 1'", "'99 * * * *'", "'*/0 * * * *'", "@yearly", "@daily", "never", "forever", "auto", "1e9/day", "0/day",
    "5e-324/day", "'3/day'", "'3/second'", "-5", "5MB", "0MB", "99999999GB", "1e9GB", "'%Y'", "'%d.%m.%Y %H:%M'", "'%'",
    "'%Q'", "'%Y-%m-%d %Q'", "UTC", "Europe/Nowhere", "../../etc/passwd", "/etc", "''", "' '", '"\\0"', '"\\ud800"', '"\\uD83D\\uDE00"',
    '"a\\nb"', '"\\u2028"', '"\\x85"', "'" + "x" * 300 + "'", "'" + "(" * 300 + "'", "'(a+)+$'", "'['", "'(?P<a>x)(?P<a>y)'", "utf-8", "idna", "base64",
    "rot13", "undefined", "'127.0.0.1:9464'", "'::1'", "'[::1]:0'", "'host:99999'", "':'", "'http://[::1'", "'http://a:b@c/'",
    "'http://a:99999/'", "'https://x/'", "'sqlite://'", "'sqlite:///x'", "'postgresql://u:p@h:x/d'", "'oracle://'", "'://'", "'postgresql://[::1/x'",
    # references and templates
    "${NOT_SET}", "${NOT_SET:-x}", "${}", "${file:}", "${file:nowhere}", "${file:.}", "${file:/dev/zero}", "${file:/dev/null}",
    "${file:secret}", "${file:bytes}", "${file:nul}", "${file:fifo}", "${file:large}", '"${file:a\\0b}"', '"${file:\\ud800}"', "'${file:" + "x" * 3000 + "}'", "'${'", "$${x}", "'{{ x'",
    "'{% if %}'", "'{{ 1 / 0 }}'", "'{{ [].x.y }}'", "'{{ range(10**9) | list }}'", "'{{ \"x\" * 10**10 }}'", "'{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}'",
    "'{% include \"x\" %}'", "'{% for x in ().__class__.__base__.__subclasses__() %}{% endfor %}'", "'{{ reason }}'", "'{{ 9**9**9 }}'", "'{{ \"%s\" | format }}'",
    # shapes
    "[]", "{}", "[[]]", "[x, x]", "[1, .nan]", "[~]", "{x: 1}", "{x: {y: z}}", "{~: 1}", "{1: 2}", "{[a]: b}", "{x: 1, x: 2}",
    "*nowhere", "&a [*a]", "&a {<<: *a}", "{<<: 5}", "{<<: [1]}", "{<<: {kind: host}}", "[" * 60 + "]" * 60, "{x: " * 60 + "1" + "}" * 60, "[" * 500 + "]" * 500,
    "[" + "x, " * 500 + "]", "| \n  a", "- x", "@", "`", "%", "'", '"', "[", "{", "}", "? x", "\t", "x: y: z", "# only a remark",
]  # fmt: skip
FITTING: dict[Any, list[str]] = {
    bool: ["true", "false"],
    int: ["0", "1", "50", "1000", "1000000000", "9223372036854775807", "4GB", "1000000GB"],
    float: ["0", "1", "0.5", "0.1", "0.4999999", "1e-9", "5e-324", "1e30", "1000000"],
    str: ["x", "'{{ reason }}'", "UTC", "Pacific/Apia", "https://example.org/x", "127.0.0.1:0", "3/day", "99999999999999999999/week", "0.0000000000000000001/week", "'%Y-%m-%d'", "excel", "cp1252", "blanks", "'${NOT_SET:-7}'"],
    timedelta: ["5m", "1ms", "30s", "36500d", "1d", "'*/7 3 29 2 *'", "'0 0 31 * 1'", "@daily", "never", "forever", "auto"],
    Cron: ["'0 2 * * 0'", "'0 0 29 2 *'"],
    datetime: ["2026-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59"],
    tuple: ["[]", "[x]", "[1, 2]", "[-999, Bad]"],
    dict: ["{}", "{one: x}", "{one: 1}", "{one: high}"],
}  # fmt: skip
_CORRUPT = ["\0", "\t", "\ufeff", "\ud800", "\x85", "\u2028", "'", '"', ":", "- ", "{", "]", "&a ", "*a ", "\n", "\r", "---\n", "...\n", "%YAML 9.9\n", "\xe4"]  # fmt: skip

Path = tuple[str, ...]
Place = tuple[Path, list[str]]
"""Where a value may stand, and values of its kind."""


def settings_within(kind: Any, at: Path = ()) -> Iterator[Place]:
    """Yield every place below settings of a kind; names are made up."""
    if isinstance(kind, type) and issubclass(kind, Settings):
        for name, field in kind.model_fields.items():
            here = (*at, name)
            yield here, [*_fitting(field.annotation), "~", "{}"]
            yield from settings_within(field.annotation, here)
    elif get_origin(kind) is Annotated:
        yield from settings_within(get_args(kind)[0], at)
    elif get_origin(kind) in {Union, UnionType}:
        for one in get_args(kind):
            yield from settings_within(one, at)
    elif get_origin(kind) is dict:
        yield (*at, "one"), _fitting(get_args(kind)[1])
        yield from settings_within(get_args(kind)[1], (*at, "one"))


def _fitting(kind: Any) -> list[str]:
    origin = get_origin(kind)
    if origin is Literal:
        return [str(value) for value in get_args(kind)]
    if origin is Annotated:
        return _fitting(get_args(kind)[0])
    if origin in {Union, UnionType}:
        return [value for one in get_args(kind) for value in _fitting(one)]
    return FITTING.get(origin or kind, ["x"])


def made(seed: int, base: dict[str, Any], places: list[Place]) -> bytes:
    """Return the text of a configuration: a good one in which a few things are changed."""
    pick = random.Random(seed)
    tree = _copy(base)
    for _ in range(pick.choice([1, 1, 1, 1, 2, 3])):
        path, fitting = pick.choice(places)
        _put(tree, path, pick.choice(pick.choice([ODD, fitting, fitting, fitting])))
    text = _written(tree)
    if pick.random() < 0.1:
        for _ in range(pick.randint(1, 3)):
            at = pick.randrange(len(text))
            text = text[:at] + pick.choice(_CORRUPT) + text[at + pick.choice([0, 0, 1, 5]) :]
    written = text.encode("utf-8", "surrogatepass")
    if pick.random() < 0.02:
        written = written.decode("utf-8", "replace").encode(pick.choice(["utf-16", "latin-1"]), "replace")  # fmt: skip
    return written


def _copy(tree: Any) -> Any:
    return {key: _copy(value) for key, value in tree.items()} if isinstance(tree, dict) else tree


def _put(tree: dict[str, Any], path: Path, value: str) -> None:
    for key in path[:-1]:
        if not isinstance(tree.get(key), dict):
            tree[key] = {}
        tree = tree[key]
    tree[path[-1]] = value


def _written(tree: dict[str, Any], indent: str = "") -> str:
    lines = []
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            lines.append(f"{indent}{key}:\n{_written(value, indent + '  ')}")
        else:
            lines.append(f"{indent}{key}: {'{}' if value == {} else value}\n")
    return "".join(lines)
