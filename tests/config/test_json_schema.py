"""The JSON Schema for editors accepts what the loader accepts, and refuses what it refuses."""

import re

import pytest
import yaml

from aemon.config.loading import config_schema, load_config
from aemon.errors import ConfigError
from tests.config.test_loading import MINIMAL

_TYPES = {
    "string": str, "integer": int, "number": (int, float), "object": dict, "array": list,
    "boolean": bool, "null": type(None),
}  # fmt: skip
_ANNOTATIONS = {
    "$defs", "$schema", "title", "description", "default", "examples", "format", "writeOnly",
    "discriminator",
}  # fmt: skip


def fits(value, schema, root) -> bool:
    """As much of JSON Schema 2020-12 as the configuration's schema uses; anything else fails."""
    unknown = set(schema) - _ANNOTATIONS - set(_RULES)
    assert not unknown, f"no rule here for {unknown}"
    return all(
        rule(value, schema[word], schema, root) for word, rule in _RULES.items() if word in schema
    )


def _is(value, kind):
    return isinstance(value, _TYPES[kind]) and not (isinstance(value, bool) and kind != "boolean")


def _count(value, schemas, root):
    return sum(fits(value, schema, root) for schema in schemas)


def _properties(value, properties, _schema, root):
    if not isinstance(value, dict):
        return True
    return all(fits(value[key], properties[key], root) for key in properties if key in value)


def _additional(value, allowed, schema, root):
    if not isinstance(value, dict):
        return True
    more = [value[key] for key in value if key not in schema.get("properties", {})]
    return not more if allowed is False else all(fits(part, allowed, root) for part in more)


def _number(value):
    return isinstance(value, int | float)


_RULES = {
    "$ref": lambda v, ref, _, root: fits(v, root["$defs"][ref.rpartition("/")[2]], root),
    "type": lambda v, kind, *_: _is(v, kind),
    "const": lambda v, const, *_: v == const,
    "enum": lambda v, choices, *_: v in choices,
    "anyOf": lambda v, parts, _, root: _count(v, parts, root) > 0,
    "oneOf": lambda v, parts, _, root: _count(v, parts, root) == 1,
    "allOf": lambda v, parts, _, root: _count(v, parts, root) == len(parts),
    "not": lambda v, part, _, root: not fits(v, part, root),
    "required": lambda v, keys, *_: not isinstance(v, dict) or set(keys) <= set(v),
    "properties": _properties,
    "additionalProperties": _additional,
    "items": lambda v, part, _, root: (
        not isinstance(v, list) or all(fits(x, part, root) for x in v)
    ),
    "pattern": lambda v, text, *_: not isinstance(v, str) or re.search(text, v) is not None,
    "minimum": lambda v, least, *_: not _number(v) or v >= least,
    "maximum": lambda v, most, *_: not _number(v) or v <= most,
    "exclusiveMinimum": lambda v, least, *_: not _number(v) or v > least,
    "exclusiveMaximum": lambda v, most, *_: not _number(v) or v < most,
    "minLength": lambda v, least, *_: not isinstance(v, str) or len(v) >= least,
    "maxLength": lambda v, most, *_: not isinstance(v, str) or len(v) <= most,
    "minItems": lambda v, least, *_: not isinstance(v, list) or len(v) >= least,
    "maxItems": lambda v, most, *_: not isinstance(v, list) or len(v) <= most,
    "minProperties": lambda v, least, *_: not isinstance(v, dict) or len(v) >= least,
}


