"""Windows judged: what shows in time alone is found, restarts change nothing, columns are blamed."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from aemon.config.detector_settings import DetectorSettings
from aemon.config.learning_settings import LearningSettings
from aemon.config.threshold_settings import ThresholdSettings
from aemon.detection.detector import Detector
from aemon.detection.learning import train_detector
from aemon.detection.record_judging import see
from aemon.frame import Frame

START = np.datetime64("2026-03-01", "us")
MINUTE = np.timedelta64(1, "m")
RATE = 0.01
ODD = slice(300, 340)


def plant(count: int, seed: int) -> pd.DataFrame:
    """A level that wanders, its flow, and a temperature of its own."""
    rng = np.random.default_rng(seed)
    level, room = np.zeros(count), np.zeros(count)
    for step in range(1, count):
        level[step] = 0.97 * level[step - 1] + 0.1 * rng.normal()
        room[step] = 0.9 * room[step - 1] + rng.normal()
    flow = np.append(0, np.diff(level)) + 0.02 * rng.normal(size=count)
    return pd.DataFrame({"level": 50 + 10 * level, "flow": 3 + flow, "room": 20 + room})


def frame_of(values: pd.DataFrame, entities=None, first: int = 0) -> Frame:
    numbers = np.arange(first, first + len(values))
    whose = np.full(len(values), "", dtype=object) if entities is None else entities
    return Frame(
        times=START + numbers * MINUTE, keys=numbers.astype(str).astype(object),
        entities=whose, values=values.reset_index(drop=True),
    )  # fmt: skip


def trained(frame: Frame, **detector) -> Detector:
    settings = LearningSettings(
        detector=DetectorSettings.model_validate({"steps": 100, **detector}),
        threshold=ThresholdSettings(false_alarm_rate=RATE),
    )
    return train_detector(frame, settings, seed=0)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return trained(frame_of(plant(2_000, 0)), window=4)


def odd_in_time() -> pd.DataFrame:
    """Records of which each is usual, in an order in which they never come."""
    values = plant(600, 1)
    rng = np.random.default_rng(2)
    shuffled = plant(4_000, 3).iloc[rng.permutation(4_000)[:40]]
    values.iloc[ODD] = shuffled.to_numpy()
    return values


def test_what_is_odd_in_time_alone_is_found_by_windows_alone(detector):
    values = odd_in_time()
    alone = trained(frame_of(plant(2_000, 0)), window=1).judge(frame_of(values)).anomalous
    windows = detector.judge(frame_of(values)).anomalous
    assert alone[ODD].mean() < 0.2
    assert windows[ODD].mean() > 0.9
    assert windows[:300].mean() <= 2 * RATE


def test_the_promise_is_kept(detector):
    flagged = np.mean([detector.judge(frame_of(plant(2_000, s))).anomalous.mean() for s in (5, 6)])
    assert flagged <= 2 * RATE


@pytest.mark.parametrize("size", [1, 17, 100])
def test_records_are_judged_as_in_one_piece_however_they_come(detector, size):
    values = odd_in_time().iloc[250:450]
    entities = np.array(["", "x"], dtype=object)[np.arange(200) % 5 // 4]
    whole = detector.judge(frame_of(values, entities))
    scores, past = [], None
    for start in range(0, 200, size):
        part = slice(start, start + size)
        judged = detector.look(frame_of(values[part], entities[part], start), past).judgement
        past = judged.past
        scores += judged.scores.tolist()
    np.testing.assert_allclose(scores, whole.scores, rtol=1e-4)


def test_a_detector_is_stored_with_its_windows(detector):
    arrays, metadata = detector.state()
    again = Detector.from_state(arrays, json.loads(json.dumps(metadata)))
    frame = frame_of(odd_in_time())
    np.testing.assert_array_equal(again.judge(frame).scores, detector.judge(frame).scores)


def test_a_spike_is_flagged_and_blamed_and_hardly_what_comes_after_it(detector):
    values = plant(400, 7)
    usual = detector.judge(frame_of(values)).anomalous
    values.loc[200, "room"] += 15
    looked = detector.look(frame_of(values))
    assert looked.judgement.anomalous[200]
    assert (looked.judgement.anomalous & ~usual)[201:].sum() <= 4
    (explanation,) = looked.explain(np.array([200]))
    assert explanation.contributions[0].column == "room"
    assert explanation.reason.startswith("room ")


def test_raw_scores_are_those_before_smoothing(detector):
    values = plant(400, 7)
    before = detector.judge(frame_of(values))
    values.loc[200, "room"] += 15
    judged = detector.judge(frame_of(values))
    # A spike stands out more by itself, and what follows it less, than smoothed
    assert judged.raw_scores[200] > judged.scores[200]
    calmed = slice(200 + detector.series.width, 208)
    rise = judged.scores[calmed] - before.scores[calmed]
    raw_rise = judged.raw_scores[calmed] - before.raw_scores[calmed]
    assert rise.mean() > raw_rise.mean()


def test_records_that_are_no_series_have_no_raw_scores(pump, pump_records, make_frame):
    assert pump.judge(make_frame(pump_records(50, 3))).raw_scores is None


def test_the_column_whose_order_is_odd_is_blamed(detector):
    values = plant(600, 8)
    rng = np.random.default_rng(9)
    values.loc[300:339, "room"] = values["room"].to_numpy()[rng.permutation(600)[:40]]
    looked = detector.look(frame_of(values))
    flagged = np.flatnonzero(looked.judgement.anomalous[ODD]) + ODD.start
    assert len(flagged) > 10
    told = looked.explain(flagged)
    assert np.mean(["room " in one.reason for one in told]) > 0.9
    assert np.mean([one.contributions[0].column == "room" for one in told]) > 0.5
    assert np.mean([one.reason.endswith("after the previous records") for one in told]) > 0.8


def test_entities_have_levels_of_their_own_and_pasts_of_their_own():
    names = np.array(["cold", "hot"], dtype=object)[np.arange(3_000) % 2]
    values = pd.concat([plant(1_500, 0), plant(1_500, 1) + 500]).sort_index(kind="stable")
    fitted = trained(frame_of(values, names), window=4)
    fresh = pd.concat([plant(500, 4), plant(500, 5) + 500]).sort_index(kind="stable")
    whose = names[:1_000]
    assert fitted.judge(frame_of(fresh, whose)).anomalous.mean() <= 3 * RATE
    swapped = fresh.copy()
    swapped.iloc[600:640] = fresh.iloc[601:641].to_numpy()
    found = fitted.judge(frame_of(swapped, whose)).anomalous
    assert found[600:640].all()


def test_missing_cells_and_columns_that_stand_still_are_borne():
    values = plant(1_500, 0).assign(steady=1.0)
    rng = np.random.default_rng(1)
    values[["level", "flow", "room"]] = values[["level", "flow", "room"]].mask(
        rng.random((1_500, 3)) < 0.05
    )
    fitted = trained(frame_of(values), window=4)
    fresh = plant(1_000, 2).assign(steady=1.0).mask(rng.random((1_000, 4)) < 0.05)
    judged = fitted.judge(frame_of(fresh))
    assert np.isfinite(judged.scores).all()
    assert judged.anomalous.mean() <= 3 * RATE


def test_too_few_records_for_windows_are_judged_alone():
    assert trained(frame_of(plant(24, 0)), window=64).series is None


def test_one_member_and_suspects_among_the_records_are_borne(detector):
    one = trained(frame_of(plant(1_500, 0)), window=3, members=1, suspect_share=0.05)
    assert one.series is not None
    assert one.judge(frame_of(odd_in_time())).anomalous[ODD].mean() > 0.5
    assert replace(detector, series=None).judge(frame_of(plant(100, 1))).past.tails.by_entity == {}


def test_records_in_a_row_are_seen_together_by_default_where_they_are_alike():
    frame = frame_of(plant(1_000, 0))
    order = np.random.default_rng(0).permutation(1_000)
    shuffled = frame_of(plant(1_000, 0).iloc[order])
    widths = {
        "a series": trained(frame).series,
        "no series": trained(shuffled).series,
        "said to be one": trained(shuffled, series=True).series,
        "said to be none": trained(frame, series=False).series,
        "alone": trained(frame, window=1).series,
        "another kind": trained(frame, kind="linear").series,
        "by choice": trained(frame, kind="linear", window=2).series,
        "for so long": trained(frame, window="6m").series,
    }
    found = {name: series.width if series else 1 for name, series in widths.items()}
    assert found == {
        "a series": 4, "no series": 1, "said to be one": 4, "said to be none": 1, "alone": 1,
        "another kind": 1, "by choice": 2,
        "for so long": 6,
    }  # fmt: skip


def test_hardly_alike_records_are_judged_alone():
    rng = np.random.default_rng(0)
    values = pd.DataFrame(rng.normal(size=(8_000, 3))).add_prefix("c")
    values = values + 0.1 * values.shift(1, fill_value=0)  # beyond chance, and little
    assert trained(frame_of(values)).series is None


def bent(count: int, seed: int) -> pd.DataFrame:
    """A load that wanders, and what follows from it: no plane holds them."""
    rng = np.random.default_rng(seed)
    angle = np.cumsum(0.15 * rng.normal(size=count))
    noise = 0.02 * rng.normal(size=(count, 3))
    table = np.stack([np.cos(angle), np.sin(angle), np.cos(2 * angle)], axis=1) + noise
    return pd.DataFrame(table, columns=["x", "y", "z"])


def test_what_is_odd_alone_is_found_though_windows_are_blind_to_it():
    detector = trained(frame_of(bent(3_000, 0)))
    assert detector.series is not None
    values = bent(600, 1)
    values.iloc[300:330] = 0.0  # within all ranges; in the middle of a ring
    found = detector.judge(frame_of(values)).anomalous
    assert found[300:330].mean() > 0.9
    assert found[:300].mean() <= 3 * RATE


def test_a_detector_of_before_counts_windows_alone(detector):
    arrays, metadata = detector.state()
    for name in ("together", "alone"):
        del metadata["series"][name]
    again = Detector.from_state(arrays, json.loads(json.dumps(metadata)))
    found = again.judge(frame_of(odd_in_time())).anomalous
    assert found[ODD].mean() > 0.9


@pytest.mark.parametrize("far", [20.0, 200.0, -1e6])
def test_a_value_far_out_flags_hardly_any_of_the_records_after_it(detector, far):
    values = plant(400, 7)
    usual = detector.judge(frame_of(values)).anomalous
    values.loc[200, "level"] += far * 10
    found = detector.judge(frame_of(values)).anomalous
    assert found[200]
    assert (found & ~usual)[201:].sum() <= 2  # at one in a hundred promised


@pytest.mark.parametrize("decimals", [1, 0])
def test_coarser_numbers_than_in_training_raise_no_more_alarms(decimals):
    fitted = trained(frame_of(plant(2_000, 0)))
    assert fitted.series is not None
    fine = plant(1_000, 12)
    usual = fitted.judge(frame_of(fine)).anomalous.mean()
    coarse = fitted.judge(frame_of(fine.round(decimals))).anomalous.mean()
    assert coarse <= max(1.5 * usual, RATE)


def test_a_detector_without_levels_is_read_as_it_was(detector):
    arrays, metadata = detector.state()
    assert metadata["series"].pop("levels")
    kept = {name: array for name, array in arrays.items() if not name.startswith("series.levels")}
    assert len(kept) < len(arrays)
    again = Detector.from_state(kept, json.loads(json.dumps(metadata)))
    assert again.series.levels is None
    assert again.context_rows < detector.context_rows
    assert again.judge(frame_of(odd_in_time())).anomalous[ODD].mean() > 0.9


def test_records_near_normal_ones_score_the_same_when_few_prototypes_are_asked(detector):
    values = plant(2_000, 32)
    values.iloc[::97, 0] += 3.0
    values.iloc[500] = np.nan
    seen = see(detector._parts, frame_of(values))
    exact = detector.scorer.scores(seen.features, seen.mask)
    enough = detector.series.enough(seen.in_series.surprises)
    found = detector.scorer.scores(seen.features, seen.mask, enough=enough)
    beyond = exact > enough
    assert 0 < beyond.sum() < 500
    np.testing.assert_array_equal(found[beyond], exact[beyond])
    assert (found[~beyond] <= enough[~beyond]).all()
    surprises = seen.in_series.surprises
    np.testing.assert_array_equal(
        detector.series.scores(surprises, found), detector.series.scores(surprises, exact)
    )
