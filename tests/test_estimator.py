"""The scikit-learn estimator: held to scikit-learn's own checks, and to the detector it wraps."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from aemon.config.detector_settings import DetectorSettings
from aemon.config.learning_settings import LearningSettings
from aemon.config.threshold_settings import ThresholdSettings
from aemon.detection.learning import train_detector
from aemon.estimator import AutoencoderDetector
from aemon.frame import Frame

QUICK = {"steps": 100, "members": 2}


def causes(records: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(records, 2)) @ np.array([[1.0, 0.5, -1.0, 2.0], [0.3, -1, 1, 0.5]])
    return values + 0.1 * rng.normal(size=values.shape)


def mixed(records: int, seed: int) -> pd.DataFrame:
    table = pd.DataFrame(causes(records, seed)).add_prefix("c")
    table["mode"] = np.where(table["c0"] > 0, "full", "eco")
    table["open"] = table["c1"] > 0
    return table


# It is to fail none of them; with few records it says that it repeats them.
@pytest.mark.filterwarnings("ignore:.*too few for training")
@parametrize_with_checks(
    [AutoencoderDetector(**QUICK), AutoencoderDetector(kind="undercomplete", **QUICK)]
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def test_scores_are_the_detectors():
    # Given an estimator and a detector that learned the same records with the same seed
    learned, new = causes(400, 0), causes(100, 1)
    estimator = AutoencoderDetector(false_alarm_rate=0.02, random_state=3, **QUICK).fit(learned)
    settings = LearningSettings(
        detector=DetectorSettings(**QUICK), threshold=ThresholdSettings(false_alarm_rate=0.02)
    )
    detector = train_detector(frame_of(pd.DataFrame(learned).add_prefix("x")), settings, seed=3)
    # When both judge new records
    new[:10] += 3
    judgement = detector.judge(frame_of(pd.DataFrame(new).add_prefix("x")))
    # Then scores, line and verdicts are the same
    np.testing.assert_allclose(-estimator.score_samples(new), judgement.scores, rtol=1e-4)
    assert estimator.offset_ == -detector.threshold.value
    np.testing.assert_array_equal(estimator.predict(new) == -1, judgement.anomalous)
    assert judgement.anomalous[:10].mean() > 0.5


def test_anomalies_among_the_records_learned_from_are_found():
    # Given records of which 1 % are elsewhere
    table = causes(600, 0)
    table[::100, 0] += 6
    # When they are learned from and predicted in one go
    found = AutoencoderDetector(false_alarm_rate=0.02, **QUICK).fit_predict(table) == -1
    # Then those are flagged, though each lies on top of a record that was learned from: itself
    assert found[::100].mean() > 0.5
    assert found.mean() < 0.06


def test_mixed_tables_with_gaps_are_welcome():
    table = mixed(400, 0)
    table.loc[::9, "c2"] = np.nan
    table.loc[::11, "mode"] = None
    estimator = AutoencoderDetector(**QUICK).fit(table)
    assert list(estimator.feature_names_in_) == list(table)
    assert estimator.n_features_in_ == 6
    new = mixed(200, 1)
    broken = new.assign(mode=np.where(new["mode"] == "eco", "full", "eco"))
    assert estimator.decision_function(new).mean() > estimator.decision_function(broken).mean()
    assert set(estimator.predict(new)) <= {-1, 1}


def test_a_dataframe_is_explained_imputed_encoded_and_mapped():
    table = mixed(200, 0).set_index(pd.RangeIndex(1000, 1200))
    detector = AutoencoderDetector(**QUICK).fit(table)
    later = mixed(5, 1).set_index(pd.Index(list("abcde")))
    later.loc["b", "c1"], later.loc["c", "mode"] = np.nan, "torn"
    assert detector.explain(later) == detector.detector_.explain(later)
    assert detector.explain(later)[2].reason.startswith("mode 'torn' never seen")
    filled = detector.impute(later)
    pd.testing.assert_frame_equal(filled, detector.detector_.impute(later))
    assert filled.index.tolist() == list("abcde")
    assert filled.notna().all(axis=None)
    assert detector.detector_.reconstruct(later).index.tolist() == list("abcde")
    codes = detector.transform(later)
    assert codes.shape == (5, detector.detector_.scorer.autoencoder.code_size)
    np.testing.assert_allclose(codes, detector.detector_.encode(later)[0], rtol=1e-4, atol=1e-5)
    assert list(detector.get_feature_names_out()) == [f"code{i}" for i in range(codes.shape[1])]
    assert detector.detector_.code_map(later).shape == (5, 2)
    assert detector.detector_.judge(later).anomalous.shape == (5,)


def test_an_array_is_explained_and_imputed():
    detector = AutoencoderDetector(**QUICK).fit(causes(200, 0))
    odd = causes(3, 1)
    odd[0, 1], odd[1, 2] = 50.0, np.nan
    assert detector.explain(odd)[0].reason.startswith("x1 50 where ")
    filled = detector.impute(odd)
    assert isinstance(filled, np.ndarray)
    assert np.isfinite(filled).all()
    with pytest.raises(ValueError, match="features"):
        detector.impute(odd[:, :2])


def test_it_fits_into_a_pipeline():
    pipeline = make_pipeline(RobustScaler(), AutoencoderDetector(**QUICK)).fit(causes(300, 0))
    assert (pipeline.predict(causes(300, 1)) == 1).mean() > 0.9


def test_a_column_that_is_gone_is_named():
    estimator = AutoencoderDetector(**QUICK).fit(mixed(300, 0))
    with pytest.raises(ValueError, match="mode"):
        estimator.predict(mixed(10, 1).drop(columns="mode"))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.ones((50, 3)), "nothing to learn from"),
        (pd.DataFrame({"a": ["x"] * 50}), "nothing to learn from"),
    ],
)
def test_what_cannot_be_learned_from_is_a_value_error(table, message):
    with pytest.raises(ValueError, match=message):
        AutoencoderDetector(**QUICK).fit(table)


def test_a_parameter_out_of_range_is_a_value_error():
    with pytest.raises(ValueError, match="kind"):
        AutoencoderDetector(kind="clever").fit(causes(50, 0))


@pytest.mark.filterwarnings("ignore:.*too few for training")
def test_a_random_state_may_be_a_generator_or_nothing():
    for state in (None, np.random.RandomState(1)):
        AutoencoderDetector(random_state=state, **QUICK).fit(causes(30, 0))


def test_few_records_are_repeated_aloud():
    with pytest.warns(UserWarning, match="10 records are too few"):
        AutoencoderDetector(**QUICK).fit(causes(10, 0))


def test_nothing_else_imports_scikit_learn():
    code = (
        "import sys; import aemon.cli.main, aemon.daemon.daemon, aemon.detection.learning;"
        "print('sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_without_scikit_learn_the_extra_is_named():
    code = "import sys; sys.modules['sklearn'] = None; import aemon.estimator"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "aemon[estimator]" in done.stderr


def frame_of(table: pd.DataFrame) -> Frame:
    n = len(table)
    return Frame(
        times=np.arange(n).astype("datetime64[s]").astype("datetime64[us]"),
        keys=np.array([str(i) for i in range(n)], dtype=object),
        entities=np.full(n, "", dtype=object),
        values=table,
    )


def test_with_a_window_each_row_is_seen_behind_those_above_it():
    walk = np.cumsum(np.random.default_rng(0).normal(size=(1_200, 2)), axis=0) * 0.05
    values = (
        walk
        - 0.98 * np.vstack([np.zeros((1, 2)), walk[:-1]])
        + np.sin(np.arange(1_200) / 9)[:, None]
    )
    detector = AutoencoderDetector(window=4, steps=60, random_state=0).fit(values[:800])
    scores = detector.score_samples(values[800:])
    assert scores.shape == (400,)
    shuffled = values[800:].copy()
    shuffled[200:230] = shuffled[np.random.default_rng(1).permutation(400)[:30]]
    assert (detector.predict(shuffled)[200:230] == -1).mean() > 0.9
    assert (detector.predict(values[800:]) == -1).mean() < 0.05