@pytest.fixture
def told(tmp_path):
    """What the schema and the loader say of a text: (fits, loads)."""

    def told(text):
        path = tmp_path / "aemon.yaml"
        path.write_text(text)
        try:
            load_config(path, {"X": "30s"})
            loads = True
        except ConfigError:
            loads = False
        return fits(yaml.safe_load(text), config_schema(), config_schema()), loads

    return told


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("30s", "30s"),
        ("30s", "1h30m"),
        ("30s", "' 1h 30m '"),
        ("30s", "0.5s"),
        ("30s", "${X}"),
        ("table: readings", "query: SELECT 1"),
        ("table: readings", "table: readings, query: null"),
        ("30s", "30s\n    threshold: {alarm_budget: 3/day}"),
        ("30s", "30s\n    threshold: {alarm_budget: 0.5 / week}"),
        ("30s", "30s\n    threshold: {alarm_budget: 3/day, false_alarm_rate: null}"),
        ("30s", "30s\n    threshold: {false_alarm_rate: 0.01}"),
        ("30s", "30s\n    threshold: {method: evt, critical_rate: 0.0001, per_entity: false}"),
        ("30s", "30s\n    threshold: {method: fixed, value: 2}"),
        ("30s", "30s\n    threshold: {method: fixed, value: 2, critical_rate: 0.1}"),
        ("30s", "30s\n    threshold: {method: sigma, value: null, batch_fdr: 0.1}"),
        ("30s", "30s\n  m:\n    source: {kind: host}\n    score_every: 1m"),
        ("30s", "30s\n  c:\n    source: {kind: csv, path: x, time: t}\n    score_every: 1m"),
        ("30s", "30s\nhttp: {listen: 127.0.0.1:65535}"),
        ("30s", "30s\nhttp: {listen: '[::1]:0'}"),
        ("30s", "30s\ntrainings_at_once: 2"),
    ],
)
def test_what_loads_fits(told, old, new):
    assert told(MINIMAL.replace(old, new)) == (True, True)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("kind: sql, ", ""),
        ("kind: sql", "kind: csv"),
        ("30s", "30s\n  m:\n    source: {}\n    score_every: 1m"),
        ("30s", "30s\n  m:\n    source: {sample_every: 1s}\n    score_every: 1m"),
        ("30s", "30"),
        ("30s", "0s"),
        ("30s", "soon"),
        ("30s", "30s ago"),
        ("table: readings, ", ""),
        ("table: readings", "table: readings, query: SELECT 1"),
        ("30s", "30s\n    threshold: {alarm_budget: about 3/day}"),
        ("30s", "30s\n    threshold: {alarm_budget: 3/days}"),
        ("30s", "30s\n    threshold: {alarm_budget: 0/day}"),
        ("30s", "30s\n    threshold: {alarm_budget: 3/day, false_alarm_rate: 0.1}"),
        ("30s", "30s\n    threshold: {method: median}"),
        ("30s", "30s\n    threshold: {method: fixed}"),
        ("30s", "30s\n    threshold: {method: fixed, value: 0}"),
        ("30s", "30s\n    threshold: {method: fixed, value: 2, false_alarm_rate: 0.1}"),
        ("30s", "30s\n    threshold: {method: fixed, value: 2, alarm_budget: 3/day}"),
        ("30s", "30s\n    threshold: {method: fixed, value: 2, batch_fdr: 0.1}"),
        ("30s", "30s\n    threshold: {value: 2}"),
        ("30s", "30s\n    threshold: {method: sigma, value: 2}"),
        ("30s", "30s\n    threshold: {batch_fdr: 0.5}"),
        ("30s", "30s\n    threshold: {per_entity: 2}"),
        ("30s", "30s\n    min_records: yes"),
        ("30s", "30s\nhttp: {listen: localhost}"),
        ("30s", "30s\nhttp: {listen: '127.0.0.1:65536'}"),
        ("30s", "30s\nhttp: {listen: ':9464'}"),
        ("30s", "30s\ntrainings_at_once: 0"),
    ],
)
def test_what_does_not_load_does_not_fit(told, old, new):
    text = MINIMAL.replace(old, new)
    assert text != MINIMAL
    assert told(text) == (False, False)


def test_the_schema_names_its_dialect():
    assert config_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
