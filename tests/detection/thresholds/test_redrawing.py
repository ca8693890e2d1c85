import numpy as np
import pytest

from aemon.config.threshold_settings import ThresholdSettings
from aemon.detection.thresholds.by_entity import calibrate_thresholds, redraw
from aemon.detection.thresholds.threshold import MOST_KEPT

SETTINGS = ThresholdSettings(false_alarm_rate=0.01)


def lines_of(n, settings=SETTINGS, rate=0.01, names=("",)):
    scores = np.random.default_rng(0).lognormal(size=n)
    times = np.datetime64("2026-01-01", "us") + np.arange(n).astype("timedelta64[s]")
    entities = np.array([names[i % len(names)] for i in range(n)], dtype=object)
    return calibrate_thresholds(scores, times, entities, settings, rate)


@pytest.mark.parametrize(
    ("changed", "rate"),
    [
        ({"false_alarm_rate": 0.001}, 0.001),
        ({"false_alarm_rate": 0.05}, 0.05),
        ({"false_alarm_rate": 0.01, "critical_rate": 0.005}, 0.01),
        ({"false_alarm_rate": 0.01, "method": "evt"}, 0.01),
        ({"alarm_budget": "3/day"}, 0.002),
        ({"method": "fixed", "value": 4.0}, 0.01),
        ({"batch_fdr": 0.1}, 0.001),
    ],
    ids=str,
)
@pytest.mark.parametrize("names", [("",), ("a", "b")], ids=["one", "two entities"])
def test_lines_are_those_that_a_training_would_draw(changed, rate, names):
    if len(names) > 1 and rate > 0.01:
        return
    settings = ThresholdSettings.model_validate(changed)
    new = redraw(lines_of(4000, names=names), settings, rate, entities=len(names))
    wanted = lines_of(4000, settings, rate, names)
    assert new is not None
    assert new.batch_fdr == wanted.batch_fdr
    assert new.own.keys() == wanted.own.keys()
    for line, other in zip(
        (new.pooled, *new.own.values()), (wanted.pooled, *wanted.own.values()), strict=True
    ):
        assert (line.value, line.critical_value, line.method) == (
            other.value,
            other.critical_value,
            other.method,
        )
        assert line.independent == pytest.approx(other.independent)


def test_only_a_training_can_tell_where_scores_were_thinned():
    assert redraw(lines_of(MOST_KEPT + 1), SETTINGS, 0.001) is None


def test_only_a_training_can_tell_where_entities_may_get_lines_of_their_own():
    pooled = lines_of(4000, ThresholdSettings(per_entity=False), names=("a", "b"))
    assert redraw(pooled, SETTINGS, 0.01, entities=2) is None


def test_lines_of_their_own_go_when_they_are_no_longer_wanted():
    lines = lines_of(4000, names=("a", "b"))
    assert lines.own
    new = redraw(lines, ThresholdSettings(per_entity=False), 0.01, entities=2)
    assert new is not None
    assert not new.own
