"""Operating state on plants that are not ours: a chemical process at rest, and a mill's products."""

import numpy as np
import pandas as pd
import pytest

from aemon.config.column_settings import ColumnSettings
from aemon.config.detector_settings import DetectorSettings
from aemon.config.learning_settings import LearningSettings
from aemon.config.threshold_settings import ThresholdSettings
from aemon.detection.learning import train_detector

pytestmark = pytest.mark.shared_data
AT_REST = 100
"""Records of a plant at rest that are put in after every hundred."""


def with_rest(table: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """A table with records at rest put between its own, and which those are."""
    rng = np.random.default_rng(seed)
    parts, rests = [], []
    for start in range(0, len(table), 100):
        part = table.iloc[start : start + 100].assign(feed="on")
        rest = pd.DataFrame(
            rng.normal(0, 1, (AT_REST, table.shape[1])) * 0.1 * table.std().to_numpy(),
            columns=table.columns,
        ).assign(feed="off")
        parts += [part, rest]
        rests += [np.zeros(len(part), bool), np.ones(AT_REST, bool)]
    return pd.concat(parts, ignore_index=True), np.concatenate(rests)


def test_a_plant_at_rest_changes_no_score_of_one_at_work(shared_data, frame_of):
    # Given a process, and the same one with stretches at rest
    def read(name):
        return pd.DataFrame(np.loadtxt(shared_data / "tep" / f"{name}.dat")).add_prefix("x")

    learned, tried = read("d00_te").iloc[:500], read("d05_te")
    detector = DetectorSettings(steps=60, members=2, window=1)
    settings = LearningSettings(detector=detector)
    alone = train_detector(frame_of(learned), settings, seed=0)
    scores = alone.judge(frame_of(tried)).scores
    # When those are said not to count
    columns = ColumnSettings(only_when="feed == 'on'", exclude=("feed",))
    settings = settings.model_copy(update={"columns": columns})
    judged, rests = with_rest(tried, 1)
    found = train_detector(frame_of(with_rest(learned, 0)[0]), settings, seed=0)
    judgement = found.judge(frame_of(judged))
    # Then no score is another
    assert (judgement.verdicts == "idle").tolist() == rests.tolist()
    np.testing.assert_allclose(judgement.scores[~rests], scores, rtol=1e-4)


def test_every_product_of_a_mill_keeps_the_promise(shared_data, frame_of):
    """Milling machine AI4I 2020: as a category, H is flagged two to four times as often as L and M."""
    table = pd.read_csv(shared_data / "ai4i2020" / "ai4i2020.csv", encoding="utf-8-sig")
    broken = table["Machine failure"].to_numpy() == 1
    columns = table.iloc[:, 2:8]
    normal = np.random.default_rng(0).permutation(np.flatnonzero(~broken))
    learned, tried = np.sort(normal[:5000]), np.sort(normal[5000:])
    settings = LearningSettings(
        columns=ColumnSettings(mode="Type"),
        detector=DetectorSettings(series=False),
        threshold=ThresholdSettings(false_alarm_rate=0.01),
    )
    detector = train_detector(frame_of(columns.iloc[learned]), settings, seed=0)
    flagged = detector.judge(frame_of(columns.iloc[tried])).anomalous
    products = columns["Type"].to_numpy()[tried]
    for product in "LMH":
        assert flagged[products == product].mean() < 0.015, product
    found = detector.judge(frame_of(columns[broken])).anomalous
    assert found.mean() > 0.15
