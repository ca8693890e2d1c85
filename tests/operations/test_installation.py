"""An installation opens its results when an operation asks for them, and not before."""

import math
from datetime import UTC, datetime

import pytest

from aemon.config.schema import Config
from aemon.errors import ConfigError, NoResultsError
from aemon.operations.installation import Installation
from aemon.operations.json_form import to_json
from aemon.records import Severity


@pytest.fixture
def config(tmp_path, settings):
    monitors = {"pumps": settings, "fans": settings}
    return Config.model_construct(**{**vars(written(tmp_path, settings)), "monitors": monitors})


def written(folder, settings) -> Config:
    pumps = settings.model_dump(exclude_unset=True)
    store = f"sqlite:///{folder}/aemon.db"
    return Config.model_validate({"store": store, "monitors": {"pumps": pumps}})


def test_without_results_it_says_so_and_makes_none(config, tmp_path):
    with Installation(config) as installation:
        assert installation.monitors(None) == ["pumps", "fans"]
        with pytest.raises(NoResultsError, match="there are no results yet in sqlite:///"):
            assert installation.store
    assert not (tmp_path / "aemon.db").exists()


def test_a_store_that_was_given_stays_open(config, store):
    with Installation(config, store) as installation:
        assert installation.store is store
    with store.reading():
        pass


def test_a_monitor_need_not_be_named_where_there_is_one(config, tmp_path, settings):
    assert Installation(written(tmp_path, settings)).monitor(None) == "pumps"
    with pytest.raises(ConfigError, match="there are several monitors"):
        Installation(config).monitor(None)
    with pytest.raises(ConfigError, match="there is no monitor 'pump'") as refused:
        Installation(config).monitor("pump")
    assert refused.value.todo == "did you mean 'pumps'?"


def test_json_has_no_word_for_what_is_no_number():
    told = to_json({"a": math.nan, "b": (math.inf, 1.5), "c": datetime(2026, 1, 1, tzinfo=UTC)})
    assert told == '{"a": null, "b": [null, 1.5], "c": "2026-01-01T00:00:00+00:00"}'
    assert to_json((Severity.WARNING,)) == '["warning"]'
