"""Training speed and detection quality beside PyOD's AutoEncoder, in one run.

Run by hand: python tests/benchmarks/bench_training.py --seed 0 [--all]
The three sets were chosen before any result was seen; --all takes all twenty.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # one thread for both sides

import argparse
import sys
import warnings
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score

from aemon.config.schema import LearningSettings
from aemon.detection.detector import train_detector
from aemon.frame import Frame

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "adbench"
CHOSEN = ("6_cardio", "41_Waveform", "26_optdigits")
RECORDS, COLUMNS = 50_000, 30
MOST_TRAIN, MOST_NORMAL, MOST_ANOMALIES = 8000, 8000, 4000  # ../shared/data/README.md
WORST_SHOWN = 5


def frame_of(features: np.ndarray) -> Frame:
    n = len(features)
    return Frame(
        times=np.datetime64("2026-01-01", "us") + np.arange(n).astype("timedelta64[s]"),
        keys=np.arange(n).astype(str).astype(object),
        entities=np.full(n, "", dtype=object),
        values=pd.DataFrame(features).add_prefix("c"),
    )


def correlated(seed: int) -> np.ndarray:
    """Records of ten hidden causes, bent and mixed into the columns, with noise."""
    rng = np.random.default_rng(seed)
    causes = rng.normal(size=(RECORDS, 10))
    mixed = np.tanh(causes @ rng.normal(size=(10, COLUMNS)) / 2)
    return mixed + 0.1 * rng.normal(size=(RECORDS, COLUMNS))


def split(path: Path, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training features, judged features and the judged ones' labels."""
    data = np.load(path)
    features, labels = data["X"].astype(float), data["y"].astype(int)
    rng = np.random.default_rng(seed)
    normal = rng.permutation(np.flatnonzero(labels == 0))
    anomalies = rng.permutation(np.flatnonzero(labels == 1))[:MOST_ANOMALIES]
    half = len(normal) // 2
    judged = np.concatenate([normal[half:][:MOST_NORMAL], anomalies])
    return features[normal[:half][:MOST_TRAIN]], features[judged], labels[judged]


def ours(train: np.ndarray, judged: np.ndarray | None, seed: int):
    started = perf_counter()
    detector = train_detector(frame_of(train), LearningSettings(), seed)
    seconds = perf_counter() - started
    return seconds, None if judged is None else detector.judge(frame_of(judged)).scores


def pyods(train: np.ndarray, judged: np.ndarray | None, seed: int):
    """PyOD's defaults; they standardise by the training records themselves."""
    from pyod.models.auto_encoder import AutoEncoder

    other = AutoEncoder(random_state=seed, verbose=0)
    started = perf_counter()
    other.fit(train)
    seconds = perf_counter() - started
    return seconds, None if judged is None else other.decision_function(judged)


def compare_speed(seed: int) -> bool:
    records = correlated(seed)
    here, _ = ours(records, None, seed)
    there, _ = pyods(records, None, seed)
    print(
        f"training {RECORDS:,} x {COLUMNS}: aemon {here:.1f} s, PyOD {there:.1f} s, "
        f"ratio {here / there:.2f}"
    )
    return here < there


def compare_quality(seed: int, names: list[str]) -> bool:
    print(f"\n{'set':20} {'aemon AUROC/AP':>16} {'PyOD AUROC/AP':>16} {'gain':>14} {'seconds':>14}")
    rows = []
    for name in names:
        train, judged, labels = split(DATA / f"{name}.npz", seed)
        here, mine = ours(train, judged, seed)
        there, others = pyods(train, judged, seed)
        measures = [
            100 * measure(labels, scores)
            for scores in (mine, others)
            for measure in (roc_auc_score, average_precision_score)
        ]
        rows.append((*measures, here, there))
        show(name, rows[-1])
    means = tuple(np.mean(rows, axis=0))
    show("mean", means)
    gains = sorted((row[0] - row[2], name) for row, name in zip(rows, names, strict=True))
    worst = ", ".join(f"{name} {gain:+.1f}" for gain, name in gains[:WORST_SHOWN])
    print(f"worst against PyOD, AUROC: {worst}")
    return means[0] >= means[2]


def show(name: str, row: tuple[float, ...]) -> None:
    a, b, c, d, here, there = row
    print(
        f"{name:20} {a:9.1f} {b:6.1f} {c:9.1f} {d:6.1f} {a - c:+7.1f} {b - d:+6.1f}"
        f" {here:7.1f} {there:6.1f}",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--all", action="store_true", help="all twenty sets")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # PyOD's and torch's, on their own side
    names = sorted(path.stem for path in DATA.glob("*.npz")) if options.all else list(CHOSEN)
    faster = compare_speed(options.seed)
    better = compare_quality(options.seed, names)
    return 0 if faster and better else 1


if __name__ == "__main__":
    sys.exit(main())
