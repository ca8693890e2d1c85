"""A quick look that detection on public tables is as good as it was measured to be.

The whole comparison, with PyOD in the same run, is `tests/benchmarks/bench_training.py --all`.
"""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from aemon.config.learning_settings import LearningSettings
from aemon.detection.learning import train_detector

# About two points under the least of seeds 0, 1, 2: a floor to notice a loss, not a boast.
FLOORS = {"6_cardio": 0.90, "41_Waveform": 0.66, "26_optdigits": 0.88}


@pytest.mark.shared_data
@pytest.mark.parametrize(("name", "floor"), FLOORS.items(), ids=FLOORS)
def test_anomalies_score_above_normal_records(shared_data, frame_of, name, floor):
    # Given half of the normal records to learn from (../shared/data/README.md)
    data = np.load(shared_data / "adbench" / f"{name}.npz")
    labels = data["y"].astype(int)
    rng = np.random.default_rng(0)
    normal = rng.permutation(np.flatnonzero(labels == 0))
    anomalies = rng.permutation(np.flatnonzero(labels == 1))[:4000]
    half = len(normal) // 2
    judged = np.concatenate([normal[half:][:8000], anomalies])
    table = pd.DataFrame(data["X"]).add_prefix("c")
    # When the other half and all anomalies are judged
    detector = train_detector(
        frame_of(table.iloc[normal[:half][:8000]]), LearningSettings(), seed=0
    )
    scores = detector.judge(frame_of(table.iloc[judged])).scores
    # Then the anomalies stand out as much as they did when this was written
    assert roc_auc_score(labels[judged], scores) > floor
