import re

import pytest
import yaml

from aemon.config import service_settings
from aemon.config.loading import config_schema, example_text, load_config
from aemon.sources.sql.settings import SqlSource


def uncommented():
    """The example with every commented setting switched on."""
    return re.sub(r"(?m)^( *)#(?=[a-z])", r"\1", example_text())


@pytest.fixture
def load(tmp_path):
    def load(text):
        path = tmp_path / "aemon.yaml"
        path.write_text(text)
        return load_config(path, {})

    return load


def test_the_example_loads(load):
    config = load(example_text())
    assert list(config.monitors) == ["pumps"]
    assert isinstance(config.monitors["pumps"].source, SqlSource)


def test_every_default_it_states_is_the_default(load):
    plain, full = load(example_text()), load(uncommented())
    assert full.monitors["pumps"] == plain.monitors["pumps"]
    assert (full.http, full.log) == (
        service_settings.HttpSettings(),
        service_settings.LogSettings(),
    )
    assert full.store.get_secret_value() == config_schema()["properties"]["store"]["default"]
    for monitor_name, monitor in full.monitors.items():
        source = monitor.source
        if monitor_name == "historian":  # shows what has no default
            continue
        for name, field in type(source).model_fields.items():
            if not field.is_required() and name != "table":
                assert getattr(source, name) == field.default


def test_it_mentions_every_key_of_the_schema():
    written = set()

    def walk(value):
        if isinstance(value, dict):
            written.update(value)
            for part in value.values():
                walk(part)
        elif isinstance(value, list):
            for part in value:
                walk(part)

    walk(yaml.safe_load(uncommented()))
    definitions = config_schema()["$defs"].values()
    keys = {key for part in definitions for key in part.get("properties", ())}
    keys -= {"learning", "from_path"}  # the latter is another form of entity
    used = keys | set(config_schema()["properties"])
    assert used - written == set()


def test_every_kind_of_source_is_shown(load):
    kinds = {monitor.source.kind for monitor in load(uncommented()).monitors.values()}
    assert kinds == {
        "sql", "csv", "parquet", "prometheus", "host", "mqtt", "kafka", "opcua", "push",
    }  # fmt: skip
