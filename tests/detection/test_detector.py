import json
import sys
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime
from subprocess import run
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest

from aemon.config.detector_settings import DetectorSettings
from aemon.config.learning_settings import LearningSettings
from aemon.config.threshold_settings import ThresholdSettings
from aemon.detection.detector import Detector
from aemon.detection.features.feature_map import FeatureMap
from aemon.detection.learning import train_detector
from aemon.detection.provenance import hash_frame
from aemon.errors import FrameError, TrainingError

N = 300


def test_healthy_records_are_normal_and_a_broken_correlation_is_not(pump, make_frame, pump_records):
    # Given healthy records, in some of which the current is what another load would draw
    table = pump_records(2000, 2)
    broken = np.arange(2000) % 20 == 0
    table.loc[broken, "current"] = 21 - table.loc[broken, "current"]
    far = broken & ((table["current"] - 10.5).abs() > 1).to_numpy()
    # When they are judged
    judgement = pump.judge(make_frame(table))
    # Then nearly all of the broken ones are flagged, with every single value still in range
    assert judgement.anomalous[far].mean() > 0.95
    assert judgement.anomalous[~broken].mean() < 0.03
    assert (judgement.critical <= judgement.anomalous).all()


def test_a_judgement_agrees_with_itself(pump, make_frame, pump_records):
    judgement = pump.judge(make_frame(pump_records(500, 3)))
    line = pump.threshold
    np.testing.assert_array_equal(judgement.anomalous, judgement.scores > line.value)
    np.testing.assert_array_equal(judgement.anomalous, judgement.p_values <= line.false_alarm_rate)
    np.testing.assert_array_equal(judgement.anomalous, judgement.exceedances > 1)
    np.testing.assert_array_equal(judgement.critical, judgement.scores > line.critical_value)
    assert not judgement.absent.any()
    assert judgement.cells_imputed == 0
    assert len(judgement) == 500


def test_a_record_is_judged_alike_alone_and_in_company(pump, make_frame, pump_records):
    table = pump_records(5000, 4)
    table.loc[::7, "flow"] = np.nan
    together = pump.judge(make_frame(table)).scores
    reversed_ = pump.judge(make_frame(table[::-1].reset_index(drop=True))).scores[::-1]
    np.testing.assert_allclose(reversed_, together, rtol=1e-4)
    for row in (0, 7, 13, 2047, 2048, 4999):
        alone = pump.judge(make_frame(table.iloc[[row]].reset_index(drop=True))).scores
        np.testing.assert_allclose(alone, together[row], rtol=1e-4)


def test_an_unseen_category_is_flagged(pump, make_frame, pump_records):
    table = pump_records(10, 5)
    table["mode"] = "stuck"
    assert pump.judge(make_frame(table)).anomalous.all()


def test_missing_cells_are_no_anomaly_and_an_empty_record_is_absent(pump, make_frame, pump_records):
    table = pump_records(600, 6).astype({"open": object})
    table.loc[:199, "pressure"] = np.nan
    table.loc[200:399, ["flow", "pressure", "current", "temperature"]] = np.nan
    table.loc[400:] = None
    judgement = pump.judge(make_frame(table))
    assert judgement.anomalous[:200].mean() < 0.05
    assert judgement.absent.tolist() == [False] * 200 + [True] * 400
    assert not judgement.anomalous[200:].any()
    assert (judgement.p_values[400:] == 1).all()
    np.testing.assert_allclose(judgement.imputed_shares[[0, 200, 400]], [1 / 7, 4 / 7, 1])
    assert judgement.cells_imputed == 200 * (1 + 4 + 7)


def test_a_fault_beside_a_missing_cell_is_still_seen(pump, make_frame, pump_records):
    table = pump_records(100, 7)
    table["room"] = np.nan
    table["pressure"] += 1.0
    assert pump.judge(make_frame(table)).anomalous.mean() > 0.95


@pytest.mark.parametrize("value", [1e12, -1e30, 1e99])
def test_a_monstrous_value_is_critical_and_every_number_stays_finite(
    pump, make_frame, pump_records, value
):
    table = pump_records(3, 8)
    table.loc[1, "flow"] = value
    judgement = pump.judge(make_frame(table))
    assert judgement.critical.tolist() == [False, True, False]
    assert np.isfinite(judgement.scores).all()


