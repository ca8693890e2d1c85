import numpy as np
import pandas as pd
import pytest

from aemon.config.learning_settings import LearningSettings
from aemon.detection.explaining.blame import blame
from aemon.detection.explaining.evidence import MOST_GROUNDS, MOST_TRIED, grounds
from aemon.detection.learning import train_detector

UNRELATED = {"open", "mode"}


def named_grounds(detector, frame):
    """The first blamed column of each record, and what its expectation rests on."""
    feature_map = detector.feature_map
    names = [name for name, _ in feature_map.judged]
    features, mask = feature_map.transform(frame)
    lines = detector.thresholds.values(frame.entities)
    found = blame(feature_map, detector.scorer, lines, features, mask)
    given = grounds(feature_map, detector.scorer, features, found)
    return [
        (names[columns[0]], [names[place] for place in rests_on])
        for columns, rests_on in zip(found.columns, given, strict=True)
    ]


def test_an_expectation_rests_on_a_few_of_the_columns_that_tell_the_same(
    pump, make_frame, pump_records
):
    # Given a pump whose load shows in flow, pressure and current alike, under a high load
    table = pump_records(400, 40)
    table = table[table["flow"] > 70].reset_index(drop=True)
    table["pressure"] += 1
    # When it is asked what the pressure that was expected rests on
    found = named_grounds(pump, make_frame(table))
    given = [rests_on for column, rests_on in found if column == "pressure"]
    # Then one or two of them are named, and nothing that has no bearing on it
    assert len(given) > 0.9 * len(table)
    assert np.mean([1 <= len(names) <= MOST_GROUNDS for names in given]) > 0.95
    assert not any(UNRELATED & set(names) for names in given)
    assert all("pressure" not in names for names in given)


def test_columns_that_do_not_hang_together_give_no_grounds(make_frame, quick):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(1000, 5)), columns=list("abcde"))
    detector = train_detector(make_frame(table), quick, seed=0)
    odd = table[:50].assign(a=8.0)
    assert {tuple(given) for _, given in named_grounds(detector, make_frame(odd))} == {()}


def test_a_single_column_has_no_grounds(make_frame, quick):
    rng = np.random.default_rng(0)
    detector = train_detector(make_frame({"load": rng.normal(5, 1, 500)}), quick, seed=0)
    assert named_grounds(detector, make_frame({"load": [25.0]})) == [("load", [])]
    assert named_grounds(detector, make_frame({"load": []})) == []


@pytest.mark.parametrize("records", [1, 300])
def test_of_a_hundred_columns_only_the_right_ones_are_named(make_frame, records):
    # Given a sum of two columns among a hundred others
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(1500, 100))).add_prefix("c")
    table["sum"] = table["c3"] + table["c70"] + rng.normal(0, 0.05, len(table))
    detector = train_detector(make_frame(table), LearningSettings(), seed=0)
    assert len(detector.feature_map.judged) > MOST_TRIED
    # When the sum is wrong
    odd = pd.concat([table[:1]] * records, ignore_index=True)
    odd["c3"], odd["c70"], odd["sum"] = 2.0, 2.0, -6.0
    # Then what was expected of it rests on one of those two or both, and on nothing else
    for column, given in named_grounds(detector, make_frame(odd)):
        assert column == "sum"
        assert given
        assert set(given) <= {"c3", "c70"}
