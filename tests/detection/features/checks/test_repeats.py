import json

import numpy as np
import pytest

from aemon.detection.features.checks.repeats import (
    Repeats,
    find_frozen,
    longest_usual,
    none_too_long,
    run_lengths,
)

rng = np.random.default_rng(0)
NAN = np.nan


def nobody(records: int):
    return np.full(records, "", dtype=object)


def lengths_of(cells, entities=None, before=None):
    numbers = np.array(cells, dtype=float)[:, None]
    found, after = run_lengths(
        numbers, nobody(len(cells)) if entities is None else np.array(entities, object), before
    )
    return found[:, 0].tolist(), after


@pytest.mark.parametrize(
    ("cells", "lengths"),
    [
        ([1, 2, 2, 2, 3], [1, 1, 2, 3, 1]),
        ([1, 1, NAN, 1, 2], [1, 2, 0, 3, 1]),
        ([NAN, NAN, 1, 1], [0, 0, 1, 2]),
        ([NAN, NAN], [0, 0]),
        ([5], [1]),
    ],
)
def test_repeated_numbers_are_counted_and_gaps_are_not(cells, lengths):
    assert lengths_of(cells)[0] == lengths


@pytest.mark.parametrize("cut", range(1, 9))
def test_a_stretch_goes_on_in_the_next_records(cut):
    cells = [1, 1, NAN, 1, 1, 2, NAN, 2, 3]
    whole, _ = lengths_of(cells)
    first, before = lengths_of(cells[:cut])
    then, _ = lengths_of(cells[cut:], before=before)
    assert first + then == whole


def test_each_entity_repeats_for_itself():
    cells, entities = [7, 7, 7, 8, 7, 8], ["a", "b", "a", "b", "a", "b"]
    whole, _ = lengths_of(cells, entities)
    assert whole == [1, 1, 2, 1, 3, 2]
    first, before = lengths_of(cells[:3], entities[:3])
    then, _ = lengths_of(cells[3:], entities[3:], before)
    assert first + then == whole


@pytest.mark.parametrize(
    ("numbers", "limit"),
    [
        (rng.normal(size=1000), 5),
        (rng.normal(size=1000).round(1), 9),
        (np.repeat(rng.normal(size=200), 5), 50),
        (rng.integers(0, 2, 1000).astype(float), None),
        (np.where(np.arange(1000) % 300 < 100, 0.0, rng.normal(size=1000)), 0),
        (rng.normal(size=50), 0),
        (np.full(1000, NAN), 0),
    ],
    ids=["noise", "one decimal", "held", "coin", "stands still", "few", "empty"],
)
def test_how_long_a_column_may_stand_still_is_learned(numbers, limit):
    found = longest_usual(numbers, nobody(len(numbers)))
    assert found == limit if limit is not None else 80 < found < 200


def frozen(numbers, decimals=(6,), limits=(5,)):
    lengths, _ = run_lengths(numbers, nobody(len(numbers)))
    return find_frozen(numbers, lengths, limits, decimals)


def test_a_stretch_beyond_the_limit_is_frozen_from_there_on():
    numbers = rng.normal(size=(40, 1)).round(6)
    numbers[10:20] = 0.123456
    assert np.flatnonzero(frozen(numbers)).tolist() == [15, 16, 17, 18, 19]
    assert not frozen(numbers, limits=(0,)).any()


def test_numbers_that_became_coarser_repeat_and_are_not_frozen():
    coarse = rng.normal(2.975, 0.0025, (40, 1)).round(2)
    assert not frozen(coarse).any()
    assert not frozen(np.full((1, 1), 2.98)).any()
    beside = np.concatenate([np.full((40, 1), 3.0), rng.normal(size=(40, 1)).round(6)], axis=1)
    assert frozen(beside, (6, 6), (5, 5))[:, 0].any()


@pytest.mark.parametrize("seed", range(20))
def test_the_short_way_carries_on_what_the_long_way_counts(seed):
    chance = np.random.default_rng(seed)
    numbers = chance.integers(0, 3, (9, 2)).astype(float)
    cut = int(chance.integers(1, 9))
    _, before = run_lengths(numbers[:cut], nobody(cut))
    lengths, after = run_lengths(numbers[cut:], nobody(9 - cut), before)
    plain = none_too_long(numbers[cut:], nobody(9 - cut), [20, 20], before)
    assert plain is not None
    np.testing.assert_array_equal(plain.by_entity[""].numbers, after.by_entity[""].numbers)
    np.testing.assert_array_equal(plain.by_entity[""].lengths, after.by_entity[""].lengths)
    short = none_too_long(numbers[cut:], nobody(9 - cut), [2, 2], before)
    assert short is None or lengths.max() <= 2


def test_several_entities_and_gaps_take_the_long_way():
    numbers = rng.normal(size=(3, 1))
    assert none_too_long(numbers, np.array(["a", "b", "a"], object), [5]) is None
    numbers[1] = NAN
    assert none_too_long(numbers, nobody(3), [5]) is None


def test_what_was_repeated_for_long_outlives_the_daemon_by_its_column():
    cells = np.stack([np.full(50, 3.5), rng.normal(size=50)], axis=1)
    _, before = run_lengths(cells, np.array(["p1"] * 50, object))
    noted = json.loads(json.dumps(before.as_json(["flow", "level"])))
    assert noted == {"p1": {"flow": [3.5, 50]}}
    # Given a detector that counts other columns, in another order
    again = Repeats.from_json(noted, ["current", "flow"])
    next_ones = np.array([[1.0, 3.5], [1.0, 3.5]])
    lengths, _ = run_lengths(next_ones, np.array(["p1", "p1"], object), again)
    assert lengths.tolist() == [[1, 51], [2, 52]]


@pytest.mark.parametrize(
    "junk", [None, [], 7, "x", {"p1": 3}, {"p1": {"flow": "x"}}, {"p1": {"flow": [1]}}]
)
def test_junk_in_the_place_of_repeats_is_nobodys(junk):
    assert Repeats.from_json(junk, ["flow"]).by_entity == {}
