"""Messages about the problems of a document: a line `file:line: key: problem` for each problem."""

import difflib
from collections.abc import Callable, Iterable, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from aemon.config.document import Document, KeyPath
from aemon.config.schema import Config
from aemon.config.shown import key_shown, without_values
from aemon.config.source_registry import usable_kinds
from aemon.config.source_settings import SourceSettings
from aemon.config.values.addresses import read_address, read_store_address
from aemon.config.values.scalars import AtKeyError, Settings

_WORDS = {
    "missing": "missing; it must be given",
    "string_type": "must be text; put it in quotes",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "path_type": "must be a path, as text",
    "model_type": "must hold `key: value` pairs",
    "model_attributes_type": "must hold `key: value` pairs",
    "dict_type": "must hold `key: value` pairs",
    "tuple_type": "must be a list, such as [flow, pressure]",
    "greater_than": "must be greater than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "literal_error": "must be one of {expected}",
    "finite_number": "must be a finite number",
}

_PATTERNS = {
    "separator": "must be `blanks`, or one character such as ';', but not a quote or a line end",
    "hosts": "must be a host name without port",
}
"""Key -> the message for a text that does not match the schema's pattern."""

Problem = tuple[int, str]
"""The line of a problem, and its text `key: problem`."""


def in_order(found: Iterable[Problem], document: Document) -> list[str]:
    """Return the text of each problem once, in the order of the file, with file name and line."""
    return [f"{document.name}:{line}: {text}" for line, text in sorted(dict.fromkeys(found))]


def explain(
    error: ValidationError, document: Document, root: type[Settings] = Config
) -> list[Problem]:
    """Return all problems that the validation of a document as `root` found.

    Messages do not show the refused values, because a value may be a secret.
    """
    return [_explain_one(detail, document, root) for detail in error.errors(include_input=False)]


def wrong_addresses(document: Document) -> list[Problem]:
    """Return a problem for each invalid database address; messages show no part of an address."""
    monitors = document.value(("monitors",))
    names = [str(name) for name in monitors] if isinstance(monitors, dict) else []
    sources = [("monitors", name, "source") for name in names]
    places: dict[tuple[str, ...], Callable[[str], object]] = {
        ("store",): read_store_address,
        **{
            (*source, "url"): read_address
            for source in sources
            if document.value((*source, "kind")) == "sql"
        },
    }
    found = []
    for path, read in places.items():
        address = document.value(path)
        try:
            if isinstance(address, str):
                read(address)
        except ValueError as error:
            found.append((document.line(path), f"{key_shown(path)}: {error}"))
    return found


def _explain_one(detail: ErrorDetails, document: Document, root: type[Settings]) -> Problem:
    path, settings, tags = _locate(detail["loc"], root)
    kind, context = detail["type"], detail.get("ctx", {})
    problem = context.get("error")
    if isinstance(problem, AtKeyError):
        path = (*path, *problem.path)
    line = document.line(path)
    if kind == "extra_forbidden":
        known = settings.model_fields if settings else ()
        text = "unknown key" + _nearest(str(path[-1]), known)
    elif kind in {"union_tag_not_found", "union_tag_invalid"}:
        line, text = _wrong_kind(path, context, tags, document)
        path = (*path, "kind")
    elif path in document.lines and document.value(path) is None and kind != "missing":
        text = "has no value; give a value, or remove the key"
    elif kind == "value_error":
        text = without_values(str(problem))
    elif kind == "too_short" and path == ("monitors",):
        text = "name at least one monitor"
    elif kind == "string_pattern_mismatch":
        text = next((_PATTERNS[key] for key in _PATTERNS if key in path), detail["msg"])
    elif kind in _WORDS:
        text = _WORDS[kind].format(**context)
        if kind == "literal_error":
            text += _nearest(
                str(document.value(path)),
                context["expected"].replace("'", "").replace(" or ", ", ").split(", "),
            )
    else:
        text = detail["msg"]
    key = key_shown(path)
    return line, f"{key}: {text}" if key else text


def _wrong_kind(
    path: KeyPath, context: dict[str, Any], kinds: Sequence[str], document: Document
) -> Problem:
    """Return the line and the message for an unknown or missing `kind`."""
    text = f"must be one of {', '.join(kinds)}"
    line = document.line((*path, "kind"))
    if "tag" in context:
        return line, text + _nearest(str(context["tag"]), kinds)
    value = document.value(path)
    near = difflib.get_close_matches(
        "kind", map(str, value) if isinstance(value, dict) else (), n=1
    )
    if not near:
        return line, text
    return document.line((*path, near[0])), f"{text}; did you mean kind where you wrote {near[0]}?"


def _nearest(word: str, choices: Iterable[str]) -> str:
    near = difflib.get_close_matches(word, list(choices), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _locate(
    location: tuple[int | str, ...], root: type[Settings]
) -> tuple[KeyPath, type[Settings] | None, Sequence[str]]:
    """Return the path of the key with a validation error, and the settings class of this key.

    The third result has the names of the kinds of settings that the key can hold, if any.

    pydantic also puts the chosen member of a union into the location; this is not a key of the
    file.
    """
    path: list[int | str] = []
    kind: Any = root
    around: type[Settings] | None = None
    for part in location:
        members = [member for member in _members(kind) if isinstance(member, type)]
        chosen = [m for m in members if issubclass(m, Settings) and _tag(m) == part]
        if len(members) > 1 and chosen:
            kind = chosen[0]
            continue
        if part == "[key]":
            break
        path.append(part)
        around = next((m for m in members if issubclass(m, Settings)), None)
        if around is not None:
            field = around.model_fields.get(str(part))
            kind = field.annotation if field else None
        else:
            arguments = get_args(kind)
            kind = arguments[-1] if arguments else None
    tags = [_tag(m) for m in _members(kind) if isinstance(m, type) and issubclass(m, Settings)]
    return tuple(path), around, [tag for tag in tags if tag]


def _members(kind: Any) -> tuple[Any, ...]:
    if kind is SourceSettings:
        return tuple(usable_kinds().values())
    if get_origin(kind) is Annotated:
        return _members(get_args(kind)[0])
    if get_origin(kind) in {Union, UnionType}:
        return get_args(kind)
    return (kind,)


def _tag(settings: type[Settings]) -> str | None:
    field = settings.model_fields.get("kind")
    if field is None or get_origin(field.annotation) is not Literal:
        return None
    return str(get_args(field.annotation)[0])
