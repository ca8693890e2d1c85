"""Correlated bits, some combinations of which are broken: no worse as bits than as numbers."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors

from aemon.config.learning_settings import LearningSettings
from aemon.detection.learning import train_detector

COLUMNS, CAUSES, FLIPPED = 39, 6, 3


def bits(count, seed):
    """Records (N, 39) of bits that six hidden causes switch, each with some noise of its own."""
    rng = np.random.default_rng(COLUMNS)
    mixing, offsets = rng.normal(size=(CAUSES, COLUMNS)), 0.7 * rng.normal(size=COLUMNS)
    rng = np.random.default_rng(seed)
    own = 0.5 * rng.normal(size=(count, COLUMNS))
    return rng.normal(size=(count, CAUSES)) @ mixing + own + offsets > 0


def broken(count, seed):
    """The same with three bits of each record turned over: each is usual, together they are not."""
    found = bits(count, seed)
    flipped = np.random.default_rng(seed).random(found.shape).argsort(axis=1) < FLIPPED
    return found ^ flipped


@pytest.mark.parametrize("seed", [0])
def test_broken_combinations_of_bits_are_found_as_well_as_among_numbers(seed, frame_of):
    learned = bits(1500, seed)
    judged = np.concatenate([bits(1000, seed + 10), broken(250, seed + 20)])
    labels = np.arange(len(judged)) >= 1000
    rng = np.random.default_rng(seed)

    def found(as_columns):
        train, new = (as_columns(part) for part in (learned, judged))
        detector = train_detector(frame_of(train), LearningSettings(), seed)
        scores = detector.judge(frame_of(new)).scores
        return roc_auc_score(labels, scores), average_precision_score(labels, scores)

    as_bits = found(lambda part: pd.DataFrame(part).add_prefix("c"))
    as_numbers = found(
        lambda part: pd.DataFrame(part + 1e-4 * rng.normal(size=part.shape)).add_prefix("c")
    )
    near = NearestNeighbors(n_neighbors=5).fit(learned.astype(float))
    peer = roc_auc_score(labels, near.kneighbors(judged.astype(float))[0].mean(axis=1))
    print(f"bits {as_bits}, numbers {as_numbers}, 5-NN {peer:.3f}")
    assert as_bits[0] >= as_numbers[0] - 0.005
    assert as_bits[1] >= as_numbers[1] - 0.01
    assert as_bits[0] >= peer
