from datetime import date, time, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import numpy as np
import pandas as pd
import pytest

from aemon.config.column_settings import ColumnSettings
from aemon.detection.features.feature_fitting import describe_columns, fit_features

N = 200
AUTO = ColumnSettings()
rng = np.random.default_rng(0)
STEADY = rng.normal(size=N)


def taken(frame, columns=AUTO):
    """Kind and reason of the last column, which both ways to a report must agree upon."""
    report = describe_columns(frame, columns)[-1]
    if len(frame) >= N:
        assert fit_features(frame, columns).columns[-1] == report
    return report.kind, report.reason


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (rng.normal(size=N), "numeric"),
        (rng.integers(0, 9, N), "numeric"),
        (pd.array([1, None, 3, 4] * 50, dtype="Int64"), "numeric"),
        ([Decimal("1.5"), Decimal("2.5"), None, Decimal(3)] * 50, "numeric"),
        ([10**25, 2 * 10**25, 5, None] * 50, "numeric"),
        (["1.5", "2", " 3 ", ""] * 50, "numeric"),
        (["1.5", "2", "3", "4"] * 49 + ["5", "6", "7", "ERR"], "numeric"),
        ([True, False] * 100, "boolean"),
        ([True, None, False, True] * 50, "boolean"),
        (pd.array([True, None, False, True] * 50, dtype="boolean"), "boolean"),
        ([0, 1] * 100, "boolean"),
        (["0", "1"] * 100, "boolean"),
        (["open", "shut", None, "half"] * 50, "categorical"),
        (pd.Categorical(["open", "shut"] * 100), "categorical"),
        ([f"serial {i}" for i in range(N)], "ignored"),
        ([f"note {i % 80}" for i in range(N)], "ignored"),
        (pd.date_range("2026-01-01", periods=N), "ignored"),
        (pd.date_range("2026-01-01", periods=N, tz="Europe/Berlin"), "ignored"),
        (pd.to_timedelta(np.arange(N), unit="s"), "ignored"),
        (pd.period_range("2026-01-01", periods=N), "ignored"),
        ([date(2026, 1, 1 + i % 28) for i in range(N)], "ignored"),
        ([time(i % 24) for i in range(N)], "ignored"),
        ([timedelta(seconds=i) for i in range(N)], "ignored"),
        (["2026-01-31"] * N, "ignored"),
        ([f"2026-01-31 10:{i % 60:02}:00+00:00" for i in range(N)], "ignored"),
        ([f"2026-01-31T10:{i % 60:02}:00.125Z" for i in range(N - 9)] + ["ERR"] * 9, "ignored"),
        (["2020", "2021"] * 100, "numeric"),
        (["2026-Q1", "2026-Q2"] * 100, "categorical"),
        ([uuid4() for _ in range(N)], "ignored"),
        ([UUID(int=i % 3) for i in range(N)], "categorical"),
        ([{"a": 1}, {"b": [2]}] * 100, "ignored"),
        ([[1, 2], (3, 4), {5}, frozenset({6})] * 50, "ignored"),
        ([np.array([1.0, 2.0])] * N, "ignored"),
        ([b"raw", bytearray(b"raw"), memoryview(b"raw"), None] * 50, "ignored"),
        ([1 + 2j] * N, "ignored"),
        (["open", "shut", [1], {}] * 25 + ["open", "shut"] * 50, "categorical"),
        ([10**400, 1, 2, 3] * 50, "numeric"),
        (["inf", "-Infinity", "nan", ""] * 50, "ignored"),
        ([None] * N, "ignored"),
        (np.full(N, np.nan), "ignored"),
        (np.full(N, np.inf), "ignored"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value[0]).__name__,
)
def test_a_columns_kind_is_chosen_from_its_cells(make_frame, cells, kind):
    frame = make_frame({"steady": STEADY, "column": cells})
    assert taken(frame)[0] == kind
    feature_map = fit_features(frame, AUTO)
    feature_map.read(frame)
    features, mask = feature_map.transform(frame)
    assert features.dtype == np.float32
    assert features.shape == mask.shape == (N, len(feature_map))
    assert np.isfinite(features).all()
    assert (features[~mask] == 0).all()


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (STEADY, "numbers"),
        (
            [None] * 12 + [np.inf] * 3 + [*STEADY[15:]],
            "numbers; 12 missing, 3 infinite (both are missing cells)",
        ),
        ([np.nan] * 12 + [*STEADY[12:]], "numbers; 12 missing"),
        ([*STEADY[:-1], -np.inf], "numbers; 1 infinite (taken as missing)"),
        (
            ["ERR", "inf", "nan", *map(str, STEADY[3:])],
            (
                "numbers written as text; 197 of 198 are numbers; these words are taken as missing: "
                "'ERR' (1); 1 missing, 1 infinite (both are missing cells)"
            ),
        ),
        ([Decimal("1.5"), None, Decimal(3), Decimal(4)] * 50, "numbers; 50 missing"),
        ([0, 1] * 100, "only 0 and 1"),
        (["0", "1"] * 99 + [None, ""], "only 0 and 1 written as text; 2 missing"),
        ([True, False] * 99 + [None, True], "true and false; 1 missing"),
        (["eco", "full"] * 99 + [None, "eco"], "2 different texts; 1 missing"),
        (np.full(N, 7.0), "constant: flagged if its value changes"),
        ([None] * N, "every value missing"),
        (np.full(N, np.inf), "every value missing or infinite"),
        ([f"s{i}" for i in range(N)], "an identifier, 200 different texts in 200 records"),
        (
            [f"n{i % 80}" for i in range(N)],
            "free text, 80 different texts in 200 records: more than 50",
        ),
        ([{"a": 1}] * N, "nested values: select their parts as columns of their own"),
        ([b"raw"] * N, "binary values: select measured parts of them as columns of their own"),
        (["2026-01-31"] * N, "times: only the source's time column is used"),
        ([timedelta(1)] * N, "lengths of time: give each length as a number of seconds"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_reports_say_why(make_frame, cells, reason):
    assert taken(make_frame({"steady": STEADY, "column": cells}))[1] == reason


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([], ("ignored", "no record yet")),
        ([5.5], ("numeric", "one value so far")),
        ([0], ("numeric", "one value so far")),
        ([True], ("boolean", "one value so far")),
        (["eco"], ("categorical", "one value so far")),
        ([uuid4()], ("categorical", "one value so far")),
        (["eco"] * 49, ("categorical", "one value so far")),
        (["eco"] * 50, ("categorical", "constant: flagged if its value changes")),
        (["eco", "full"], ("ignored", "too few records to decide, 2 different texts in 2 records")),
        (
            [f"s{i}" for i in range(10)],
            ("ignored", "too few records to decide, 10 different texts in 10 records"),
        ),
        ([None], ("ignored", "every value missing")),
        ([1.0, 2.5], ("numeric", "numbers")),
        ([["x"]], ("ignored", "nested values: select their parts as columns of their own")),
    ],
)
def test_a_source_that_has_just_begun_can_be_described(make_frame, cells, expected):
    assert taken(make_frame({"column": pd.Series(cells, dtype=object)})) == expected


def test_the_entity_is_described_too(make_frame):
    frame = make_frame({"a": [1.0, 1.0]}, entities=["p1", "p2"])
    report = describe_columns(frame, AUTO)[-1]
    assert (report.column, report.kind) == ("(entity)", "context")
