from dataclasses import replace
from math import log

import numpy as np
import pytest
import torch

from aemon.detection.autoencoders.training import _sparsity_loss, _Training, train_autoencoder
from aemon.detection.autoencoders.training_plan import Plan, Sparsity
from aemon.detection.autoencoders.training_set import contiguous_folds
from tests.detection.training_sets import lesson_of, mean_square, records

F = 6
PLAN = Plan(
    widths=(F, 12, 4, 12, F),
    activations=("silu", "linear", "silu", "linear"),
    encoder_layers=2,
    steps=120,
    batch_records=64,
    learning_rate=0.01,
)


def normal(count, seed=0):
    return records(count, seed, features=F)


def train(training_set=None, seed=0, **changes):
    training_set = lesson_of(normal(400), members=2) if training_set is None else training_set
    return train_autoencoder(training_set, replace(PLAN, **changes), seed=seed)


def parameters(autoencoder):
    return [*autoencoder.weights, *autoencoder.biases]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"noise": 0.5, "masking": 0.3},
        {"optimizer": "momentum", "tied": True},
        {"divergence": 1.0},
        {"activations": ("sigmoid",) * 4, "sparsity": Sparsity(norm="kl", target=0.1, weight=1)},
    ],
    ids=["plain", "noisy", "momentum", "variational", "sparse"],
)
def test_the_same_lesson_plan_and_seed_give_the_same_weights_bit_for_bit(changes):
    first, second, other = (parameters(train(seed=seed, **changes)) for seed in (0, 0, 1))
    for a, b, c in zip(first, second, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)


