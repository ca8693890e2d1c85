import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from aemon.config.learning_settings import LearningSettings
from aemon.detection.learning import train_detector
from aemon.detection.scoring.trimming import EXCESS, trusted_records
from tests.detection.conftest import frame_of
from tests.detection.training_sets import records

SHARE = 0.05
PROMISED = 0.01
ONES = np.ones(9, dtype=np.float32)
TURNED = np.float32([1, -1, 1, -1, 1, -1, 1, -1, 1])


def cluster(count, seed):
    """Anomalies that are much like each other: no value is out of range, their dependence is."""
    rng = np.random.default_rng(seed)
    return (2 * TURNED + 0.2 * rng.normal(size=(count, 9))).astype(np.float32)


def with_anomalies(seed, count=2000):
    """Records in any order, and which of them are normal."""
    odd = round(SHARE * count)
    both = np.concatenate([records(count - odd, seed), cluster(odd, seed)])
    order = np.random.default_rng(seed).permutation(count)
    return both[order], order < count - odd


@pytest.mark.parametrize("seed", range(3))
def test_most_of_a_cluster_of_anomalies_is_left_out(seed):
    found, normal = with_anomalies(seed)
    trusted = trusted_records(found, ONES, SHARE, seed=seed)
    assert trusted[~normal].mean() < 0.1
    assert trusted[normal].mean() > 0.93


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
def test_of_clean_records_no_more_are_left_out_than_the_excess(share):
    trusted = trusted_records(records(2000, 0), ONES, share, seed=0)
    assert 1 - EXCESS * share <= trusted.mean() < 1 - share


def test_more_records_than_can_be_compared_are_told_apart_as_well_and_by_the_seed():
    found, normal = with_anomalies(0, count=6000)
    first, again, other = (trusted_records(found, ONES, SHARE, seed=seed) for seed in (0, 0, 1))
    assert first[~normal].mean() < 0.1
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_feature_that_is_not_judged_raises_no_suspicion():
    found = records(1000, 0)
    aside = np.where(np.arange(1000) % 20, 0, 100).astype(np.float32)
    weights = np.append(ONES, np.float32(0))
    np.testing.assert_array_equal(
        trusted_records(np.column_stack([found, aside]), weights, SHARE, seed=0),
        trusted_records(found, ONES, SHARE, seed=0),
    )


@pytest.fixture(scope="module")
def detectors():
    """Learned from records of which one in twenty is an anomaly: unsuspecting, suspecting."""
    found, _ = with_anomalies(seed=0)
    frame = frame_of(pd.DataFrame(found).add_prefix("c"))
    asked = {"threshold": {"false_alarm_rate": PROMISED}}
    return [
        train_detector(
            frame,
            LearningSettings.model_validate({"detector": {"suspect_share": share}} | asked),
            seed=0,
        )
        for share in (0, SHARE)
    ]


def test_who_suspects_some_finds_the_next_ones_like_them(detectors):
    # Given new records, some of them anomalies like those in training
    new = np.concatenate([records(2000, 10), cluster(200, 10)])
    frame = frame_of(pd.DataFrame(new).add_prefix("c"))
    odd = np.arange(2200) >= 2000
    # When they are scored
    unsuspecting, suspecting = (
        roc_auc_score(odd, detector.judge(frame).scores) for detector in detectors
    )
    # Then it misjudges a tenth as many pairs, or fewer
    assert suspecting > 0.99
    assert 1 - suspecting < 0.1 * (1 - unsuspecting)


def test_every_record_calibrates_so_that_the_promise_is_kept(detectors):
    _, suspecting = detectors
    frame = frame_of(pd.DataFrame(records(5000, 11)).add_prefix("c"))
    assert suspecting.threshold.records == 2000
    assert suspecting.judge(frame).anomalous.mean() <= PROMISED
