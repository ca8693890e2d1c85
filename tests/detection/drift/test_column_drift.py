"""Drift of the columns: the population stability index against the bins of training."""

import json

import numpy as np
import pandas as pd
import pytest

from aemon.config.learning_settings import LearningSettings
from aemon.detection.drift.column_drift import (
    DRIFTED,
    HALF_LIFE,
    ColumnCounts,
    Reference,
    drifted_columns,
    first_counts,
    no_counts,
    psi,
    reference,
)
from aemon.detection.features.feature_fitting import fit_features


@pytest.fixture(scope="module")
def learned(pump_records):
    from tests.detection.conftest import frame_of

    frame = frame_of(pump_records(2000, 1))
    return reference(frame, fit_features(frame, LearningSettings().columns))


@pytest.fixture
def index(learned, make_frame):
    def of(table: pd.DataFrame, half_life=HALF_LIFE, batch=500) -> dict[str, float]:
        counts = no_counts(learned, half_life)
        for start in range(0, len(table), batch):
            counts = counts.after(learned, make_frame(table.iloc[start : start + batch]))
        return psi(learned, counts)

    return of


def test_every_judged_column_is_cut(learned):
    sorts = {bins.column: bins.sort for bins in learned.bins}
    assert sorts == {
        "flow": "numeric", "pressure": "numeric", "current": "numeric", "temperature": "numeric",
        "room": "numeric", "open": "boolean", "mode": "categorical",
    }  # fmt: skip
    for bins in learned.bins:
        assert sum(bins.counts) == learned.records == 2000
        assert len(bins.counts) == {"numeric": 11, "boolean": 3, "categorical": 5}[bins.sort]


def test_the_same_life_has_an_index_of_nought(index, pump_records):
    found = [index(pump_records(n, seed)) for seed in range(2, 22) for n in (210, 1000)]
    values = np.array([list(one.values()) for one in found])
    assert values.max() < DRIFTED / 2
    assert values.mean() < 0.01


@pytest.mark.parametrize("records", [210, 500, 3000])
def test_fifty_categories_of_the_same_life_do_not_reach_the_level(records, make_frame):
    rng = np.random.default_rng(0)
    names = np.array([f"c{i}" for i in range(50)])

    def life(n):
        return make_frame(pd.DataFrame({"x": rng.normal(size=n), "name": rng.choice(names, n)}))

    frame = life(2000)
    found = reference(frame, fit_features(frame, LearningSettings().columns))
    for _ in range(20):
        late = psi(found, no_counts(found).after(found, life(records)))
        assert late["name"] < DRIFTED


def test_few_records_tell_nothing(index, pump_records):
    assert index(pump_records(199, 5)) == {}


CHANGES = {
    "a number moves by a spread": ("room", lambda t: t.assign(room=t["room"] + 3)),
    "a number spreads": ("room", lambda t: t.assign(room=20 + 3 * (t["room"] - 20))),
    "a column comes in empty": ("flow", lambda t: t.assign(flow=np.nan)),
    "a column is not there": ("flow", lambda t: t.drop(columns="flow")),
    "a switch stays on": ("open", lambda t: t.assign(open=True)),
    "a text was never seen": ("mode", lambda t: t.assign(mode="turbo")),
    "one text alone is left": ("mode", lambda t: t.assign(mode="eco")),
    "a number is in another unit": ("pressure", lambda t: t.assign(pressure=t["pressure"] * 100)),
}


@pytest.mark.parametrize(("column", "change"), CHANGES.values(), ids=CHANGES)
def test_drift_is_told_of_the_column_that_drifts(index, pump_records, column, change):
    found = index(change(pump_records(1000, 7)))
    assert found[column] > DRIFTED
    assert all(value < DRIFTED for name, value in found.items() if name != column)


@pytest.mark.parametrize("change", [lambda t: t, *(change for _, change in CHANGES.values())],
                         ids=["nothing", *CHANGES])  # fmt: skip
