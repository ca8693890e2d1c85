"""A shift that stays: recognised once, from its first record on, until it is over."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from aemon.detection.drift.level_shift import MOST_LEVEL, Shift

START = datetime(2026, 1, 1, tzinfo=UTC)
ENOUGH = (100, timedelta(minutes=100))


def times_of(n, first=0):
    minutes = (first + np.arange(n)).astype("timedelta64[m]")
    return np.datetime64("2026-01-01", "us") + minutes


def after(flagged, batch=50) -> Shift:
    flagged, state = np.asarray(flagged, dtype=bool), Shift()
    for start in range(0, len(flagged), batch):
        part = flagged[start : start + batch]
        state = state.after(times_of(len(part), start), part)
    return state


def coins(share, n, seed=0):
    return np.random.default_rng(seed).random(n) < share


@pytest.mark.parametrize(
    ("share", "lasts"), [(0.0, False), (0.01, False), (0.2, False), (0.4, False),
                         (0.7, True), (0.9, True), (1.0, True)],
)  # fmt: skip
def test_a_shift_lasts_where_most_records_are_flagged(share, lasts):
    assert {after(coins(share, 500, seed)).stays(*ENOUGH) for seed in range(20)} == {lasts}


def test_it_is_known_since_when():
    state = after([False] * 200 + [True] * 300)
    assert state.since == START + timedelta(minutes=200)
    assert state.until == START + timedelta(minutes=499)
    assert (state.records, state.flagged) == (300, 300)


@pytest.mark.parametrize(
    ("needs", "stays"),
    [
        ((300, timedelta(minutes=299)), True),
        ((301, timedelta(0)), False),
        ((1, timedelta(minutes=300)), False),
    ],
    ids=["long enough", "too few records", "too short a time"],
)
def test_it_takes_both_records_and_time(needs, stays):
    assert after([False] * 200 + [True] * 300).stays(*needs) is stays


def test_a_short_fault_is_no_shift_that_stays():
    state = after([True] * 60 + [False] * 60)
    assert state == Shift()


def test_it_ends_soon_after_the_records_are_normal_again_and_the_next_is_another():
    state = after([True] * 300)
    assert state.stays(*ENOUGH)
    later = state.after(times_of(500, 300), np.ones(500, dtype=bool))
    assert later.since == START
    state = state.after(times_of(MOST_LEVEL, 300), np.zeros(MOST_LEVEL, dtype=bool))
    assert state == Shift()
    state = state.after(times_of(200, 400), np.ones(200, dtype=bool))
    assert state.stays(*ENOUGH)
    assert state.since == START + timedelta(minutes=400)


def test_it_outlasts_records_that_look_normal_now_and_then():
    flagged = np.ones(400, dtype=bool)
    flagged[::5] = False
    flagged[200:210] = False
    state = after(flagged)
    assert state.since == START + timedelta(minutes=1)
    assert state.stays(*ENOUGH)


@pytest.mark.parametrize("flagged", [[], [True] * 30, [False] * 3, [True] * 300])
def test_it_comes_back_from_json(flagged):
    state = after(flagged)
    assert Shift.from_json(json.loads(json.dumps(state.as_json()))) == state


def test_it_is_the_same_however_the_records_are_cut():
    flagged = coins(0.6, 400)
    assert after(flagged, 7) == after(flagged, 400)
