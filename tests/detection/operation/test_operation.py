"""Records that are judged: those of a machine at work, some time after it began."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from aemon.config.column_settings import ColumnSettings
from aemon.config.detector_settings import DetectorSettings
from aemon.config.learning_settings import LearningSettings
from aemon.detection.detector import Detector
from aemon.detection.learning import train_detector
from aemon.detection.operation.operation import Operation
from aemon.detection.operation.operation_fitting import at_work, fit_operation
from aemon.detection.operation.starts import MOST_SETTLED, Start, Starts
from aemon.detection.series.tails import Tail, Tails
from aemon.errors import FrameError


@pytest.fixture
def records(make_frame):
    """Make records of speeds, a second apart; None is a missing cell."""

    def records(speeds, entities=None):
        return make_frame({"speed": np.array(speeds, dtype=float)}, entities=entities)

    return records


def of(frame, **columns) -> Operation:
    return fit_operation(frame, ColumnSettings(only_when="speed > 10", **columns))


def test_without_a_condition_all_records_are_judged(records):
    frame = records([0, 20])
    assert fit_operation(frame, ColumnSettings()) is None
    assert len(at_work(frame, None)) == 2


def test_a_stretch_ends_where_the_condition_does_not_hold(records):
    frame = records([20, 20, 0, 20, 20, np.nan, 20])
    found = of(frame).look(frame)
    assert found.judged.tolist() == [True, True, False, True, True, False, True]
    assert found.stretches[found.judged].tolist() == [0, 0, 1, 1, 1]  # a missing cell ends none
    assert found.open.tolist() == [False] * 5 + [True, False]
    assert found.halted == {}


def test_each_entity_is_at_work_for_itself(records):
    frame = records([20, 0, 20, 20, 0, 20], entities=list("ababab"))
    found = of(frame).look(frame)
    assert found.judged.tolist() == [True, False, True, True, False, True]
    assert found.stretches.tolist() == [0, 0, 0, 1, 0, 1]
    assert of(frame).look(frame.take(slice(5))).halted.keys() == {"a"}


def test_the_margin_is_not_judged(records):
    frame = records([20, 20, 0, 20, 20, 20, 20])
    found = of(frame, settle="2s").look(frame)
    # No start was seen of the first ones, and the fourth one's is two seconds long.
    assert found.judged.tolist() == [True, True, False, False, False, True, True]
    assert of(frame, settle="2s").settle_rows == 3


@pytest.mark.parametrize("settle", [None, "1s", "3s", "10s"])
@pytest.mark.parametrize("seed", range(3))
def test_records_that_come_in_pieces_are_judged_as_if_they_came_at_once(records, settle, seed):
    rng = np.random.default_rng(seed)
    speeds = np.repeat(rng.choice([0.0, 20.0], 40), rng.integers(1, 8, 40))
    speeds[rng.random(len(speeds)) < 0.1] = np.nan
    frame = records(speeds, entities=rng.choice(["a", "b", "c"], len(speeds)).tolist())
    operation = of(frame, settle=settle)
    whole, parts, starts = operation.look(frame).judged, [], Starts()
    for rows in np.array_split(np.arange(len(frame)), 17):
        found = operation.look(frame.take(rows), starts)
        parts.append(found.judged)
        starts = Starts.from_json(found.after.as_json())  # as after a restart
    assert np.concatenate(parts).tolist() == whole.tolist()
    assert 0 < whole.sum() < len(whole)


@pytest.mark.parametrize("settle", ["1s", "3s", "10s"])
def test_those_before_a_record_tell_whether_it_is_judged(records, settle):
    rng = np.random.default_rng(5)
    frame = records(np.repeat(rng.choice([0.0, 20.0], 60), rng.integers(1, 8, 60)))
    operation = of(frame, settle=settle)
    whole = operation.look(frame).judged
    for row in range(0, len(frame), 7):
        near = frame.take(slice(max(0, row - operation.settle_rows), row + 1))
        assert operation.look(near).judged[-1] == whole[row]


def test_a_late_record_starts_nothing(records):
    frame = records([20, 20, 0, 20, 20, 20, 20])
    operation = of(frame, settle="2s")
    after = operation.look(frame.take(np.array([0, 1, 3, 4, 5]))).after
    late = operation.look(frame.take(np.array([2, 6])), after)
    assert late.judged.tolist() == [False, True]
    assert late.halted == {}


def test_entities_that_are_not_settled_are_remembered_longest():
    time = np.datetime64("2026-01-01", "us")
    stopped = {f"s{n}": Start(newest=time, holds=False) for n in range(2 * MOST_SETTLED)}
    running = {f"r{n}": Start(newest=time, holds=True) for n in range(2 * MOST_SETTLED)}
    kept = Starts().with_newer(stopped).with_newer(running).by_entity
    assert stopped.keys() <= kept.keys()
    assert len(kept) == 3 * MOST_SETTLED
    assert f"r{2 * MOST_SETTLED - 1}" in kept


@pytest.mark.parametrize("junk", ["x", {"a": 1}, {"a": ["x", True]}, {"a": ["NaT", True]}, [1]])
def test_junk_is_no_past(junk):
    assert Starts.from_json(junk) == Starts()


def test_a_missing_column_is_told_with_the_nearest(records):
    frame = records([20])
    with pytest.raises(FrameError, match=r"named under columns\.only_when") as refused:
        fit_operation(frame, ColumnSettings(only_when="sped > 3"))
    assert "did you mean 'speed'?" in refused.value.todo
    gone = replace(frame, values=pd.DataFrame({"flow": [1.0]}))
    with pytest.raises(FrameError, match=r"used by columns\.only_when, is missing"):
        of(frame).look(gone)


def test_what_is_stored_comes_back(records):
    frame = records([20, 0, 20])
    operation = of(frame, settle="90s", wind_down="30s")
    again = Operation.from_json(operation.as_json())
    assert again.as_json() == operation.as_json()
    assert again.summary == "`speed > 10` holds for at least 1m30s"
    assert again.seen(frame.values) == ["speed is 0 to 20"]
    assert Operation.from_json(None) is None


def test_what_comes_shortly_before_a_stop_teaches_nothing_but_is_judged(records):
    frame = records([20, 20, 20, np.nan, 0, 20, 20, 0, 20, 20, 20])
    operation = of(frame, wind_down="2s")
    assert (
        operation.look(frame).judged.tolist()
        == [True] * 3 + [False] * 2 + [True] * 2 + [False] + [True] * 3
    )
    assert at_work(frame, operation).keys.tolist() == ["0", "1", "8", "9", "10"]
    assert at_work(frame, of(frame)).keys.tolist() == ["0", "1", "2", "5", "6", "8", "9", "10"]


def test_a_stop_of_one_entity_is_none_of_another(records):
    frame = records([20, 20, 0, 20, 20, 20], entities=list("ababab"))
    assert at_work(frame, of(frame, wind_down="9s")).keys.tolist() == ["1", "3", "4", "5"]


def test_what_is_explained_is_the_record_itself(make_frame, pump_records):
    # Given a detector of a pump at work, and records of which every other is at rest
    learned = pump_records(400, 0).assign(speed=20.0)
    settings = LearningSettings(
        columns=ColumnSettings(only_when="speed > 10"), detector=DetectorSettings(steps=60)
    )
    detector = train_detector(make_frame(learned), settings, seed=0)
    table = pump_records(60, 1).assign(speed=np.tile([0.0, 20.0], 30))
    table["flow"] = 400.0 + np.arange(60)
    looked = detector.look(make_frame(table))
    assert looked.judgement.verdicts.tolist() == ["idle", "anomaly"] * 30
    rows = np.flatnonzero(looked.judgement.anomalous)[10:20]
    told = [one.observed["flow"] for one in looked.explain(rows)]
    assert told == [400.0 + row for row in rows]
    assert len(looked.frame) == 60
    again = Detector.from_state(*detector.state()).judge(make_frame(table))
    np.testing.assert_array_equal(again.scores, looked.judgement.scores)


def test_a_late_record_at_rest_takes_no_past_from_an_entity_at_work():
    time = np.datetime64("2026-01-01T00:00:09", "us")
    tail = Tail(time=time, features=np.zeros((2, 3), np.float32), surprises=np.zeros(2, np.float32))
    tails = Tails(by_entity={"a": tail, "b": tail})
    second = np.timedelta64(1, "s")
    assert tails.without({"a": time + second, "b": time - second}).by_entity.keys() == {"b"}
