"""Levels: the mean of the last blocks of a run, however the records were fetched."""

import json

import numpy as np
import pytest

from aemon.detection.series.levels import EARLIER_BLOCKS
from aemon.detection.series.tails import Tails
from aemon.detection.series.windows import runs_of
from tests.detection.series.test_windows import LONGEST, MINUTE, records

BLOCK = 5 * MINUTE


def by_hand(features, inside, entities, times):
    """Gaps to the level, one record at a time."""
    found = np.zeros_like(features)
    blocks = times.astype("datetime64[us]").astype(np.int64) // (5 * 60 * 10**6)
    for row in range(len(features)):
        mine = [r for r in range(row + 1) if entities[r] == entities[row]]
        run = [mine[-1]]
        for earlier in reversed(mine[:-1]):
            if times[run[-1]] - times[earlier] > LONGEST:
                break
            run.append(earlier)
        counted = [r for r in run if blocks[r] >= blocks[row] - EARLIER_BLOCKS and inside[r]]
        if counted:
            found[row] = features[row] - features[counted].mean(axis=0, dtype=float)
    return found


@pytest.mark.parametrize("seed", range(5))
def test_a_level_is_the_mean_of_the_last_blocks_of_the_run(seed):
    features, _, entities, times = records(seed, 300)
    inside = np.random.default_rng(seed).random(300) > 0.1
    gaps, _ = runs_of(entities, times, LONGEST).levels(features, inside, times, BLOCK)
    np.testing.assert_allclose(gaps, by_hand(features, inside, entities, times), atol=1e-5)


@pytest.mark.parametrize("size", [1, 3, 7, 50])
def test_records_fetched_in_pieces_have_the_same_levels(size):
    features, surprises, entities, times = records(1, 300)
    inside = np.ones(300, dtype=bool)
    whole, _ = runs_of(entities, times, LONGEST).levels(features, inside, times, BLOCK)
    tails, found = Tails(), []
    for start in range(0, 300, size):
        part = slice(start, start + size)
        tails = Tails.from_json(json.loads(json.dumps(tails.as_json())))  # as over a restart
        runs = runs_of(entities[part], times[part], LONGEST, tails)
        gaps, blocks = runs.levels(features[part], inside[part], times[part], BLOCK)
        found.append(gaps)
        newer = runs.tails_after(features[part], surprises[part], times[part], 4, blocks)
        tails = tails.with_newer(newer)
    np.testing.assert_allclose(np.concatenate(found), whole, atol=1e-6)


def test_a_level_does_not_depend_on_where_reading_began():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, 2)).astype(np.float32)
    entities = np.full(400, "", dtype=object)
    times = np.datetime64("2026-03-01T00:03", "us") + np.arange(400) * MINUTE
    inside = np.ones(400, dtype=bool)
    whole, _ = runs_of(entities, times, LONGEST).levels(features, inside, times, BLOCK)
    part = slice(200, 400)
    runs = runs_of(entities[part], times[part], LONGEST)
    later, _ = runs.levels(features[part], inside[part], times[part], BLOCK)
    known = 5 * (EARLIER_BLOCKS + 1)
    np.testing.assert_allclose(later[known:], whole[200 + known :], atol=1e-6)
    assert np.abs(later[:known] - whole[200 : 200 + known]).max() > 0.01


@pytest.mark.parametrize(
    "level",
    [
        [[1], [2.0], "junk"],
        [[1], [], ""],
        [[], [], ""],
        [[1, 2], [1.0], ""],
        [["a"], [1.0], ""],
        [[10**30], [1.0], ""],
        [None, None, None],
        [[1]],
    ],
)
def test_junk_is_the_level_of_nobody(level):
    features, surprises, entities, times = records(0)
    newer = runs_of(entities, times, LONGEST).tails_after(features, surprises, times, 4)
    noted = Tails(by_entity=newer).as_json()
    for tail in noted.values():
        tail.extend(level)
    assert not Tails.from_json(noted).by_entity
