"""How columns go together: near-exact relations, and records that break them."""

import numpy as np
import pytest

from aemon.detection.scoring.relations import (
    SHRINKAGES,
    choose_shrinkage,
    fit_relations,
)

SHRINKAGE = 1e-4
ONES = np.ones(3, dtype=np.float32)


def balanced(count, seed, *, leak=0.01):
    """Records of an inflow, an outflow, and their difference, which errs by a little."""
    rng = np.random.default_rng(seed)
    flows = rng.normal(size=(count, 2))
    stock = (flows[:, 0] - flows[:, 1]) / np.sqrt(2) + leak * rng.normal(size=count)
    return np.column_stack([flows, stock]).astype(np.float32)


NORMAL = balanced(2000, seed=0)
SEEN = np.ones(NORMAL.shape, dtype=bool)


def distances(relations, records, mask=None):
    mask = np.ones(records.shape, dtype=bool) if mask is None else mask
    return (relations.whitened(np.where(mask, records, 0).astype(np.float32), mask) ** 2).sum(
        axis=1
    )


class TestScale:
    def test_on_it_normal_records_have_a_spread_of_1_in_every_direction(self):
        whitened = fit_relations(NORMAL, ONES, 1e-9).whitened(NORMAL, SEEN)
        np.testing.assert_allclose(np.cov(whitened.T), np.eye(3), atol=0.01)

    def test_distances_are_those_of_the_covariance_itself(self):
        found = distances(fit_relations(NORMAL, ONES, 1e-9), NORMAL)
        centred = (NORMAL - NORMAL.mean(axis=0)).astype(float)
        inverse = np.linalg.inv(np.cov(centred.T, bias=True))
        np.testing.assert_allclose(
            found, np.einsum("nf,fg,ng->n", centred, inverse, centred), rtol=0.01
        )

    def test_a_record_with_gaps_is_as_far_as_its_cells_say(self):
        # Given records of which one cell is missing
        mask = SEEN.copy()
        mask[:, 1] = False
        found = distances(fit_relations(NORMAL, ONES, 1e-9), NORMAL, mask)
        # Then they are as far as among records of the other columns alone
        alone = distances(fit_relations(NORMAL[:, [0, 2]], ONES[:2], 1e-9), NORMAL[:, [0, 2]])
        np.testing.assert_allclose(found, alone, rtol=0.01, atol=1e-3)

    def test_each_entity_has_a_middle_of_its_own(self):
        # Given two entities, of which one lives five spreads above the other; the last two
        # features say which
        second = np.arange(len(NORMAL)) % 2 == 1
        whose = np.column_stack([~second, second]).astype(np.float32)
        both = np.column_stack([NORMAL + 5 * second[:, None].astype(np.float32), whose])
        weights = np.array([1, 1, 1, 0, 0], dtype=np.float32)
        relations = fit_relations(both, weights, SHRINKAGE)
        # Then their records are as far as those of one, and no less where they are odd
        alone = fit_relations(NORMAL, ONES, SHRINKAGE)
        np.testing.assert_allclose(
            distances(relations, both), distances(alone, NORMAL), rtol=0.1, atol=0.05
        )
        assert choose_shrinkage(both, weights) == choose_shrinkage(NORMAL, ONES)
        swapped = np.column_stack([both[:, :3], whose[:, ::-1]])
        assert np.median(distances(relations, swapped)) > 100
        # And one that nobody knows is held against all of them
        mask = np.ones(both.shape, dtype=bool)
        mask[:, 3:] = False
        assert np.isfinite(distances(relations, both, mask)).all()


class TestBrokenRelation:
    def test_it_is_odd_where_every_value_is_usual(self):
        relations = fit_relations(NORMAL, ONES, SHRINKAGE)
        broken = balanced(200, seed=1)
        broken[:, 2] += 0.3  # three tenths of its own spread, thirty times what it errs by
        usual = distances(relations, balanced(2000, seed=2))
        assert (distances(relations, broken) > usual.max()).all()

    def test_with_a_tenth_of_the_correlations_taken_away_it_would_not_be(self):
        relations = fit_relations(NORMAL, ONES, 0.1)
        broken = balanced(200, seed=1)
        broken[:, 2] += 0.3
        usual = distances(relations, balanced(2000, seed=2))
        assert (distances(relations, broken) > usual.max()).mean() < 0.1

    def test_the_nearest_normal_record_is_far_on_this_scale(self):
        relations = fit_relations(NORMAL, ONES, SHRINKAGE, NORMAL)
        broken = balanced(200, seed=1)
        broken[:, 2] += 0.3
        seen = np.ones(broken.shape, dtype=bool)
        near, _ = relations.nearest(relations.whitened(balanced(200, seed=2), seen))
        far, rows = relations.nearest(relations.whitened(broken, seen))
        assert np.median(far) > 100 * np.median(near)
        gaps = relations.gaps_to(relations.whitened(broken, seen), rows)
        np.testing.assert_allclose(gaps.sum(axis=1), far, rtol=1e-2)


class TestShrinkage:
    def test_exact_relations_of_many_records_are_kept_whole(self):
        assert choose_shrinkage(NORMAL, ONES) == min(SHRINKAGES)

    def test_those_of_few_records_of_many_columns_are_not_believed(self):
        few = np.random.default_rng(0).normal(size=(40, 25)).astype(np.float32)
        assert choose_shrinkage(few, np.ones(25, dtype=np.float32)) == max(SHRINKAGES)

    @pytest.mark.parametrize("count", [1, 2])
    def test_hardly_any_records_raise_nothing(self, count):
        assert choose_shrinkage(NORMAL[:count], ONES) in SHRINKAGES

    def test_a_column_that_stands_still_is_no_relation(self):
        still = np.column_stack([NORMAL, np.full(len(NORMAL), 3.0)]).astype(np.float32)
        weights = np.ones(4, dtype=np.float32)
        assert choose_shrinkage(still, weights) == choose_shrinkage(NORMAL, ONES)
        found = distances(fit_relations(still, weights, SHRINKAGE), still)
        np.testing.assert_allclose(
            found, distances(fit_relations(NORMAL, ONES, SHRINKAGE), NORMAL), rtol=1e-2, atol=1e-3
        )

    def test_fewer_records_than_columns_say_the_same_whichever_way_they_are_reckoned(self):
        # Given as many records as columns, and one more, which is in the middle of them
        rng = np.random.default_rng(0)
        few = (rng.normal(size=(24, 4)) @ rng.normal(size=(4, 24))).astype(np.float32)
        few -= few.mean(axis=0)
        more = np.concatenate([few, np.zeros((1, 24), dtype=np.float32)])
        weights = np.ones(24, dtype=np.float32)
        # Then the directions of the ones and of the others are the same
        found = distances(fit_relations(few, weights, 0.1), few)
        np.testing.assert_allclose(
            found, distances(fit_relations(more, weights, 0.1), few), rtol=0.1
        )
