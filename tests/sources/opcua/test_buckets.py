"""Changes of values as records of a steady pace."""

from datetime import UTC, datetime, timedelta

import pytest

from aemon.sources.opcua.buckets import MOST_AT_ONCE, Buckets

T0 = datetime(2026, 3, 1, tzinfo=UTC)
FLOW, PRESSURE = ("p1", "flow"), ("p1", "pressure")


def at(seconds):
    return T0 + timedelta(seconds=seconds)


@pytest.fixture
def buckets():
    """Of ten seconds, closed five seconds later, connected at a second past."""
    made = Buckets(timedelta(seconds=10), timedelta(seconds=5), None)
    made.connect(at(1))
    return made


def put(buckets, cell, value, seconds, *, now=None, first=False):
    return buckets.put(cell, value, at(seconds), at(seconds if now is None else now), first=first)


def closed(buckets, now):
    return [(one.entity, one.begin, one.columns) for one in buckets.close(at(now))]


def test_the_last_value_of_each_cell_makes_a_record_once_the_bucket_is_over(buckets):
    put(buckets, FLOW, 1, 11)
    put(buckets, FLOW, 3, 19)
    put(buckets, FLOW, 2, 15)  # comes after the one of second 19
    put(buckets, PRESSURE, 7, 12)
    assert closed(buckets, 24) == []
    assert closed(buckets, 25) == [("p1", at(10), {"flow": 3, "pressure": 7})]
    assert closed(buckets, 25) == []


def test_no_record_is_made_of_the_time_in_which_the_connection_began(buckets):
    assert put(buckets, FLOW, 1, 5) == ""
    assert closed(buckets, 15) == []
    assert closed(buckets, 25) == [("p1", at(10), {"flow": 1})]


def test_a_value_counts_until_another_one_comes(buckets):
    put(buckets, FLOW, 1, -5_000, now=1, first=True)
    put(buckets, FLOW, 2, 31)
    assert [columns["flow"] for _, _, columns in closed(buckets, 45)] == [1, 1, 2]


def test_a_value_of_bad_quality_is_missing_and_a_record_without_any_is_none(buckets):
    put(buckets, FLOW, 1, 11)
    put(buckets, PRESSURE, 2, 11)
    put(buckets, PRESSURE, None, 12)
    put(buckets, FLOW, None, 25)
    assert closed(buckets, 100) == [("p1", at(10), {"flow": 1, "pressure": None})]


def test_what_comes_after_its_record_is_late_and_counts_for_the_next(buckets):
    put(buckets, FLOW, 1, 11)
    closed(buckets, 25)
    assert put(buckets, FLOW, 2, 19, now=26) == "too_late"
    assert put(buckets, FLOW, 9, 12, now=26) == "too_late"  # and older than what is known
    assert closed(buckets, 35) == [("p1", at(20), {"flow": 2})]


def test_a_value_that_the_server_says_again_is_not_late(buckets):
    put(buckets, FLOW, 1, 11)
    closed(buckets, 25)
    assert put(buckets, FLOW, 1, 11, now=26) == ""


def test_a_time_far_ahead_is_no_time_and_makes_the_cell_missing(buckets):
    put(buckets, PRESSURE, 5, 5_000, now=1, first=True)  # what holds does, whatever its time
    put(buckets, FLOW, 3, 11)
    assert put(buckets, FLOW, 1, 5_000, now=11) == "time_out_of_range"
    assert put(buckets, FLOW, 1, 22, now=11) == ""
    found = {begin: columns for _, begin, columns in closed(buckets, 35)}
    assert found[at(20)] == {"flow": 1, "pressure": 5}


def test_after_a_lost_connection_nothing_is_known(buckets):
    put(buckets, FLOW, 1, 11)
    buckets.disconnect()
    assert put(buckets, FLOW, 2, 12) == ""
    assert closed(buckets, 100) == []
    buckets.connect(at(101))
    put(buckets, PRESSURE, 3, 11, now=101, first=True)
    assert closed(buckets, 125) == [("p1", at(110), {"pressure": 3})]


def test_a_value_may_be_held_for_a_while_alone():
    buckets = Buckets(timedelta(seconds=10), timedelta(0), timedelta(seconds=15))
    buckets.connect(at(1))
    put(buckets, FLOW, 1, 11)
    for second in (11, 21, 31, 41):
        put(buckets, PRESSURE, 2, second)
    assert [columns["flow"] for _, _, columns in closed(buckets, 50)] == [1, 1, None, None]


def test_a_machine_that_slept_makes_no_records_of_that_time(buckets):
    put(buckets, FLOW, 1, 11)
    much_later = 10 * MOST_AT_ONCE + 1_000
    assert closed(buckets, much_later) == []
    assert len(closed(buckets, much_later + 15)) == 1


def test_a_value_with_a_time_far_ahead_ends_what_held_before(buckets):
    put(buckets, PRESSURE, 5, 1, first=True)
    put(buckets, FLOW, 3, 1, first=True)
    put(buckets, FLOW, 4, 9_000, now=12)
    assert closed(buckets, 25) == [("p1", at(10), {"pressure": 5, "flow": None})]