def test_no_records_make_an_empty_judgement(pump, make_frame, pump_records):
    assert len(pump.judge(make_frame(pump_records(0, 0)))) == 0
    assert pump.explain(make_frame(pump_records(0, 0))) == []


def test_every_record_teaches_and_calibrates_in_the_order_of_time(make_frame, pump_records, quick):
    # Given records in no order
    frame = make_frame(pump_records(1000, 1))
    mixed = frame.take(np.random.default_rng(0).permutation(1000))
    # When a detector is trained on them
    detector, other = (train_detector(f, quick, seed=0) for f in (frame, mixed))
    # Then it is the detector of the ordered ones
    told = detector.provenance
    assert other.provenance.data_hash == told.data_hash
    np.testing.assert_array_equal(detector.scorer.space.whitening, other.scorer.space.whitening)
    parts = (told.training_records, told.validation_records, told.calibration_records)
    assert parts == (1000, 1000, 1000)
    assert told.trained_from == datetime(2026, 1, 1, tzinfo=UTC)
    assert told.trained_until == datetime(2026, 1, 1, 0, 16, 39, tzinfo=UTC)


def test_a_single_member_is_tried_on_the_newest_fifth(make_frame, pump_records):
    alone = LearningSettings(detector=DetectorSettings(steps=150, members=1))
    told = train_detector(make_frame(pump_records(1000, 1)), alone, seed=0).provenance
    parts = (told.training_records, told.validation_records, told.calibration_records)
    assert parts == (800, 200, 200)


def test_where_normal_life_moves_the_newest_records_draw_the_line(make_frame, quick):
    # Given a series that wanders off in its last third
    rng = np.random.default_rng(0)
    day = np.sin(np.arange(1500) / 20)
    table = pd.DataFrame({"a": day, "b": -day}) + 0.1 * rng.normal(size=(1500, 2))
    table.loc[1000:, "b"] += np.linspace(0, 2, 500)
    # When it is learned from
    told = train_detector(make_frame(table), quick, seed=0).provenance
    # Then only what the older records did not know draws the line
    assert told.training_records == 1500
    assert told.calibration_records == 750  # of two members' folds, the newer one
    still = train_detector(make_frame(table[:1000]), quick, seed=0).provenance
    assert still.calibration_records == 1000


def test_records_with_too_little_in_them_teach_nothing(make_frame, pump_records, quick):
    table = pump_records(500, 1).astype({"open": object})
    table.loc[::5] = None
    told = train_detector(make_frame(table), quick, seed=0).provenance
    assert told.training_records == told.calibration_records == 400
    table.loc[10:] = None
    with pytest.raises(TrainingError, match="of 500 records only 8 have half of their cells"):
        train_detector(make_frame(table), quick, seed=0)


