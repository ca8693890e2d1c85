"""What one look at records makes of columns that are no plain measurements."""

import numpy as np
import pandas as pd
import pytest

from aemon.config.learning_settings import LearningSettings
from aemon.config.threshold_settings import ThresholdSettings
from aemon.detection.detector import Detector
from aemon.detection.learning import train_detector
from aemon.errors import FrameError
from tests.detection.conftest import QUICK, frame_of, plant

N = 600
WORDS = ("Bad", "I/O Timeout", "No Data")


def table_of(records: int, seed: int) -> pd.DataFrame:
    """A pump beside columns of every other sort; numbers have six decimals."""
    rng = np.random.default_rng(seed)
    table = plant(records, seed).drop(columns=["open", "mode"]).round(6)
    table["wind"] = (rng.normal(0, 12, records) % 360).round(6)
    table["slow"] = (2.975 + rng.normal(0, 0.0025, records)).round(6)
    table["alarm"], table["status"] = 0, "RUN"
    table["total"] = 15000 + np.cumsum(rng.uniform(0, 1, records))
    table["level"] = [
        WORDS[i % 3] if rng.random() < 0.1 else f"{value:.1f} cm".replace(".", ",")
        for i, value in enumerate(rng.normal(50, 5, records))
    ]
    table["depth"] = np.where(rng.random(records) < 0.01, -999.0, table["pressure"] * 2 + 1)
    return table


@pytest.fixture(scope="module")
def detector() -> Detector:
    settings = LearningSettings(detector=QUICK, threshold=ThresholdSettings(false_alarm_rate=0.01))
    return train_detector(frame_of(table_of(N, 0)), settings, seed=0)


def kinds_of(detector: Detector) -> dict[str, str]:
    return {report.column: report.kind for report in detector.feature_map.columns}


def test_each_column_is_taken_for_what_it_is(detector):
    kinds = kinds_of(detector)
    assert (kinds["wind"], kinds["total"], kinds["level"]) == ("angle", "counter", "numeric")
    assert [each.column for each in detector.feature_map.constants] == ["alarm", "status"]


def test_normal_records_are_normal(detector):
    judged = detector.judge(frame_of(table_of(N, 1)))
    assert judged.anomalous.mean() <= 0.03
    assert judged.unreadable == ()


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("alarm", 1, "alarm 1, where it was always 0 in all 600 training records"),
        (
            "status",
            "FAULT",
            "status 'FAULT', where it was always 'RUN' in all 600 training records",
        ),
        ("wind", 180.0, "wind 180 where "),
        ("level", "150,5 cm", "level 150 where "),
        ("depth", 40.0, "depth 40 where "),
    ],
)
def test_an_odd_value_of_any_of_them_is_flagged_and_blamed(detector, column, value, reason):
    table = table_of(20, 1)
    table[column] = table[column].astype(object)
    table.loc[10, column] = value
    looked = detector.look(frame_of(table))
    assert looked.judgement.anomalous[10]
    (explanation,) = looked.explain(np.array([10]))
    assert explanation.reason.startswith(reason)
    assert explanation.contributions[0].column == column
    assert sum(part.share for part in explanation.contributions) == pytest.approx(1)


@pytest.mark.parametrize(
    ("column", "value"), [("alarm", None), ("alarm", 1e-9), ("status", None), ("status", " RUN ")]
)
def test_a_constant_that_is_missing_or_rounded_has_not_moved(detector, column, value):
    table = table_of(20, 1)
    table[column] = value
    assert not detector.judge(frame_of(table)).anomalous.any()


def test_numbers_with_fewer_decimals_are_no_alarm(detector):
    table = table_of(N, 1)
    fine = detector.judge(frame_of(table))
    coarse = detector.judge(frame_of(table.round(2)))
    assert coarse.anomalous.sum() <= fine.anomalous.sum() + 3
    table.loc[10, "flow"] *= 2
    assert detector.judge(frame_of(table.round(2))).anomalous[10]


