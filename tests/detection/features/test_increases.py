"""Counters are judged by their increase: resets, gaps and restarts known; row numbers left out."""

import json

import numpy as np
import pandas as pd
import pytest

from aemon.config.column_settings import ColumnSettings
from aemon.config.learning_settings import LearningSettings
from aemon.config.threshold_settings import ThresholdSettings
from aemon.detection.detector import Detector
from aemon.detection.drift.column_drift import reference
from aemon.detection.features.feature_fitting import fit_features
from aemon.detection.features.increases import Counter, Counts, increases
from aemon.detection.learning import train_detector
from aemon.frame import Frame

START = np.datetime64("2026-03-01", "us")
MINUTE = np.timedelta64(1, "m")
METER = Counter(column="energy", pause=60.0)
NOBODY = np.full(400, "", dtype=object)


def gained(numbers, entities=None, minutes=None, before=None):
    cells = np.array(numbers, dtype=float)[:, None]
    entities = NOBODY[: len(cells)] if entities is None else np.array(entities, dtype=object)
    times = START + np.array(range(len(cells)) if minutes is None else minutes) * MINUTE
    found, after = increases(cells, entities, times, [METER], before)
    return found[:, 0].tolist(), after


@pytest.mark.parametrize(
    ("numbers", "minutes", "expected"),
    [
        ([10, 12, 15], None, [np.nan, 2, 3]),
        ([10, 12, 3, 5], None, [np.nan, 2, np.nan, 2]),  # a reset
        ([10, np.nan, 16], None, [np.nan, np.nan, 3]),  # in two pauses
        ([10, 16, 19], [0, 2, 3], [np.nan, 3, 3]),  # a gap
        ([10, 11, 12], [0, 0, 1], [np.nan, np.nan, 1]),  # twice at one time
        ([10, 14, 12], [0, 2, 1], [np.nan, 2, np.nan]),  # late
    ],
)
def test_an_increase_is_told_over_the_usual_pause(numbers, minutes, expected):
    np.testing.assert_allclose(gained(numbers, minutes=minutes)[0], expected)


def test_each_entity_counts_for_itself():
    found, _ = gained([10, 100, 12, 105, 15], ["a", "b", "a", "b", "a"], [0, 0, 1, 1, 2])
    np.testing.assert_allclose(found, [np.nan, np.nan, 2, 5, 3])


@pytest.mark.parametrize("size", [1, 2, 7])
def test_pieces_are_counted_as_the_whole(size):
    rng = np.random.default_rng(0)
    numbers = np.cumsum(rng.exponential(size=60))
    numbers[rng.random(60) < 0.1] = np.nan
    entities = rng.choice(["a", "b"], 60)
    whole, _ = gained(numbers, entities)
    found, counts = [], Counts()
    for start in range(0, 60, size):
        part = slice(start, start + size)
        counts = Counts.from_json(json.loads(json.dumps(counts.as_json())))
        piece, counts = gained(numbers[part], entities[part], range(start, 60)[:size], counts)
        found += piece
    np.testing.assert_allclose(found, whole)


@pytest.mark.parametrize(
    "noted",
    [None, [], {"a": 3}, {"a": {"energy": [1]}}, {"a": {"energy": ["x", "2026-01-01"]}},
     {"a": {"energy": [1.0, "soon"]}}, {"a": {"energy": [float("nan"), "2026-01-01"]}},
     {"a": {"energy": [1.0, "NaT"]}}],
)  # fmt: skip
def test_junk_is_the_count_of_nobody(noted):
    assert not Counts.from_json(noted).by_entity


def plant(count: int, seed: int, *, still: slice = slice(0, 0), reset: int = 0) -> pd.DataFrame:
    """A load, the energy it takes, and a number for each row."""
    rng = np.random.default_rng(seed)
    load = 3 + np.convolve(rng.normal(size=count + 19), np.ones(20) / 10, "valid")
    used = np.maximum(10 * load + 0.5 * rng.normal(size=count), 0)
    used[still] = 0
    energy = 12_345 + np.cumsum(used)
    if reset:
        energy[reset:] -= energy[reset] - 3
    seconds = 1_770_000_000 + 60 * np.arange(count)
    columns = {"load": load, "energy": energy.round(1), "row": np.arange(count), "unix": seconds}
    return pd.DataFrame(columns)


def frame_of(values: pd.DataFrame, entities=None) -> Frame:
    count = len(values)
    return Frame(
        times=START + np.arange(count) * MINUTE,
        keys=np.arange(count).astype(str).astype(object),
        entities=np.full(count, "", dtype=object) if entities is None else entities,
        values=values,
    )


@pytest.fixture(scope="module")
def detector() -> Detector:
    settings = LearningSettings(threshold=ThresholdSettings(false_alarm_rate=0.005))
    fitted = train_detector(frame_of(plant(2_000, 0)), settings, seed=0)
    arrays, metadata = fitted.state()
    return Detector.from_state(arrays, json.loads(json.dumps(metadata)))


def test_a_meter_is_judged_by_its_increase_and_numbers_of_rows_are_not(detector):
    kinds = {report.column: report.kind for report in detector.feature_map.columns}
    assert kinds == {"load": "numeric", "energy": "counter", "row": "ignored", "unix": "ignored"}
    assert detector.feature_map.counters == (METER,)


def test_a_meter_that_stops_is_flagged_and_one_that_was_replaced_is_not(detector):
    looked = detector.look(frame_of(plant(900, 1, still=slice(500, 510), reset=700)))
    flagged = looked.judgement.anomalous
    assert flagged[500:510].all()
    assert not flagged[700:720].any()
    assert flagged[:500].mean() <= 0.02
    told = looked.explain(np.array([503]))[0]
    assert told.reason.startswith("energy rose by 0 where 2")
    assert told.observed["energy"] == 0


def test_records_in_pieces_score_as_in_one(detector):
    frame = frame_of(plant(300, 2))
    whole, past, found = detector.judge(frame).scores, None, []
    for start in range(0, 300, 37):
        judged = detector.look(frame.take(slice(start, start + 37)), past).judgement
        past = judged.past
        found += judged.scores.tolist()
    np.testing.assert_allclose(found, whole, rtol=1e-3)


def test_a_total_is_no_drift(detector):
    frame = frame_of(plant(2_000, 0))
    assert [bins.column for bins in reference(frame, detector.feature_map).bins] == ["load"]


def test_what_numbers_the_records_of_all_entities_is_left_out():
    rng = np.random.default_rng(0)
    entities = rng.choice(np.array(["a", "b", "c"], dtype=object), 600)
    values = pd.DataFrame({"key": np.arange(600) + 7, "level": rng.normal(size=600)})
    learned = fit_features(frame_of(values, entities), ColumnSettings(), in_order=True)
    assert learned.scaled == ("level",)


def test_where_order_means_nothing_a_counter_is_left_out():
    learned = fit_features(frame_of(plant(500, 0)), ColumnSettings())
    assert learned.scaled == ("load",)


def test_a_person_may_say_so_or_not():
    frame = frame_of(plant(500, 0))
    as_it_is = ColumnSettings(kinds={"energy": "numeric"})
    assert fit_features(frame, as_it_is, in_order=True).counters == ()
    said = ColumnSettings(kinds={"row": "counter"})
    assert "row" in fit_features(frame, said, in_order=True).counted
