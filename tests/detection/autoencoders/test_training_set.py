import numpy as np
import pytest

from aemon.detection.autoencoders.training_set import contiguous_folds, folds_of, likeness_in_a_row
from tests.detection.training_sets import lesson_of, records, wandering


@pytest.mark.parametrize(("count", "members"), [(100, 3), (25, 4), (20, 20), (7, 2)])
def test_folds_are_stretches_of_equal_length_in_the_order_of_time(count, members):
    folds = contiguous_folds(count, members)
    assert (np.diff(folds) >= 0).all()
    sizes = np.bincount(folds, minlength=members)
    assert sizes.sum() == count
    assert np.ptp(sizes) <= 1


def test_a_single_member_is_tried_on_the_newest_fifth():
    np.testing.assert_array_equal(contiguous_folds(10, 1), [-1] * 8 + [0] * 2)


def test_no_member_learns_from_its_own_fold():
    training_set = lesson_of(records(100, 0), members=3)
    assert len(training_set) == 100
    for m, pool in enumerate(training_set.pools):
        assert not (training_set.folds[pool] == m).any()
        assert len(set(pool)) == len(pool) == 66


class TestSeries:
    @pytest.mark.parametrize("seed", range(5))
    def test_records_that_follow_from_the_last_are_one_and_the_same_in_any_order_are_not(
        self, seed
    ):
        series = wandering(200, seed)
        assert likeness_in_a_row(series).beyond_chance
        assert not likeness_in_a_row(np.random.default_rng(seed).permutation(series)).beyond_chance

    def test_chance_seldom_makes_one(self):
        found = [likeness_in_a_row(records(100, seed)).beyond_chance for seed in range(500)]
        assert np.mean(found) < 0.01

    def test_most_features_have_to_follow(self):
        walk, noise = wandering(200, 0), records(200, 0, features=40)
        assert likeness_in_a_row(np.concatenate([walk, noise[:, :4]], axis=1)).beyond_chance
        assert not likeness_in_a_row(np.concatenate([walk[:, :1], noise], axis=1)).beyond_chance

    def test_each_entity_follows_itself(self):
        # Given the records of three entities, one after the other, over and over
        entities = np.arange(600) % 3
        levels = 5 * entities[:, None]
        follow = np.stack([wandering(200, seed) for seed in range(3)], axis=1).reshape(600, -1)
        apart = (records(600, 0) + levels).astype(np.float32)
        # Then neither do others between them hide a series, nor do their levels make one
        assert likeness_in_a_row(follow, entities).beyond_chance
        assert not likeness_in_a_row(apart, entities).beyond_chance
        assert not likeness_in_a_row(follow, np.arange(600)).beyond_chance

    @pytest.mark.parametrize(
        "found", [np.zeros((50, 3)), np.zeros((50, 0))], ids=["constants", "nothing judged"]
    )
    def test_what_never_changes_is_none(self, found):
        assert not likeness_in_a_row(found).beyond_chance


def test_each_entity_is_cut_on_its_own_and_those_with_few_records_together():
    """Given one pump that is there all the time, one that is new, and visitors."""
    entities = np.array(["old"] * 300 + ["old", "new"] * 150 + ["visitor 1", "visitor 2"], object)
    folds = folds_of(entities, 3)
    for name, count in (("old", 450), ("new", 150)):
        own = folds[entities == name]
        assert np.bincount(own).tolist() == [count // 3] * 3
        assert (np.diff(own) >= 0).all()
    assert len(folds_of(np.array(["a"] * 90, object), 3)) == 90
    assert (folds_of(np.full(90, "", object), 3) == contiguous_folds(90, 3)).all()
