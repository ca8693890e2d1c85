"""Records whose columns obey a balance: a fault breaks it, and leaves every value usual."""

import numpy as np
import pandas as pd
import pytest

from aemon.config.learning_settings import LearningSettings
from aemon.detection.detector import Detector
from aemon.detection.learning import train_detector
from aemon.detection.unnamed_records import as_frame


def balanced(count, seed, *, in_order):
    """An inflow that two outflows add up to, a valve that follows it, and a temperature."""
    rng = np.random.default_rng(seed)
    inflow, first = rng.normal(100, 20, count), rng.normal(60, 10, count)
    if in_order:
        at = np.arange(count)
        inflow = 100 + 20 * np.sin(at / 50) + rng.normal(0, 4, count)
        first = 60 + 10 * np.cos(at / 80) + rng.normal(0, 3, count)
    return pd.DataFrame(
        {
            "inflow": inflow,
            "outflow_a": first,
            "outflow_b": inflow - first + rng.normal(0, 0.3, count),
            "temperature": rng.normal(20, 2, count),
            "valve": 0.5 * inflow + rng.normal(0, 0.5, count),
        }
    )


@pytest.mark.parametrize("in_order", [False, True], ids=["table", "series"])
def test_a_broken_balance_is_odd_where_every_value_is_usual(in_order):
    # Given a balance that errs by 0.3, and a meter that is off by 4, a fifth of its spread
    detector = train_detector(as_frame(balanced(3000, 0, in_order=in_order)), LearningSettings(), 0)
    broken = balanced(200, 1, in_order=in_order)
    broken["outflow_b"] += np.where(np.arange(200) % 2, 4.0, -4.0)
    # When records with and without the fault are judged
    usual = detector.judge(balanced(2000, 2, in_order=in_order)).anomalous
    look = detector.look(broken)
    # Then all with it are flagged, hardly any without, and a column of the balance is to blame
    assert look.judgement.anomalous.mean() > 0.95
    assert usual.mean() < 0.005
    blamed = [one.contributions[0].column for one in look.explain(np.arange(200))]
    assert set(blamed) <= {"inflow", "outflow_a", "outflow_b"}
    assert blamed.count("outflow_b") > 100
    # And it judges the same when it comes back from the store
    again = Detector.from_state(*detector.state())
    np.testing.assert_array_equal(again.judge(broken).scores, look.judgement.scores)