def test_a_column_that_cannot_be_read_is_told_and_the_others_are_judged(detector):
    table = table_of(40, 1)
    table["level"] = "Bad"
    table.loc[10:15, "pressure"] += 5
    judged = detector.judge(frame_of(table))
    assert judged.anomalous[10:16].all()
    assert [str(each) for each in judged.unreadable] == [
        "level: 40 of 40 values cannot be read as numbers, taken as missing: 'Bad'"
    ]


def test_records_without_any_readable_column_are_refused(detector):
    table = pd.DataFrame(dict.fromkeys(table_of(40, 1), ["Bad"] * 40))
    with pytest.raises(FrameError, match="now holds 'Bad', and 40 of 40 values cannot be read"):
        detector.judge(frame_of(table))


def test_all_of_it_is_kept(detector):
    again = Detector.from_state(*detector.state())
    table = table_of(60, 2)
    table.loc[10, "alarm"] = 1
    frame = frame_of(table)
    np.testing.assert_array_equal(again.judge(frame).scores, detector.judge(frame).scores)
    assert again.feature_map.columns == detector.feature_map.columns
    assert again.explain(frame) == detector.explain(frame)


def test_a_sensor_that_freezes_at_a_usual_value_is_flagged_from_one_fetch_to_the_next(detector):
    table = table_of(60, 3)
    table.loc[20:50, "room"] = table["room"][20]
    usual = detector.judge(frame_of(table_of(60, 3))).anomalous
    flagged, past = [], None
    for start in range(0, 60, 7):
        frame = frame_of(table[start : start + 7])
        looked = detector.look(frame, past)
        past = looked.judgement.past
        flagged += looked.judgement.anomalous.tolist()
    assert all(flagged[25:51])
    whole = detector.look(frame_of(table))
    assert whole.judgement.anomalous.tolist() == flagged
    assert flagged[51:] == usual[51:].tolist()
    (explanation,) = whole.explain(np.array([30]))
    assert explanation.reason.startswith("room has stood still at ")
    assert "for 11 records, where up to 5 are usual" in explanation.reason
    assert explanation.contributions[0].column == "room"


def test_a_reason_expects_what_the_entity_lives_at():
    rng = np.random.default_rng(0)
    levels = {"T1": 20.0, "P1": 1013.0, "V1": 0.5, "N1": 1480.0}
    entities = [*levels] * 150
    values = np.array([levels[entity] for entity in entities]) + rng.normal(0, 0.5, 600)
    settings = LearningSettings(detector=QUICK, threshold=ThresholdSettings(false_alarm_rate=0.01))
    detector = train_detector(frame_of({"value": values}, entities=entities), settings, seed=0)
    odd = frame_of({"value": [60.0, 1013.0, 20.0]}, entities=["T1", "T1", "N1"])
    assert detector.judge(odd).anomalous.all()
    expected = [told.reconstructed["value"] for told in detector.explain(odd)]
    np.testing.assert_allclose(expected, [20, 20, 1480], atol=2)
    assert detector.explain(odd)[0].reason == "value 60 where 20 was expected"


def test_what_is_usual_of_another_entity_is_odd_for_this_one_and_blamed():
    table = plant(600, 0)[["flow", "pressure", "current"]]
    entities = ["a", "b"] * 300
    table["mode"] = ["run", "standby"] * 300
    table.loc[1::2, "pressure"] += 5
    settings = LearningSettings(detector=QUICK, threshold=ThresholdSettings(false_alarm_rate=0.01))
    detector = train_detector(frame_of(table, entities=entities), settings, seed=0)
    odd = table[:4].copy()
    odd.loc[0, "mode"] = "standby"
    odd.loc[3, "pressure"] -= 5
    frame = frame_of(odd, entities=entities[:4])
    assert detector.judge(frame).anomalous[[0, 3]].all()
    told = detector.explain(frame)
    assert told[0].reason == "mode standby where run was expected"
    assert told[3].contributions[0].column == "pressure"
    assert told[3].reconstructed["pressure"] == pytest.approx(table["pressure"][3], abs=0.5)
