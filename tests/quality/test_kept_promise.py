"""The promised false-alarm rate on real series whose normal life moves.

The constants of recalibration were chosen on these very series: this notices a loss, and proves
nothing of others. The whole comparison, with NAB, which had no part in that, over seeds, kinds and
rates, is `tests/benchmarks/bench_promise.py`.
"""

import pandas as pd
import pytest
import torch
from bench_promise import WHO, measure

RATE = 0.01
STATIC, TRAILING, MOVED = WHO


@pytest.fixture(scope="module")
def rows(shared_data):
    torch.set_num_threads(1)
    found = [measure(folder, RATE, 0, "undercomplete", 150) for folder in ("smd", "asd")]
    return pd.concat(found).set_index("who")


@pytest.mark.shared_data
def test_it_is_held_within_a_factor_of_two_in_the_median(shared_data, rows):
    # Measured over seeds 0, 1, 2: median 1.1, mean 1.7, worst 5.8; 73 % of series within 2
    ratios = rows.loc[MOVED, "ratio"]
    assert 0.5 < ratios.median() < 1.6
    assert ratios.mean() < 2.5
    assert ratios.max() < 8
    assert (ratios <= 2).mean() >= 0.6


@pytest.mark.shared_data
def test_it_is_not_by_a_line_that_stays_where_it_was(shared_data, rows):
    # Measured: mean 8.8, worst 78
    ratios = rows.loc[STATIC, "ratio"]
    assert ratios.max() > 20
    assert rows.loc[MOVED, "ratio"].mean() < ratios.mean() / 3


@pytest.mark.shared_data
def test_it_costs_less_recall_than_a_trailing_quantile_that_breaks_it(shared_data, rows):
    # Measured: recall 0.31 at 1.7 times the promise; the trailing quantile 0.24 at 4.5 times
    assert rows.loc[TRAILING, "ratio"].median() > 2
    assert rows.loc[MOVED, "recall"].mean() > rows.loc[TRAILING, "recall"].mean() + 0.02
    # With hindsight one line with as many false alarms has 0.38
    assert rows.loc[MOVED, "recall"].mean() > 0.7 * rows.loc[MOVED, "hindsight"].mean()