def test_the_columns_that_drifted_are_named(index, learned, pump_records, change):
    found = index(change(pump_records(1000, 7)))
    assert set(drifted_columns(learned, found)) == {n for n, v in found.items() if v > DRIFTED}


def test_a_column_that_wandered_in_training_has_not_drifted_when_it_does_so_again(make_frame):
    """Given a column that has a level of its own every day of 1,500 records."""
    rng = np.random.default_rng(0)

    def days(count):
        level = np.repeat(rng.normal(0, 3, count), 1500)
        n = len(level)
        return make_frame(
            pd.DataFrame({"level": level + rng.normal(size=n), "x": rng.normal(size=n)})
        )

    frame = days(10)
    found = reference(frame, fit_features(frame, LearningSettings().columns))
    late = psi(found, first_counts(found).after(found, days(2)))
    assert late["level"] > DRIFTED
    assert drifted_columns(found, late) == ()
    gone = days(2)
    moved = make_frame(gone.values.assign(level=gone.values["level"] + 30))
    assert drifted_columns(found, psi(found, first_counts(found).after(found, moved))) == ("level",)


def test_a_short_fault_is_no_drift(index, pump_records):
    table = pump_records(2000, 7)
    table.loc[1900:, "flow"] = 1e6
    assert index(table)["flow"] < DRIFTED


def test_a_drift_long_past_is_forgotten(index, pump_records):
    table = pump_records(12_000, 7)
    table.loc[:1000, "room"] += 30
    assert index(table.iloc[:1000])["room"] > DRIFTED
    assert index(table)["room"] < 0.01


def test_records_that_hang_together_are_worth_less(learned, make_frame, pump_records):
    counts = no_counts(learned).after(learned, make_frame(pump_records(1000, 3)))
    assert psi(learned, counts, independent=0.1) == {}
    alike = make_frame(pump_records(40, 3).loc[np.repeat(np.arange(40), 50)])
    counts = no_counts(learned).after(learned, alike)
    assert psi(learned, counts)["room"] > psi(learned, counts, independent=0.15)["room"]


def test_a_column_nearly_always_nought_is_still_cut(make_frame):
    rng = np.random.default_rng(0)

    def life(share):
        return make_frame(pd.DataFrame({"x": rng.normal(size=2000),
                                        "rain": (rng.random(2000) < share) * rng.gamma(2, size=2000)}))  # fmt: skip

    frame = life(0.03)
    found = reference(frame, fit_features(frame, LearningSettings().columns))
    assert psi(found, no_counts(found).after(found, life(0.03)))["rain"] < 0.05
    assert psi(found, no_counts(found).after(found, life(0.5)))["rain"] > DRIFTED


def test_counts_are_the_same_however_the_records_are_cut(learned, make_frame, pump_records):
    table = pump_records(700, 4)
    whole = no_counts(learned).after(learned, make_frame(table))
    cut = no_counts(learned)
    for start in range(0, 700, 70):
        cut = cut.after(learned, make_frame(table.iloc[start : start + 70]))
    assert cut.records == pytest.approx(whole.records)
    for name, counted in whole.counts.items():
        np.testing.assert_allclose(cut.counts[name], counted)


def test_a_record_weighs_half_after_a_half_life(learned, make_frame, pump_records):
    counts = no_counts(learned, half_life=100).after(learned, make_frame(pump_records(1, 4)))
    later = counts.after(learned, make_frame(pump_records(100, 4)))
    assert counts.weight == 1
    assert later.weight == pytest.approx(0.5 + (1 - 0.5) / (1 - 0.5 ** (1 / 100)))


def test_both_come_back_from_json(learned, make_frame, pump_records):
    counts = no_counts(learned).after(learned, make_frame(pump_records(300, 4)))
    assert Reference.from_json(json.loads(json.dumps(learned.as_json()))) == learned
    assert ColumnCounts.from_json(json.loads(json.dumps(counts.as_json()))) == counts
    assert len(json.dumps(learned.as_json())) < 500 * len(learned.bins)
