"""Whether the columns that caused a fault come first among the reasons.

The whole comparison, with other rankings beside it, is `tests/benchmarks/bench_causes.py`.
"""

import numpy as np
import pandas as pd
import pytest
from public_sets import stretches

from aemon.config.learning_settings import LearningSettings
from aemon.detection.learning import train_detector

CAUSES = {
    "HDF": {"Air temperature [K]", "Process temperature [K]", "Rotational speed [rpm]"},
    "PWF": {"Torque [Nm]", "Rotational speed [rpm]"},
    "OSF": {"Tool wear [min]", "Torque [Nm]", "Type"},
}
OTHERS = ["TWF", "RNF"]
COLUMNS = ["Type", *sorted(set().union(*CAUSES.values()) - {"Type"})]

FIRST = 0.8  # of failures, whose first column must be a cause; measured: 0.88 to 0.92
HITS, MORE_HITS = 0.70, 0.81  # of SMD's guilty columns; measured: 0.73, 0.84
SERIES = "machine-1-6", "machine-2-1", "machine-2-7", "machine-3-3"
MOST_TRAIN = 20_000


@pytest.mark.shared_data
def test_a_cause_of_a_failure_comes_first(shared_data, frame_of):
    # Given a milling machine, and half of its records without a failure to learn from
    data = pd.read_csv(shared_data / "ai4i2020" / "ai4i2020.csv")
    rng = np.random.default_rng(0)
    normal = rng.permutation(np.flatnonzero(data["Machine failure"] == 0))
    learned = data.iloc[normal[: len(normal) // 2]]
    detector = train_detector(frame_of(learned[COLUMNS]), LearningSettings(), seed=0)
    # When the failures of one known cause are explained
    firsts = {}
    for cause, guilty in CAUSES.items():
        others = [name for name in (*CAUSES, *OTHERS) if name != cause]
        alone = data[(data[cause] == 1) & (data[others] == 0).all(axis=1)]
        told = detector.explain(frame_of(alone[COLUMNS]))
        firsts[cause] = [explanation.contributions[0].column in guilty for explanation in told]
        rates = f"{np.mean(firsts[cause]):.0%} of {len(told)}"
        print(f"AI4I {cause}: a true column first in {rates}; such as: {told[0].reason}")
    # Then a column that caused them is the first to blame
    worst = min(firsts, key=lambda cause: np.mean(firsts[cause]))
    everyone = np.concatenate(list(firsts.values()))
    print(f"AI4I: {everyone.mean():.0%} of {len(everyone)}, the worst is {worst}")
    assert everyone.mean() > FIRST
    assert np.mean(firsts[worst]) > 0.7


@pytest.mark.shared_data
def test_the_guilty_columns_of_servers_have_the_largest_errors(shared_data, frame_of):
    rates = []
    for name in SERIES:
        # Given a server's usual day
        data = np.load(shared_data / "smd" / f"{name}.npz")
        train, test = (pd.DataFrame(data[part]).add_prefix("c") for part in ("train", "test"))
        kept = np.linspace(0, len(train) - 1, min(MOST_TRAIN, len(train))).astype(int)
        detector = train_detector(frame_of(train.iloc[kept]), LearningSettings(), seed=0)
        for stretch in stretches("smd", name):
            # When a stretch is explained in which some columns were found guilty
            guilty = {f"c{column}" for column in stretch.columns}
            largest = dict.fromkeys(test.columns, 0.0)
            for explanation in detector.explain(frame_of(test[stretch.rows])):
                for part in explanation.contributions:
                    largest[part.column] = max(largest[part.column], part.error)
            # Then they are among the first (HitRate@100 % and @150 %, SMD's own measure)
            ranked = sorted(largest, key=lambda column: -largest[column])
            n = len(guilty)
            rates.append([len(guilty & set(ranked[: int(p * n)])) / n for p in (1, 1.5)])
    hits, more_hits = np.mean(rates, axis=0)
    print(f"SMD: HitRate@100 % {hits:.3f}, @150 % {more_hits:.3f} of {len(rates)} stretches")
    assert hits > HITS
    assert more_hits > MORE_HITS
