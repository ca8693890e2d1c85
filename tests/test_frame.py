from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aemon.errors import FrameError
from aemon.frame import Roles, check_frame, join_frames
from aemon.times.event_times import event_times

ROLES = Roles(time="ts", key="id")
MOMENT = np.datetime64("2020-03-09T10:14:33.500000", "us")


def one_time(value, timezone="UTC"):
    """The event time of a column that holds this value alone."""
    return event_times(pd.Series([value], dtype=object), timezone)[0]


def table(**columns):
    return pd.DataFrame({"ts": [1, 2, 3], "id": [1, 2, 3], **columns})


def test_a_good_table_becomes_a_frame():
    frame = check_frame(table(flow=[1.0, 2.0, 3.0]), ROLES)
    assert len(frame) == 3
    assert frame.times.dtype == "datetime64[us]"
    assert list(frame.keys) == ["1", "2", "3"]
    assert list(frame.entities) == ["", "", ""]
    assert list(frame.values) == ["flow"]
    assert frame.rejected == {}


def test_the_table_itself_is_left_as_it_was():
    given_table = table(flow=[1.0, 2.0, 3.0])
    before = given_table.copy()
    frame = check_frame(given_table, ROLES)
    frame.times[:] = MOMENT
    frame.keys[:] = "x"
    pd.testing.assert_frame_equal(given_table, before)


def test_an_empty_table_is_an_empty_frame():
    frame = check_frame(pd.DataFrame(columns=["ts", "id", "pump", "flow"]), ROLES)
    assert len(frame) == 0
    assert frame.rejected == {}


def test_rows_without_time_or_key_are_left_out_and_counted():
    bad = pd.DataFrame({"ts": [1, None, 3, 4], "id": ["a", "b", None, ""], "flow": range(4)})
    frame = check_frame(bad, ROLES)
    assert list(frame.values["flow"]) == [0]
    assert frame.rejected == {"no_time": 1, "no_key": 2}


def test_a_key_counts_once_an_entity():
    twice = pd.DataFrame({"ts": range(4), "id": [7, 7, 7, 8], "pump": ["a", "a", "b", "a"]})
    frame = check_frame(twice, Roles(time="ts", key="id", entity="pump"))
    assert list(zip(frame.entities, frame.keys, strict=True)) == [
        ("a", "7"),
        ("b", "7"),
        ("a", "8"),
    ]
    assert frame.rejected == {"duplicate_key": 1}


def test_a_rejected_row_uses_up_no_key():
    twice = pd.DataFrame({"ts": ["what?", "2020-01-01"], "id": [7, 7], "flow": [1, 2]})
    frame = check_frame(twice, ROLES)
    assert list(frame.values["flow"]) == [2]
    assert frame.rejected == {"no_time": 1}


def test_a_whole_number_reads_the_same_beside_a_missing_one():
    keys = pd.DataFrame({"ts": [1, 2], "id": [12, None], "pump": [3, None]})
    assert str(keys["id"].dtype) == "float64"
    frame = check_frame(keys, Roles(time="ts", key="id", entity="pump"))
    assert list(frame.keys) == ["12"]
    assert list(frame.entities) == ["3"]


def test_a_missing_entity_is_an_empty_name():
    frame = check_frame(table(pump=["a", None, np.nan]), Roles(time="ts", key="id", entity="pump"))
    assert list(frame.entities) == ["a", "", ""]


