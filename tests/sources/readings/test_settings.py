"""What is wrong with settings of readings is said in words."""

import pytest

from aemon.config.loading import load_config
from aemon.errors import ConfigError
from aemon.sources.sql.settings import SqlSource

MONITOR = (
    "monitors: {{rig: {{source: {{kind: sql, url: 'sqlite:///x.db', table: t, time: ts, key: id, "
    "entity: pump, {}}}, score_every: 1m}}}}"
)
PIVOT = "pivot: {name: tag, value: value}"
WRONG = {
    "bucket: {every: 1m, aggregate: {flow: median}}": "must be mean, last, first",
    "bucket: {every: 1m, aggregate: median}": "or one of them for each column",
    "bucket: 0": "a bucket has a length, such as 1m",
    "bucket: 0s": "a bucket has a length, such as 1m",
    "bucket: {every: 0s}": "a bucket has a length, such as 1m",
    "bucket: soon": "is not a duration",
    "bucket: {every: 1m, offset: 1m}": "must be shorter than the bucket",
    "pivot: {name: tag}": "pivot.value",
    "pivot: {name: ts, value: value}": "ts is already the column of the time",
    "pivot: {name: tag, value: pump}": "pump is already the column of the entity",
    "pivot: {name: tag, value: id}": "id is already the column of the key",
    "pivot: {name: tag, value: tag}": "is already the column of the names",
    "quality: {column: q, good: [192]}": "needs pivot or bucket too",
    f"{PIVOT}, quality: {{column: ts}}": "ts is already the column of the time",
    f"{PIVOT}, quality: {{column: q, good: []}}": "good",
    f"{PIVOT}, quality: {{column: q, godo: [1]}}": "unknown key; the keys are column and good",
    f"{PIVOT}, quality: {{flow: {{column: q}}}}": "is the same setting for all tags",
    "quality: {flow: {good: [192]}}": "column: is missing: name the column with the quality",
    "quality: {flow: {column: q, good: []}}": "good: name at least one quality",
    "quality: {flow: {column: ts}}": "ts is already the column of the time",
    "quality: {pump: {column: q}}": "pump is already the column of the entity",
    "quality: {flow: {column: flow}}": "is already the column of the values",
    "gaps: {flow: missing}": "needs pivot or bucket too",
    f"{PIVOT}, gaps: {{flow: zero}}": "must be missing, or {hold: 5m}",
    "bucket: {every: 1m, aggregate: sum}, gaps: {flow: {hold: 5m}}": "cannot be held",
}


@pytest.mark.parametrize(("given", "told"), WRONG.items())
def test_a_mistake_is_said_in_words(tmp_path, given, told):
    path = tmp_path / "aemon.yaml"
    path.write_text(MONITOR.format(given))
    with pytest.raises(ConfigError) as caught:
        load_config(path, {})
    assert told in str(caught.value)


def test_a_bucket_may_be_a_length_alone():
    given = {"url": "x", "table": "t", "time": "ts", "key": "id"}
    assert SqlSource(**given, bucket="1m") == SqlSource(**given, bucket={"every": "1m"})


def test_the_key_may_be_the_tag(tmp_path):
    path = tmp_path / "aemon.yaml"
    path.write_text(MONITOR.format(PIVOT).replace("key: id", "key: tag"))
    assert load_config(path, {}).monitors["rig"].source.pivot.name == "tag"
