"""Derived columns: differences, means and spreads over the last records of an entity."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from aemon.config.column_settings import ColumnSettings, DerivedColumn
from aemon.config.detector_settings import DetectorSettings
from aemon.detection.derived_columns import (
    Derivation,
    fit_derivation,
    latest_as_json,
    latest_from_json,
    without_derived,
)
from aemon.detection.detector import Detector
from aemon.detection.features.feature_fitting import describe_columns
from aemon.detection.learning import LearningSettings, train_detector
from aemon.detection.past import Past
from aemon.errors import FrameError
from aemon.frame import Frame

MINUTE = np.timedelta64(1, "m")
WAYS = {
    "change": {"difference": "x"},
    "far": {"difference": "x", "records": 3},
    "usual": {"mean": "x", "records": 4},
    "noise": {"spread": "x", "records": 4},
}


def frame_of(numbers, *, entities=None, minutes=None, name: str = "x") -> Frame:
    count = len(numbers)
    after = np.arange(count) if minutes is None else np.asarray(minutes)
    return Frame(
        times=np.datetime64("2026-01-01", "us") + after * MINUTE,
        keys=np.arange(count).astype(str).astype(object),
        entities=np.array(["a"] * count if entities is None else entities, dtype=object),
        values=pd.DataFrame({name: numbers}),
    )


def derivation(ways=None, gap: int = 5) -> Derivation:
    columns = {name: DerivedColumn(**way) for name, way in (ways or WAYS).items()}
    return Derivation(columns=columns, longest_gap=np.timedelta64(gap, "m"))


def test_each_way_by_hand():
    table = derivation().add(frame_of([1.0, 4.0, 2.0, 8.0, 5.0]))[0].values
    np.testing.assert_array_equal(table["change"], [np.nan, 3, -2, 6, -3])
    np.testing.assert_array_equal(table["far"], [np.nan, np.nan, np.nan, 7, 1])
    np.testing.assert_allclose(table["usual"], [np.nan, 2.5, 7 / 3, 15 / 4, 19 / 4])
    expected = [np.nan, *(np.std([1.0, 4, 2, 8, 5][max(0, n - 3) : n + 1]) for n in range(1, 5))]
    np.testing.assert_allclose(table["noise"], expected)


def test_a_missing_cell_has_no_difference_and_is_left_out_of_means():
    table = derivation().add(frame_of([1.0, None, 2.0, "bad", 6.0, 8.0]))[0].values
    assert table["change"].isna().tolist() == [True, True, True, True, True, False]
    np.testing.assert_allclose(table["usual"], [np.nan, np.nan, 1.5, 1.5, 4, 16 / 3])


def test_entities_gaps_and_periods_are_kept_apart():
    both = frame_of([1.0, 10.0, 2.0, 30.0], entities=["a", "b", "a", "b"])
    change = derivation().add(both)[0].values["change"]
    np.testing.assert_array_equal(change, [np.nan, np.nan, 1, 20])
    gap = frame_of([1.0, 2.0, 4.0], minutes=[0, 1, 7])
    np.testing.assert_array_equal(derivation().add(gap)[0].values["change"], [np.nan, 1, np.nan])
    periods = replace(frame_of([1.0, 2.0, 4.0]), stretches=np.array([0, 0, 1]))
    np.testing.assert_array_equal(
        derivation().add(periods)[0].values["change"], [np.nan, 1, np.nan]
    )


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_chunks_and_restarts_change_nothing(data):
    count = data.draw(st.integers(1, 40))
    cells = st.none() | st.floats(-1e9, 1e9)
    numbers = data.draw(st.lists(cells, min_size=count, max_size=count))
    entities = data.draw(st.lists(st.sampled_from("abc"), min_size=count, max_size=count))
    pauses = data.draw(st.lists(st.integers(1, 9), min_size=count, max_size=count))
    frame = frame_of(
        pd.array(numbers, dtype="Float64"), entities=entities, minutes=np.cumsum(pauses)
    )
    whole, end = derivation().add(frame)
    border = data.draw(st.integers(0, count))
    first, latest = derivation().add(frame.take(slice(0, border)))
    latest = latest_from_json(json.loads(json.dumps(latest_as_json(latest))))
    second, after = derivation().add(frame.take(slice(border, count)), latest)
    pd.testing.assert_frame_equal(
        pd.concat([first.values, second.values], ignore_index=True)[[*WAYS]],
        whole.values[[*WAYS]],
        check_exact=True,
    )
    assert latest_as_json(after) == latest_as_json(end)


def test_a_late_record_has_no_earlier_records_and_changes_no_later_record():
    _, latest = derivation().add(frame_of([1.0, 2.0, 4.0]))
    late = frame_of([9.0, 5.0], minutes=[1, 3])
    table, after = derivation().add(late, latest)
    np.testing.assert_array_equal(table.values["change"], [np.nan, 1])
    assert latest_as_json(after)["a"][1] == [[2.0], [4.0], [5.0]]


def test_records_with_the_derived_columns_are_unchanged():
    frame, latest = derivation().add(frame_of([1.0, 2.0]))
    again, same = derivation().add(frame, latest)
    assert (again, same) == (frame, latest)
    assert [*without_derived(derivation(), frame).values] == ["x"]


def test_no_records():
    table, latest = derivation().add(frame_of([]))
    assert [*table.values] == ["x", *WAYS]
    assert not latest.by_entity


def test_a_source_column_that_is_missing_without_numbers_or_of_the_same_name():
    columns = ColumnSettings(derived={"change": {"difference": "flow"}})
    with pytest.raises(FrameError, match=r"used by columns\.derived, is missing"):
        fit_derivation(frame_of([1.0]), columns)
    with pytest.raises(FrameError, match="'flow' has no numbers"):
        fit_derivation(frame_of(["a", "b"], name="flow"), columns)
    with pytest.raises(FrameError, match="have a column 'change' already"):
        fit_derivation(frame_of([1.0], name="change"), columns)
    assert fit_derivation(frame_of([1.0]), ColumnSettings()) is None


@pytest.mark.parametrize(
    ("way", "why"),
    [
        ({}, "give one of difference, mean, spread"),
        ({"mean": "x", "spread": "x"}, "give one of difference, mean, spread"),
        ({"mean": "x", "records": 1}, "a mean needs at least 2 records"),
        ({"difference": "x", "records": 0}, "greater than or equal to 1"),
        ({"mean": "x", "records": 501}, "less than or equal to 500"),
        ({"median": "x"}, "median"),
    ],
)
def test_settings_that_mean_nothing(way, why):
    with pytest.raises(ValidationError, match=why):
        DerivedColumn(**way)


def wave(count: int, seed: int = 0) -> Frame:
    rng = np.random.default_rng(seed)
    flow = 5 * np.sin(np.arange(count) / 30) + rng.normal(0, 0.05, count)
    table = {"flow": flow, "other": rng.normal(size=count)}
    return replace(frame_of(flow), values=pd.DataFrame(table))


def trained(**columns) -> Detector:
    ways = {"change": {"difference": "flow"}}
    learning = LearningSettings(
        columns=ColumnSettings(derived=ways, **columns), detector=DetectorSettings(series=False)
    )
    return train_detector(wave(900), learning, 0)


def test_a_jump_to_a_usual_value_is_flagged_with_the_derived_column_as_reason():
    detector = trained()
    arrays, metadata = detector.state()
    detector = Detector.from_state(arrays, json.loads(json.dumps(metadata)))
    frame = wave(200, seed=1)
    frame.values.loc[100, "flow"] = -frame.values.loc[100, "flow"]
    assert abs(frame.values.loc[100, "flow"]) < 5
    look = detector.look(frame, Past(latest=detector.derivation.latest))
    assert look.judgement.anomalous[100]
    assert look.explain(np.array([100]))[0].contributions[0].column == "change"
    assert detector.context_rows == 1


def test_derived_columns_are_described_and_may_be_left_out_or_bounded():
    frame = wave(100)
    ways = {"change": {"difference": "flow"}, "usual": {"mean": "flow"}}
    columns = ColumnSettings(derived=ways, include=["other"], exclude=["usual"])
    with_them, _ = fit_derivation(frame, columns).add(frame)
    found = {one.column: (one.kind, one.reason) for one in describe_columns(with_them, columns)}
    assert found["change"] == ("numeric", "derived: difference of flow from the record before")
    assert found["usual"] == ("ignored", "excluded by the configuration")
    assert found["flow"][0] == "ignored"
    bounded = trained(ranges={"change": [-1, 1]})
    frame.values.loc[50, "flow"] += 2
    assert bounded.look(frame).judgement.anomalous[[50, 51]].all()


def test_values_can_be_reconstructed_imputed_and_encoded():
    detector, frame = trained(), wave(50)
    frame.values.loc[10, "flow"] = None
    assert [*detector.reconstruct(frame.values)] == ["flow", "other", "change"]
    filled = detector.impute(frame.values)
    assert [*filled] == ["flow", "other"]
    assert not filled.isna().to_numpy().any()
    assert detector.encode(frame).shape[1] == 50
