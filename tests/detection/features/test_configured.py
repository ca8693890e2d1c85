import numpy as np
import pytest

from aemon.config.column_settings import ColumnSettings
from aemon.detection.features.feature_fitting import describe_columns, fit_features
from aemon.errors import FrameError

N = 200
rng = np.random.default_rng(0)
STEADY = rng.normal(50, 5, N)


def kinds_of(feature_map):
    return {report.column: report.kind for report in feature_map.columns}


def reason_of(feature_map, column):
    return next(report.reason for report in feature_map.columns if report.column == column)


def test_the_configuration_overrides_the_choice(make_frame):
    frame = make_frame({"a": STEADY, "code": [1, 2, 3, 4] * 50, "b": STEADY, "c": STEADY})
    columns = ColumnSettings(include=("a", "code"), kinds={"code": "categorical"})
    feature_map = fit_features(frame, columns)
    assert kinds_of(feature_map) == {
        "a": "numeric",
        "code": "categorical",
        "b": "ignored",
        "c": "ignored",
    }
    excluded = fit_features(frame, ColumnSettings(exclude=("b",)))
    assert reason_of(excluded, "b") == "excluded by the configuration"


@pytest.mark.parametrize(
    "columns",
    [
        ColumnSettings(include=("presure",)),
        ColumnSettings(exclude=("presure",)),
        ColumnSettings(kinds={"presure": "numeric"}),
        ColumnSettings(units={"presure": "bar"}),
    ],
)
def test_a_configured_column_that_is_not_there_is_named_with_its_nearest(make_frame, columns):
    frame = make_frame({"pressure": STEADY, "flow": STEADY})
    with pytest.raises(FrameError, match=r"'presure'.*did you mean 'pressure'.*flow"):
        fit_features(frame, columns)


def test_text_configured_as_numeric_is_refused(make_frame):
    frame = make_frame({"a": STEADY, "mode": ["eco", "full"] * 100})
    with pytest.raises(FrameError, match=r"'mode' is configured as numeric but holds 'eco'"):
        fit_features(frame, ColumnSettings(kinds={"mode": "numeric"}))


@pytest.mark.parametrize(
    ("kind", "cells", "held"),
    [
        ("boolean", [50.25, 51.5] * 100, "50.25"),
        ("boolean", [0, 1, 2, 1] * 50, "2"),
        ("boolean", ["open", "shut"] * 100, "'open'"),
        ("numeric", ["2026-01-31"] * N, "'2026-01-31'"),
        ("numeric", [[1, 2]] * N, r"\[1, 2\]"),
        ("categorical", [{"a": 1}] * N, r"\{'a': 1\}"),
        ("categorical", STEADY, "200 different values in 200 records, such as "),
        ("categorical", [i % 101 for i in range(N)], "101 different values in 200 records"),
        ("categorical", [i % 201 for i in range(5000)], "201 different values in 5000 records"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_column_that_cannot_be_of_its_configured_kind_is_refused(make_frame, kind, cells, held):
    frame = make_frame({"flow": cells})
    for act in (fit_features, describe_columns):
        with pytest.raises(
            FrameError, match=f"column 'flow' is configured as {kind} but holds {held}"
        ) as caught:
            act(frame, ColumnSettings(kinds={"flow": kind}))
        assert "take 'flow' out of columns.kinds, or give it another kind" in caught.value.todo


@pytest.mark.parametrize(
    ("kind", "cells", "reason"),
    [
        (
            "boolean",
            ["On", "off", "TRUE", "f"] * 49 + ["ERR", "on", None, "inf"],
            (
                "as configured; 197 of 198 are numbers; these words are taken as missing: 'ERR' (1); "
                "1 missing, 1 infinite (both are missing cells)"
            ),
        ),
        ("numeric", [0, 1] * 100, "as configured"),
        ("numeric", [np.nan, 1.5, 2.5, np.nan] * 50, "as configured; 100 missing"),
        ("numeric", [np.inf] * 100 + [None] * 100, "every value missing or infinite"),
        ("categorical", [i % 100 for i in range(N)], "as configured"),
        ("categorical", [1, 2, 3, None] * 50, "as configured; 50 missing"),
        ("categorical", [1, 2, 3, 4, 5], "as configured"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_configured_kind_that_fits_is_taken(make_frame, kind, cells, reason):
    report = describe_columns(make_frame({"flow": cells}), ColumnSettings(kinds={"flow": kind}))
    assert report[0].reason == reason
