"""Whether the right columns are blamed: SMD and ASD (servers), AI4I (a milling machine).

Run by hand: python tests/benchmarks/bench_causes.py [--seed 0]
HitRate@P: of a stretch's n guilty columns, the share among the floor(P n) with the largest
error in it. AI4I: how often a guilty column comes first, of failures with one cause.
Beside them the residual of principal components by its spread, and a ranking at random.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import sys

import numpy as np
from public_sets import AI4I_CAUSES, Stretch, ai4i_records, frame_of, series, stretches

from aemon.config.learning_settings import LearningSettings
from aemon.detection.detector import Detector
from aemon.detection.learning import train_detector

PORTIONS = (1.0, 1.5)
EXPLAINED = 0.9
RANKINGS = 20  # at random
MUST = {"smd": (0.76, 0.86), "AI4I": 0.7}


def hits(errors: np.ndarray, stretch: Stretch) -> list[float]:
    """HitRate at each of `PORTIONS`, of the columns' errors (F,)."""
    order, n = np.argsort(-errors, kind="stable"), len(stretch.columns)
    return [np.isin(order[: int(p * n)], stretch.columns).sum() / n for p in PORTIONS]


def our_errors(detector: Detector, records: np.ndarray) -> np.ndarray:
    """The largest error of each column (F,) over records (N, F)."""
    feature_map = detector.feature_map
    errors = detector.scorer.parts(*feature_map.transform(frame_of(records))).errors
    found = np.zeros(records.shape[1])
    for name, place in feature_map.judged:
        found[int(name)] = errors[:, place].sum(axis=1).max()
    return found


def component_errors(train: np.ndarray, records: np.ndarray) -> np.ndarray:
    low, span = train.min(axis=0), np.ptp(train, axis=0)
    span = np.where(span > 0, span, 1)
    train, records = (train - low) / span, (records - low) / span
    mean = train.mean(axis=0)
    _, sizes, axes = np.linalg.svd(train - mean, full_matrices=False)
    explained = np.cumsum(sizes**2) / (sizes**2).sum()
    kept = axes[: int(np.searchsorted(explained, EXPLAINED)) + 1].T
    gaps = [(part - mean) - (part - mean) @ kept @ kept.T for part in (train, records)]
    return (np.abs(gaps[1]) / (gaps[0].std(axis=0) + 1e-6)).max(axis=0)


def compare_series(folder: str, kind: str, seed: int) -> np.ndarray:
    settings = LearningSettings.model_validate({"detector": {"kind": kind}})
    rng = np.random.default_rng(seed)
    found: dict[str, list[list[float]]] = {kind: [], "components": [], "random": []}
    for name, train, test, _ in series(folder):
        detector = train_detector(frame_of(train), settings, seed)
        first = len(found[kind])
        for stretch in stretches(folder, name):
            records = test[stretch.rows]
            found[kind].append(hits(our_errors(detector, records), stretch))
            found["components"].append(hits(component_errors(train, records), stretch))
            drawn = [hits(rng.random(test.shape[1]), stretch) for _ in range(RANKINGS)]
            found["random"].append(list(np.mean(drawn, axis=0)))
        told = "  ".join(
            f"{who} " + "/".join(f"{rate:.2f}" for rate in np.mean(rates[first:], axis=0))
            for who, rates in found.items()
        )
        print(f"{folder} {name:12} {len(found[kind]) - first:3} stretches  {told}", flush=True)
    means = {who: np.mean(rates, axis=0) for who, rates in found.items()}
    told = "  ".join(f"{who} {at[0]:.3f}/{at[1]:.3f}" for who, at in means.items())
    print(f"{folder} HitRate@100/@150, {len(found[kind])} stretches: {told}\n")
    return means[kind]


def compare_ai4i(kind: str, seed: int) -> float:
    values, failed, causes = ai4i_records()
    rng = np.random.default_rng(seed)
    normal = rng.permutation(np.flatnonzero(~failed))
    settings = LearningSettings.model_validate({"detector": {"kind": kind}})
    detector = train_detector(frame_of(values.iloc[normal[: len(normal) // 2]]), settings, seed)
    alone = causes.sum(axis=1) == 1
    firsts = []
    for cause, guilty in AI4I_CAUSES.items():
        rows = np.flatnonzero(causes[cause] & alone)
        told = detector.explain(frame_of(values.iloc[rows]))
        right = [explanation.contributions[0].column in guilty for explanation in told]
        print(f"AI4I {cause}: a true column first in {np.mean(right):.0%} of {len(rows)}")
        print(f"     such as: {told[0].reason}")
        firsts += right
    print(f"AI4I: {np.mean(firsts):.0%} of {len(firsts)}\n")
    return float(np.mean(firsts))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", default="auto")
    options = parser.parse_args()
    smd = compare_series("smd", options.kind, options.seed)
    compare_series("asd", options.kind, options.seed)
    ai4i = compare_ai4i(options.kind, options.seed)
    return 0 if (smd >= MUST["smd"]).all() and ai4i >= MUST["AI4I"] else 1


if __name__ == "__main__":
    sys.exit(main())
