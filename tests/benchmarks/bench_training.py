"""Training speed beside PyOD's AutoEncoder, in one run.

Run by hand: python tests/benchmarks/bench_training.py [--seed 0]
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # one thread for both sides

import argparse
import sys
import warnings
from time import perf_counter

import numpy as np
from public_sets import frame_of

from aemon.config.learning_settings import LearningSettings
from aemon.detection.learning import train_detector

RECORDS, COLUMNS = 50_000, 30
KINDS = ("auto", "undercomplete")


def correlated(seed: int) -> np.ndarray:
    """Records of ten hidden causes, bent and mixed into the columns, with noise."""
    rng = np.random.default_rng(seed)
    causes = rng.normal(size=(RECORDS, 10))
    mixed = np.tanh(causes @ rng.normal(size=(10, COLUMNS)) / 2)
    return mixed + 0.1 * rng.normal(size=(RECORDS, COLUMNS))


def ours(train: np.ndarray, kind: str, seed: int) -> float:
    settings = LearningSettings.model_validate({"detector": {"kind": kind}})
    started = perf_counter()
    train_detector(frame_of(train), settings, seed)
    return perf_counter() - started


def pyods(train: np.ndarray, seed: int) -> float:
    """PyOD's defaults; they standardise by the training records themselves."""
    from pyod.models.auto_encoder import AutoEncoder

    other = AutoEncoder(random_state=seed, verbose=0)
    started = perf_counter()
    other.fit(train)
    return perf_counter() - started


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # PyOD's and torch's, on their own side
    records = correlated(options.seed)
    ours(records[:1000], "undercomplete", options.seed)  # imports are no side's time
    pyods(records[:1000], options.seed)
    there = pyods(records, options.seed)
    slowest = 0.0
    for kind in KINDS:
        here = ours(records, kind, options.seed)
        slowest = max(slowest, here)
        print(
            f"training {RECORDS:,} x {COLUMNS}: {kind} {here:.1f} s, PyOD {there:.1f} s, "
            f"ratio {here / there:.2f}"
        )
    return 0 if slowest < there else 1


if __name__ == "__main__":
    sys.exit(main())