def test_seed_settings_and_data_tell_detectors_apart(make_frame, pump_records, quick):
    frame = make_frame(pump_records(200, 1))
    first = train_detector(frame, quick, seed=0)
    again = train_detector(frame, quick, seed=0)
    other = train_detector(frame, quick, seed=1)
    wider = LearningSettings(detector=DetectorSettings(steps=151, members=2))
    changed = train_detector(frame, wider, seed=0)
    for a, b in zip(first.state()[0].values(), again.state()[0].values(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first.scorer.space.whitening, other.scorer.space.whitening)
    assert first.provenance.settings_hash == again.provenance.settings_hash
    assert first.provenance.settings_hash != changed.provenance.settings_hash
    assert first.provenance.feature_map_hash == changed.provenance.feature_map_hash
    frame.values.loc[0, "flow"] += 1e-6
    assert train_detector(frame, quick, seed=0).provenance.data_hash != first.provenance.data_hash


def test_training_leaves_the_frame_as_it_was(make_frame, pump_records, quick):
    frame = make_frame(pump_records(100, 1)[::-1].reset_index(drop=True))
    before, times = frame.values.copy(deep=True), frame.times.copy()
    train_detector(frame, quick, seed=0)
    pd.testing.assert_frame_equal(frame.values, before)
    np.testing.assert_array_equal(frame.times, times)


def test_a_detector_comes_back_from_its_state_exactly(pump, make_frame, pump_records):
    # Given a detector's state, sent through JSON
    arrays, metadata = pump.state()
    metadata = json.loads(json.dumps(metadata))
    # When it is built again
    again = Detector.from_state({name: a.copy() for name, a in arrays.items()}, metadata)
    # Then it says the same in all it says
    frame = make_frame(pump_records(300, 9))
    for name in ("scores", "p_values", "exceedances", "anomalous"):
        np.testing.assert_array_equal(
            getattr(pump.judge(frame), name), getattr(again.judge(frame), name)
        )
    assert again.explain(frame.take(slice(0, 3))) == pump.explain(frame.take(slice(0, 3)))
    assert again.provenance == pump.provenance
    assert again.feature_map.columns == pump.feature_map.columns
    assert again.threshold.value == pump.threshold.value


def test_a_detector_is_immutable(pump):
    with pytest.raises(FrozenInstanceError):
        pump.threshold = None


@pytest.mark.parametrize("n", [0, 1, 19])
def test_too_few_records_are_refused(make_frame, pump_records, quick, n):
    with pytest.raises(TrainingError, match=f"{n} records are too few"):
        train_detector(make_frame(pump_records(n, 1)), quick, seed=0)


def test_the_fewest_records_make_a_detector(make_frame, pump_records, quick):
    detector = train_detector(make_frame(pump_records(20, 1)), quick, seed=0)
    judgement = detector.judge(make_frame(pump_records(50, 2)))
    assert np.isfinite(judgement.scores).all()
    assert detector.threshold.method == "evt"


def test_a_table_of_one_column_works(make_frame, quick):
    rng = np.random.default_rng(0)
    detector = train_detector(make_frame({"load": rng.normal(5, 1, N)}), quick, seed=0)
    frame = make_frame({"load": [5.0, 5.5, 25.0, np.nan]})
    judgement = detector.judge(frame)
    assert judgement.anomalous.tolist() == [False, False, True, False]
    assert judgement.absent.tolist() == [False, False, False, True]
    reasons = [explanation.reason for explanation in detector.explain(frame)]
    assert reasons[2].startswith("load 25 where ")
    assert reasons[3] == "every value is missing"


def test_a_purely_categorical_table_works(make_frame, quick):
    rng = np.random.default_rng(0)
    side = rng.choice(["left", "right"], 1000)
    table = pd.DataFrame({"side": side, "lamp": np.where(side == "left", "red", "green")})
    settings = LearningSettings(threshold=ThresholdSettings(false_alarm_rate=0.01))
    detector = train_detector(make_frame(table), settings, seed=0)
    judged = make_frame({"side": ["left", "left", "up"], "lamp": ["red", "green", "red"]})
    assert detector.judge(judged).anomalous.tolist() == [False, True, True]


def test_each_entity_has_its_own_normal(make_frame):
    # Given two machines that run at different speeds
    rng = np.random.default_rng(0)
    entities = rng.choice(["slow", "fast"], 2000)

    def speeds(base):
        return {"speed": base + rng.normal(0, 1, len(base)), "other": rng.normal(size=len(base))}

    frame = make_frame(speeds(np.where(entities == "slow", 10.0, 50.0)), entities=entities)
    settings = LearningSettings(threshold=ThresholdSettings(false_alarm_rate=0.01))
    detector = train_detector(frame, settings, seed=0)
    # When the slow one runs at the fast one's speed
    wrong = make_frame(speeds(np.full(100, 50.0)), entities=["slow"] * 100)
    right = make_frame(speeds(np.full(100, 50.0)), entities=["fast"] * 100)
    # Then that is odd, and the entity is not among the columns to blame
    assert detector.judge(wrong).anomalous.mean() > 0.9
    assert detector.judge(right).anomalous.mean() < 0.1
    names = {part.column for part in detector.explain(wrong)[0].contributions}
    assert names == {"speed", "other"}
    strange = make_frame(speeds(np.full(5, 50.0)), entities=["new"] * 5)
    assert np.isfinite(detector.judge(strange).scores).all()


def test_a_code_too_wide_is_refused_before_training(make_frame, pump_records):
    settings = LearningSettings(detector=DetectorSettings(code_size=40))
    with pytest.raises(TrainingError, match=r"detector\.code_size is 40"):
        train_detector(make_frame(pump_records(100, 1)), settings, seed=0)


def test_a_vanished_column_is_named(pump, make_frame, pump_records):
    frame = make_frame(pump_records(3, 1).drop(columns="pressure"))
    for act in (pump.judge, pump.explain):
        with pytest.raises(FrameError, match="'pressure', which this detector was trained on"):
            act(frame)


@pytest.mark.parametrize("cell", ["abc", [1, 2], {"a": 1}, b"raw", "inf"], ids=repr)
def test_an_unreadable_cell_in_a_flagged_record_stops_neither_judging_nor_explaining(
    pump, make_frame, pump_records, cell
):
    # Given healthy records, one of which has a fault and a cell that cannot be read
    table = pump_records(50, 11).astype({"room": object})
    table.loc[7, "pressure"] += 3.0
    table.at[7, "room"] = cell  # noqa: PD008 -- loc would spread a list
    frame = make_frame(table)
    # When they are judged, and the flagged ones explained by themselves
    judgement = pump.judge(frame)
    explanations = pump.explain(frame.take(np.array([7])))
    # Then the record is flagged for its fault, and the cell is missing
    assert judgement.anomalous[7]
    assert judgement.cells_imputed == 1
    assert explanations[0].observed["room"] is None
    assert explanations[0].reason.startswith("pressure ")


@pytest.mark.parametrize("records", [19, 20])
def test_a_column_that_became_text_is_missing_and_told(pump, make_frame, pump_records, records):
    table = pump_records(records, 12)
    table["pressure"] = "high"
    frame = make_frame(table)
    judged = pump.judge(frame)
    assert judged.cells_imputed == records
    assert [(each.column, each.example) for each in judged.unreadable] == [("pressure", "'high'")]
    assert len(pump.explain(frame)) == records


def test_records_whose_columns_became_text_are_absent_while_few_come_at_a_time(
    pump, make_frame, pump_records
):
    table = pump_records(3, 13)
    for column in ("flow", "pressure", "current", "temperature"):
        table[column] = "n/a"
    assert pump.judge(make_frame(table)).absent.all()


def test_a_detector_stored_before_ranges_were_still_loads(pump, make_frame, pump_records):
    arrays, metadata = pump.state()
    older = {name: a for name, a in arrays.items() if name[9:] not in ("lows", "highs")}
    assert len(older) == len(arrays) - 2
    again = Detector.from_state(older, metadata)
    frame = make_frame(pump_records(20, 9))
    np.testing.assert_array_equal(again.judge(frame).scores, pump.judge(frame).scores)
    assert np.isfinite(again.explain(frame)[0].reconstructed["flow"])


def test_the_same_blobs_make_the_same_hash(make_frame):
    frames = [make_frame({"raw": [memoryview(bytes([i])) for i in range(3)]}) for _ in range(2)]
    assert hash_frame(frames[0]) == hash_frame(frames[1])


def test_torch_is_loaded_by_training_alone():
    """The daemon stays small: only a training worker loads torch."""
    code = "import sys, aemon.detection.learning; sys.exit('torch' in sys.modules)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_budget_becomes_a_rate(make_frame, pump_records, quick):
    settings = quick.model_copy(update={"threshold": ThresholdSettings(alarm_budget="3/day")})
    detector = train_detector(make_frame(pump_records(200, 1), seconds=60), settings, seed=0)
    assert detector.threshold.false_alarm_rate == pytest.approx(3 / 1440)


def test_one_look_says_what_judging_and_explaining_say(pump, make_frame, pump_records):
    table = pump_records(50, 31)
    table.loc[[7, 30], "flow"] = 500.0
    frame = make_frame(table)
    looked = pump.look(frame)
    np.testing.assert_array_equal(looked.judgement.scores, pump.judge(frame).scores)
    rows = np.array([7, 30])
    assert looked.explain(rows) == pump.explain(frame.take(rows))
    assert looked.explain(np.array([], dtype=np.intp)) == []


def test_context_rows_are_seen_and_neither_judged_nor_explained(pump, make_frame, pump_records):
    frame = make_frame(pump_records(20, 32))
    context = np.arange(20) < 5
    looked = pump.look(replace(frame, context=context))
    assert looked.frame.keys.tolist() == frame.keys[5:].tolist()
    np.testing.assert_array_equal(looked.judgement.scores, pump.judge(frame.take(~context)).scores)
    assert looked.explain(np.array([0])) == pump.explain(frame.take(np.array([5])))


def test_an_explanation_reads_no_cell_again(pump, make_frame, pump_records, monkeypatch):
    looked = pump.look(make_frame(pump_records(20, 33)))
    monkeypatch.setattr(FeatureMap, "read", Mock(side_effect=AssertionError))
    assert len(looked.explain(np.array([3, 4]))) == 2
