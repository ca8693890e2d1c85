import json
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from aemon.config.threshold_settings import ThresholdSettings
from aemon.detection.state import threshold_state, thresholds_from, thresholds_state
from aemon.detection.thresholds.by_entity import (
    Thresholds,
    benjamini_hochberg,
    calibrate_thresholds,
)
from aemon.detection.thresholds.threshold import calibrate
from aemon.errors import TrainingError

START = np.datetime64("2026-01-01", "us")
RATE = 0.01


def times(n):
    return START + np.arange(n) * np.timedelta64(1, "s")


def texts(values):
    return np.array(values, dtype=object)


def machines(rng, n, *, spread=4.0):
    """Scores of two machines by turns, of which one scores `spread` times as high."""
    entities = texts(["calm", "rough"] * (n // 2))
    return rng.lognormal(0, 0.5, n) * np.where(entities == "rough", spread, 1.0), entities


def present(n):
    return np.zeros(n, dtype=bool)


def settings_of(rate, asked) -> ThresholdSettings:
    promise = {} if asked.get("method") == "fixed" else {"false_alarm_rate": rate}
    return ThresholdSettings(**promise, **asked)


def lines_of(scores, entities=None, rate=RATE, **asked) -> Thresholds:
    entities = texts([""] * len(scores)) if entities is None else entities
    return calibrate_thresholds(
        scores, times(len(scores)), entities, settings_of(rate, asked), rate
    )


class TestEntities:
    def test_the_promise_is_kept_for_each(self):
        # Given two machines, of which one scores four times as high
        realised = {(own, name): [] for own in (True, False) for name in ("calm", "rough")}
        for seed in range(60):
            rng = np.random.default_rng(seed)
            scores, entities = machines(rng, 1000)
            judged, whose = machines(rng, 2000)
            # When they are judged by lines of their own, or by one for both
            for own in (True, False):
                found = lines_of(scores, entities, per_entity=own).judge(
                    judged, whose, present(2000)
                )
                for name in ("calm", "rough"):
                    realised[own, name].append(found.anomalous[whose == name].mean())
        mean = {key: np.mean(rates) for key, rates in realised.items()}
        # Then each has its rate, where with one line one has them all
        for name in ("calm", "rough"):
            assert RATE - 1 / 501 - 0.002 < mean[True, name] < RATE + 0.002
        assert mean[False, "calm"] < 0.002
        assert mean[False, "rough"] > 0.015

    def test_a_p_value_and_an_exceedance_are_those_of_the_own_line(self):
        scores, entities = machines(np.random.default_rng(0), 1000)
        lines = lines_of(scores, entities)
        own = {name: calibrate(scores[entities == name], RATE) for name in ("calm", "rough")}
        judged, whose = np.array([3.0, 3.0, 3.0]), texts(["calm", "rough", "new"])
        found = lines.judge(judged, whose, present(3))
        for row, line in enumerate((own["calm"], own["rough"], lines.pooled)):
            assert found.p_values[row] == line.judge(judged[row : row + 1])[0]
            assert found.exceedances[row] == 3.0 / line.value
            assert found.anomalous[row] == (line.value < 3.0)
        assert found.anomalous.tolist() == [True, False, False]

    def test_too_few_records_make_no_line_of_their_own(self):
        entities = texts(["many"] * 100 + ["few"] * 99)
        lines = lines_of(np.random.default_rng(0).lognormal(size=199), entities)
        assert set(lines.own) == {"many"}
        assert lines.own["many"].method == "conformal"

    @pytest.mark.parametrize(
        "asked", [{"per_entity": False}, {"method": "fixed", "value": 2.0}], ids=str
    )
    def test_one_line_for_all_when_asked(self, asked):
        scores, entities = machines(np.random.default_rng(0), 1000)
        assert not lines_of(scores, entities, **asked).own

    def test_a_single_entity_is_all(self):
        scores = np.random.default_rng(0).lognormal(size=500)
        assert not lines_of(scores, texts(["only"] * 500)).own

    def test_scores_that_are_not_finite_do_not_count(self):
        scores, entities = machines(np.random.default_rng(0), 300)
        scores[entities == "calm"] = np.nan
        lines = lines_of(scores, entities)
        assert lines.pooled.records == 150
        with pytest.raises(TrainingError, match="no record is left"):
            lines_of(np.full(10, np.nan))

    def test_dependence_is_told_within_each_and_in_the_order_of_time(self):
        # Given two machines, each of which keeps its level for 50 records, and whose records
        # come by turns and are handed over in any order
        rng = np.random.default_rng(0)
        n = 2000
        levels = np.repeat(rng.lognormal(size=(n // 100, 2)), 50, axis=0).ravel()
        entities = texts(["a", "b"] * (n // 2))
        order = rng.permutation(n)
        lines = calibrate_thresholds(
            levels[order], times(n)[order], entities[order], ThresholdSettings(), RATE
        )
        # Then all together are worth the few levels there were
        assert lines.own["a"].independent + lines.own["b"].independent == pytest.approx(
            lines.pooled.independent
        )
        assert 10 < lines.pooled.independent < 100


class TestLevels:
    def test_critical_is_rarer_and_always_anomalous(self):
        rng = np.random.default_rng(0)
        lines = lines_of(rng.lognormal(0, 0.5, 20_000), critical_rate=0.002)
        found = lines.judge(rng.lognormal(0, 0.5, 100_000), texts([""] * 100_000), present(100_000))
        assert found.anomalous.mean() == pytest.approx(0.01, abs=0.002)
        assert found.critical.mean() == pytest.approx(0.002, abs=0.001)
        assert (found.critical <= found.anomalous).all()

    def test_an_absent_record_is_never_anomalous(self):
        for asked in ({}, {"batch_fdr": 0.1}):
            lines = lines_of(np.random.default_rng(0).lognormal(size=500), **asked)
            absent = np.array([True, False])
            found = lines.judge(np.array([1e9, 1e9]), texts(["", ""]), absent)
            assert found.anomalous.tolist() == [False, True]
            assert found.critical.tolist() == [False, True]

    @pytest.mark.parametrize("asked", [{}, {"batch_fdr": 0.1}], ids=str)
    def test_no_records_are_no_verdicts(self, asked):
        scores, entities = machines(np.random.default_rng(0), 1000)
        found = lines_of(scores, entities, **asked).judge(np.zeros(0), texts([]), present(0))
        assert [len(part) for part in found] == [0, 0, 0, 0]


class TestBatch:
    def test_the_example_of_benjamini_and_hochberg(self):
        # The 15 p-values of their section 3.2, of which they reject the four smallest at 0.05.
        p_values = np.array(
            [
                0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240,
                0.4262, 0.5719, 0.6528, 0.7590, 1.0000,
            ]
        )  # fmt: skip
        order = np.random.default_rng(0).permutation(15)
        assert benjamini_hochberg(p_values, 0.05).tolist() == [True] * 4 + [False] * 11
        np.testing.assert_array_equal(
            benjamini_hochberg(p_values[order], 0.05), p_values[order] <= 0.0095
        )

    @settings(deadline=None, max_examples=200)
    @given(
        p_values=st.lists(st.floats(1e-12, 1), min_size=1, max_size=50), fdr=st.floats(0.01, 0.49)
    )
    def test_it_picks_what_scipy_picks(self, p_values, fdr):
        adjusted = false_discovery_control(p_values, method="bh")
        clear = np.abs(adjusted - fdr) > 1e-9
        found = benjamini_hochberg(np.array(p_values), fdr)
        np.testing.assert_array_equal(found[clear], (adjusted <= fdr)[clear])

    def test_no_p_values_pick_nothing(self):
        assert not benjamini_hochberg(np.zeros(0), 0.1).any()

    @pytest.mark.parametrize("n", [200, 2000])
    def test_the_false_discovery_rate_is_held(self, n):
        # Given batches of 500 records, 25 of which are odd
        fdr, shares, found_odd = 0.2, [], []
        odd = np.arange(500) < 25
        for seed in range(300):
            rng = np.random.default_rng(seed)
            lines = lines_of(rng.lognormal(0, 0.5, n), batch_fdr=fdr)
            scores = rng.lognormal(0, 0.5, 500) * np.where(odd, 8.0, 1.0)
            flagged = lines.judge(scores, texts([""] * 500), present(500)).anomalous
            shares.append((flagged & ~odd).sum() / max(1, flagged.sum()))
            found_odd.append(flagged[odd].mean())
        # Then of those flagged a fifth at most is normal on average, and most odd ones are
        assert np.mean(shares) < fdr + 3 * np.std(shares) / 300**0.5
        assert np.mean(found_odd) > 0.9

    def test_a_batch_of_normal_records_is_seldom_flagged_at_all(self):
        touched = []
        for seed in range(400):
            rng = np.random.default_rng(seed)
            lines = lines_of(rng.lognormal(0, 0.5, 500), batch_fdr=0.1)
            found = lines.judge(rng.lognormal(0, 0.5, 20), texts([""] * 20), present(20))
            touched.append(found.anomalous.any())
        assert np.mean(touched) < 0.1 + 3 * 0.3 / 400**0.5

    def test_one_odd_record_can_be_picked_from_a_batch_larger_than_the_calibration(self):
        # Given as many records that conformal p-values alone could pick no single one
        rng = np.random.default_rng(1)
        lines = lines_of(rng.lognormal(0, 0.5, 200), batch_fdr=0.1)
        scores = np.append(rng.lognormal(0, 0.5, 999), 1e4)
        found = lines.judge(scores, texts([""] * 1000), present(1000))
        assert found.anomalous[999]
        assert found.anomalous.sum() < 5

    def test_it_is_told(self):
        scores = np.random.default_rng(0).lognormal(size=500)
        told = lines_of(scores, batch_fdr=0.1).note
        assert told == "replaced by a false discovery rate of 0.1 over every batch"
        assert lines_of(scores).note == ""


class TestState:
    @pytest.mark.parametrize("asked", [{}, {"per_entity": False}, {"batch_fdr": 0.1}], ids=str)
    def test_lines_come_back_exactly(self, asked):
        # Given the state of lines, sent through JSON
        scores, entities = machines(np.random.default_rng(0), 1000)
        lines = lines_of(scores, entities, **asked)
        arrays, metadata = thresholds_state(lines)
        again = thresholds_from(arrays, json.loads(json.dumps(metadata)))
        # Then they say the same of every record
        judged, whose = machines(np.random.default_rng(1), 1000)
        whose[:100] = "new"
        for a, b in zip(
            lines.judge(judged, whose, present(1000)),
            again.judge(judged, whose, present(1000)),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)
        assert set(again.own) == set(lines.own)
        assert again.pooled.note == lines.pooled.note
        assert thresholds_state(again)[1] == metadata

    @pytest.mark.parametrize("n", [50, 500, 5000])
    def test_those_of_a_detector_stored_before_are_one_line(self, n):
        # Given a threshold as it was stored before there were critical lines
        line = calibrate(np.random.default_rng(0).lognormal(size=n), RATE)
        arrays, metadata = threshold_state(line)
        older = {
            name: metadata[name]
            for name in ("value", "method", "false_alarm_rate", "records", "tail")
        }
        # When it is read
        again = thresholds_from(arrays, older)
        # Then it has the critical line that it would be given today
        assert (again.own, again.batch_fdr) == ({}, None)
        assert again.pooled.value == line.value
        assert again.pooled.critical_value == line.critical_value
        assert again.pooled.critical_rate == line.critical_rate
        assert again.pooled.independent == n


@pytest.mark.parametrize("asked", [{"per_entity": False}, {}], ids=["pooled", "per entity"])
def test_many_records_are_judged_quickly(asked):
    rng = np.random.default_rng(0)
    scores, entities = machines(rng, 10_000)
    lines = lines_of(scores, entities, **asked)
    judged, whose = machines(rng, 200_000)
    taken = []
    for _ in range(3):
        began = perf_counter()
        lines.judge(judged, whose, present(200_000))
        taken.append(perf_counter() - began)
    print(f"200,000 records in {1000 * min(taken):.0f} ms")
    assert min(taken) < 0.25  # 20 to 30 ms on an idle core