@pytest.mark.parametrize("changes", [{}, {"tied": True}], ids=["free", "tied"])
def test_numpy_reads_on_as_torch_learned(changes):
    training_set, cells = lesson_of(normal(400), members=2), normal(50, 2)
    training = _Training(training_set, replace(PLAN, **changes), 0, None)
    autoencoder = training.run(None)
    again = _Training(training_set, replace(PLAN, **changes), 0, autoencoder)
    with torch.no_grad():
        raw, code, _ = again._through(
            torch.tensor(cells).expand(2, 50, F), again._given(autoencoder)
        )
    np.testing.assert_allclose(autoencoder(cells), raw.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(autoencoder.encode(cells), code.numpy(), rtol=1e-4, atol=1e-5)


def test_training_learns_the_structure():
    autoencoder, unseen = train(steps=400), normal(200, seed=1)
    assert mean_square(autoencoder(unseen) - unseen) < 0.1 * mean_square(unseen)


def test_members_differ_and_learn_from_different_records():
    # Given two members, of which the second never sees the records of another world
    training_set = lesson_of(normal(400), members=2)
    training_set.features[200:] = training_set.features[200:, ::-1].copy()
    autoencoder = train(training_set, steps=400)
    # When both reconstruct what each of them learned from
    first, second = autoencoder(normal(200, 1)[:, ::-1].copy())
    # Then the first, whose fold is the old half, knows the newer world better
    expected = normal(200, 1)[:, ::-1]
    assert mean_square(first - expected) < 0.3 * mean_square(second - expected)


def test_one_feature_is_reconstructed_as_a_constant():
    cells = np.random.default_rng(0).normal(size=(200, 1)).astype(np.float32)
    autoencoder = train(lesson_of(cells, members=2), widths=(1, 3, 0, 3, 1))
    assert autoencoder.encode(cells).shape == (2, 200, 0)
    assert np.ptp(autoencoder(cells), axis=1).max() == 0
    assert np.abs(autoencoder(cells)).max() < 0.5


def test_progress_rises_to_one():
    seen = []
    train_autoencoder(lesson_of(normal(100)), PLAN, seed=0, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1)


def test_cells_that_are_missing_teach_nothing():
    # Given two lessons that differ only where cells are missing
    cells, mask = normal(400), np.random.default_rng(0).random((400, F)) < 0.8
    blank = np.where(mask, cells, 0).astype(np.float32)
    hidden = mask.copy()
    hidden[:, 0] = False
    without = np.where(hidden, cells, 0).astype(np.float32)
    # When one is learned from with a column wholly missing, its output there is free
    unseen = normal(100, 1)
    some = train(lesson_of(blank, mask=mask), steps=400)(unseen) - unseen
    none = train(lesson_of(without, mask=hidden), steps=400)(unseen) - unseen
    assert mean_square(some[..., 0]) < 0.5 * mean_square(none[..., 0])


def test_training_leaves_its_input_and_the_thread_count_as_they_were():
    cells = normal(100)
    before = cells.copy()
    cells.setflags(write=False)
    threads = torch.get_num_threads()
    train(lesson_of(cells))
    np.testing.assert_array_equal(cells, before)
    assert torch.get_num_threads() == threads


def test_tied_weights_are_the_encoders_transposed():
    autoencoder = train(tied=True)
    for i, weight in enumerate(autoencoder.weights):
        mirrored = autoencoder.weights[-1 - i].transpose(0, 2, 1)
        np.testing.assert_array_equal(weight, mirrored)


def test_momentum_steps_as_its_formula_says():
    # Given a lesson of one record, so that every step sees the same
    cells = normal(1)
    training_set = replace(lesson_of(cells), folds=np.array([-1]))
    changes = {"optimizer": "momentum", "learning_rate": 0.05, "momentum": 0.9}
    plan = replace(
        PLAN, widths=(F, 3, F), activations=("linear", "linear"), encoder_layers=1, **changes
    )
    trained = [
        train_autoencoder(training_set, replace(plan, steps=steps), seed=0).weights[0][0]
        for steps in (1, 2, 3)
    ]
    # When the gradient of the mean squared error is worked out by hand after two steps
    after = train_autoencoder(training_set, replace(plan, steps=2), seed=0)
    gap = after(cells)[0] - cells  # (1, F)
    gradient = cells.T @ (2 / F * gap @ after.weights[1][0].T)
    # Then the third is 0.9 times the second less the rate times the gradient
    expected = 0.9 * (trained[1] - trained[0]) - 0.05 * gradient
    np.testing.assert_allclose(trained[2] - trained[1], expected, rtol=1e-3, atol=1e-6)


def test_the_kl_penalty_is_its_formula_but_for_a_constant():
    code = torch.rand(2, 50, 3)
    sparsity = Sparsity(norm="kl", target=0.2, weight=3)
    rates = code.numpy().mean(axis=1)
    divergence = 0.2 * np.log(0.2 / rates) + 0.8 * np.log(0.8 / (1 - rates))
    entropy = -0.2 * log(0.2) - 0.8 * log(0.8)
    expected = 3 * (divergence + entropy).mean(axis=1).sum()
    assert float(_sparsity_loss(code, sparsity)) == pytest.approx(expected, rel=1e-4)


def test_the_l1_penalty_is_the_mean_size_of_an_activation():
    code = torch.randn(2, 50, 3)
    expected = 0.5 * np.abs(code.numpy()).mean(axis=(1, 2)).sum()
    penalty = _sparsity_loss(code, Sparsity(norm="l1", target=0.1, weight=0.5))
    assert float(penalty) == pytest.approx(expected, rel=1e-5)


def test_a_drawn_code_is_as_far_from_the_standard_normal_as_the_formula_says():
    # Given codes of mean 1 and variance 4, and the divergence of N(1, 4) from N(0, 1) by hand
    training = _Training(lesson_of(normal(10)), replace(PLAN, divergence=1.0), 0, None)
    values = torch.cat([torch.ones(1, 4000, 4), torch.full((1, 4000, 4), log(4))], dim=-1)
    drawn, nats = training._drawn(values)
    assert float(nats[0]) == pytest.approx(4 * 0.5 * (4 + 1 - 1 - log(4)), rel=1e-5)
    assert float(drawn.mean()) == pytest.approx(1, abs=0.1)
    assert float(drawn.std()) == pytest.approx(2, abs=0.1)


def corrupted(cells, weights, mask=None, **changes):
    weights = np.array(weights, dtype=np.float32)
    training_set = lesson_of(cells, weights=weights)
    training = _Training(training_set, replace(PLAN, **changes), 0, None)
    seen = np.ones(cells.shape, dtype=bool) if mask is None else mask
    batch, weighted = torch.tensor(cells)[None], torch.tensor(seen * weights)[None]
    return training._corrupted(batch, weighted, torch.tensor(weights > 0))[0].numpy()


def test_noise_has_a_level_for_every_record_and_spares_context_and_gaps():
    cells = np.zeros((4000, F), dtype=np.float32)
    mask = np.ones(cells.shape, dtype=bool)
    mask[:, 1] = False
    found = corrupted(cells, [0, 1, 1, 1, 1, 1], mask, noise=2.0)
    assert not found[:, :2].any()
    levels = np.abs(found[:, 2:]).mean(axis=1) * np.sqrt(np.pi / 2)
    assert levels.mean() == pytest.approx(1, rel=0.1)
    assert np.quantile(levels, 0.05) < 0.2
    assert found[:, 2:].std() == pytest.approx(2 / np.sqrt(3), rel=0.1)


def test_masking_hides_a_share_of_the_cells_and_spares_context():
    found = corrupted(np.ones((4000, F), dtype=np.float32), [0, 1, 1, 1, 1, 1], masking=0.4)
    assert (found[:, 0] == 1).all()
    assert (found[:, 1:] == 0).mean() == pytest.approx(0.2, abs=0.02)
    assert set(np.unique(found)) == {0, 1}


def test_training_goes_on_from_given_weights():
    training_set = lesson_of(normal(400), members=2)
    once = train(training_set, steps=200)
    further = train_autoencoder(
        training_set, replace(PLAN, steps=200, learning_rate=1e-3), seed=1, start=once
    )
    unseen = normal(200, 1)
    assert mean_square(further(unseen) - unseen) < mean_square(once(unseen) - unseen)


def test_a_variational_autoencoder_goes_on_as_one():
    training_set = lesson_of(normal(100), members=2)
    plan = replace(PLAN, divergence=1.0)
    once = train_autoencoder(training_set, plan, seed=0)
    still = replace(plan, learning_rate=1e-12, steps=1)
    again = train_autoencoder(training_set, still, seed=1, start=once)
    for before, after in zip(once.spread, again.spread, strict=True):
        np.testing.assert_allclose(before, after, atol=1e-6)


def test_weights_of_another_shape_are_no_start():
    training_set = lesson_of(normal(100), members=2)
    other = train_autoencoder(training_set, replace(PLAN, widths=(F, 12, 3, 12, F)), seed=0)
    with pytest.raises(ValueError, match="do not have the shapes of"):
        train_autoencoder(training_set, PLAN, seed=0, start=other)


def test_members_may_learn_from_features_of_their_own():
    # Given two members, each with the features of another world
    worlds = np.stack([normal(400), normal(400)[:, ::-1]])
    training_set = replace(lesson_of(worlds, members=2), folds=contiguous_folds(400, 2))
    first, second = train(training_set, steps=400)(normal(200, 1))
    # Then only the first knows the first world
    expected = normal(200, 1)
    assert mean_square(first - expected) < 0.3 * mean_square(second - expected)