def test_time_that_goes_backwards_is_kept_as_it_comes():
    frame = check_frame(table(ts=[3, 1, 2]), ROLES)
    assert list(frame.times.astype("int64") // 10**6) == [3, 1, 2]


@pytest.mark.parametrize("time", ["9999-12-31", "9999-12-31T23:59:59-12:00", "0001-01-01", 8.1e18])
@pytest.mark.parametrize("timezone", ["UTC", "Pacific/Auckland"])
def test_a_time_no_clock_can_have_meant_is_rejected(time, timezone):
    far = pd.DataFrame({"ts": pd.Series([time, "2020-01-01"], dtype=object), "id": [1, 2]})
    frame = check_frame(far, Roles(time="ts", key="id", timezone=timezone))
    reason = "time_out_of_range" if isinstance(time, str) else None
    assert list(frame.keys) == (["2"] if reason else ["1", "2"])
    assert frame.rejected == ({reason: 1} if reason else {})


def test_a_missing_column_is_named_with_those_that_are_there():
    with pytest.raises(FrameError, match=r"column 'ts' is not in the records.*there: id, flow"):
        check_frame(pd.DataFrame({"id": [1], "flow": [2]}), ROLES)


def test_two_columns_of_one_name_are_refused():
    twice = pd.DataFrame([[1, 2, 3, 4]], columns=["ts", "id", "flow", "flow"])
    with pytest.raises(FrameError, match="more than one column named 'flow'"):
        check_frame(twice, ROLES)


def test_taking_rows_counts_nothing_as_rejected():
    frame = check_frame(
        pd.DataFrame({"ts": [1, None, 3], "id": [1, 2, 3], "flow": [1, 2, 3]}), ROLES
    )
    taken = frame.take(slice(1, 2))
    assert list(taken.keys) == ["3"]
    assert list(taken.values.index) == [0]
    assert taken.rejected == {}


@pytest.mark.parametrize(
    "value",
    [
        "2020-03-09T10:14:33.5",
        "2020-03-09 10:14:33.500000",
        " 2020-03-09T10:14:33.5Z ",
        "2020-03-09T11:14:33.5+01:00",
        "2020-03-09T05:14:33.5-0500",
        1583748873.5,
        1583748873500,
        1583748873500000,
        1583748873500000000,
        "1583748873.5",
        "1583748873500",
        Decimal("1583748873.5"),
        np.int64(1583748873500),
        np.datetime64("2020-03-09T10:14:33.500000000", "ns"),
        datetime(2020, 3, 9, 10, 14, 33, 500000),  # noqa: DTZ001 -- naive on purpose
        datetime(2020, 3, 9, 10, 14, 33, 500000, tzinfo=UTC),
        pd.Timestamp("2020-03-09T11:14:33.5+01:00"),
    ],
)
def test_a_time_may_be_written_in_many_ways(value):
    assert one_time(value) == MOMENT


def test_a_date_is_its_midnight():
    assert one_time(date(2020, 3, 9)) == np.datetime64("2020-03-09", "us")


@pytest.mark.parametrize(
    "value",
    [
        None,
        np.nan,
        pd.NaT,
        "",
        "what?",
        "now",
        "today",
        True,
        b"2020-01-01",
        "10:00",
        1e300,
        np.inf,
    ],
)
def test_what_is_no_time_is_missing(value):
    assert np.isnat(one_time(value))


def test_times_of_all_kinds_may_share_a_column():
    mixed = pd.Series(["2020-03-09T10:14:33.5Z", 1583748873.5, None, "x"], dtype=object)
    assert list(np.isnat(event_times(mixed, "UTC"))) == [False, False, True, True]


def test_a_time_without_offset_is_one_of_the_configured_zone():
    assert one_time("2020-07-01 12:00", "Europe/Berlin") == np.datetime64("2020-07-01T10:00")
    assert one_time("2020-07-01 12:00Z", "Europe/Berlin") == np.datetime64("2020-07-01T12:00")


def test_text_with_and_without_offset_may_share_a_column():
    mixed = pd.Series(["2020-07-01 12:00", "2020-07-01 12:00+00:00", None], dtype="str")
    assert list(event_times(mixed, "Europe/Berlin")[:2]) == [
        np.datetime64("2020-07-01T10:00"),
        np.datetime64("2020-07-01T12:00"),
    ]


@pytest.mark.parametrize(
    ("zone", "local", "utc"),
    [
        ("Europe/Berlin", "2020-10-25 02:30", "2020-10-25T00:30"),
        ("Europe/Dublin", "2020-10-25 01:30", "2020-10-25T00:30"),
        ("America/New_York", "2020-11-01 01:30", "2020-11-01T05:30"),
    ],
)
def test_of_a_repeated_hour_the_first_is_meant(zone, local, utc):
    assert one_time(local, zone) == np.datetime64(utc)


def test_of_a_skipped_hour_the_first_moment_after_it_is_meant():
    assert one_time("2020-03-29 02:30", "Europe/Berlin") == np.datetime64("2020-03-29T01:00")


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_datetimes_of_every_unit_become_microseconds(unit):
    column = pd.Series(np.array(["2020-03-09T10:14:33"], dtype=f"datetime64[{unit}]"))
    assert event_times(column, "UTC").dtype == "datetime64[us]"
    assert event_times(column, "UTC")[0] == np.datetime64("2020-03-09T10:14:33")


@given(st.datetimes(min_value=datetime(1680, 1, 1), max_value=datetime(2260, 1, 1)))  # noqa: DTZ001
def test_every_moment_survives_text_to_the_microsecond(moment):
    assert one_time(moment.isoformat()) == np.datetime64(moment, "us")


@given(st.integers(min_value=10**14, max_value=9 * 10**16))
def test_every_whole_microsecond_survives(micros):
    assert one_time(micros) == np.datetime64(micros, "us")


@given(st.lists(st.one_of(st.text(), st.floats(), st.integers(), st.booleans(), st.none())))
def test_no_column_of_anything_is_an_error(values):
    column = pd.Series(values, dtype=object)
    assert len(event_times(column, "Europe/Berlin")) == len(values)
    frame = check_frame(pd.DataFrame({"ts": column, "id": column}, dtype=object), ROLES)
    assert len(frame) + sum(frame.rejected.values()) == len(values)


def test_a_frame_that_is_cut_keeps_which_rows_are_context():
    frame = check_frame(table(flow=[1.0, 2.0, 3.0]), ROLES)
    both = join_frames(frame.take(slice(0, 1)).as_context(), frame.take(slice(1, 3)))
    assert both.to_judge.tolist() == [False, True, True]
    cut = both.take(np.array([2, 0]))
    assert cut.to_judge.tolist() == [True, False]
    assert cut.without_context().keys.tolist() == [frame.keys[2]]
    assert cut.without_context().context is None


def test_a_frame_without_context_rows_is_judged_as_a_whole():
    frame = check_frame(table(flow=[1.0, 2.0, 3.0]), ROLES)
    assert frame.to_judge.all()
    assert frame.without_context() is frame
    assert join_frames(frame, frame.take(slice(0, 1))).context is None
