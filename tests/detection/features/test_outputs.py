import numpy as np
import pytest
import torch

from aemon.detection.autoencoders.training import _Outputs, train_autoencoder
from aemon.detection.autoencoders.training_plan import Plan
from aemon.detection.features.outputs import Outputs
from tests.detection.training_sets import lesson_of

N = 600
rng = np.random.default_rng(0)
# A number, a truth, two known categories and the place of those never seen, another number
MEANS = np.array([0, 0.5, 0.6, 0.4, 0, 0], dtype=np.float32)
SPREADS = np.array([1, 0.5, 0.49, 0.49, 0.3, 1], dtype=np.float32)
WEIGHTS = np.array([1, 1, 0.7, 0.7, 1, 0.5], dtype=np.float32)
MIXED = Outputs(booleans=(1,), categories=((2, 5),), means=MEANS, spreads=SPREADS)


def mixed(count):
    raw = np.zeros((count, 6), dtype=np.float32)
    raw[:, 0], raw[:, 5] = rng.normal(size=(2, count))
    raw[:, 1] = rng.random(count) < 0.5
    raw[np.arange(count), 2 + rng.choice(2, count)] = 1
    return raw, (raw - MEANS) / SPREADS


def one_hot(count, places=5):
    raw = np.eye(places, dtype=np.float32)[np.arange(count) % places]
    means = np.full(places, 1 / places, dtype=np.float32)
    spreads = np.full(places, 0.4, dtype=np.float32)
    outputs = Outputs(booleans=(), categories=((0, places),), means=means, spreads=spreads)
    return raw, (raw - means) / spreads, outputs


def test_five_categories_pass_through_a_code_of_two_exactly():
    # Given five categories, each in a place of its own, and a 5-2-5 autoencoder
    raw, cells, outputs = one_hot(250)
    plan = Plan(
        widths=(5, 2, 5),
        activations=("tanh", "linear"),
        encoder_layers=1,
        steps=1500,
        batch_records=100,
        learning_rate=0.05,
    )
    # When it has learned them, with a tanh code, a softmax and cross-entropy
    autoencoder = train_autoencoder(lesson_of(cells, outputs=outputs), plan, seed=0)
    chances = autoencoder(cells)[0] * outputs.spreads + outputs.means
    # Then each comes back as itself, and nearly certain
    np.testing.assert_array_equal(chances.argmax(axis=1), raw.argmax(axis=1))
    assert chances[raw == 1].min() > 0.95
    np.testing.assert_allclose(chances.sum(axis=1), 1, rtol=1e-5)


def test_truths_and_categories_become_probabilities_and_numbers_stay():
    numbers = rng.normal(0, 20, (3, 50, 6)).astype(np.float32)
    features = MIXED(numbers.copy())
    chances = features * SPREADS + MEANS
    np.testing.assert_array_equal(features[..., [0, 5]], numbers[..., [0, 5]])
    assert chances[..., 1:5].min() >= -1e-6
    assert chances[..., 1:5].max() <= 1 + 1e-6
    np.testing.assert_allclose(chances[..., 2:5].sum(axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(chances[..., 1], 1 / (1 + np.exp(-numbers[..., 1])), atol=1e-6)


@pytest.mark.parametrize("huge", [1e4, -1e4, 3e38, -3e38])
def test_no_number_is_too_large_for_a_probability(huge):
    assert np.isfinite(MIXED(np.full((1, 6), huge, dtype=np.float32))).all()


def test_a_constant_category_comes_out_as_nothing():
    outputs = Outputs(
        booleans=(),
        categories=((0, 2),),
        means=np.array([1, 0], dtype=np.float32),
        spreads=np.zeros(2, dtype=np.float32),
    )
    np.testing.assert_array_equal(outputs(np.ones((4, 2), dtype=np.float32)), 0)


@pytest.mark.parametrize("holes", [False, True])
def test_torchs_loss_is_what_numpy_works_out(holes):
    # Given the last layer's numbers for records, some cells of which are missing
    raw, cells = mixed(N)
    seen = np.ones((N, 6), dtype=bool)
    if holes:
        seen[rng.random(N) < 0.3, 0] = False
        seen[rng.random(N) < 0.3, 1] = False
        seen[rng.random(N) < 0.3, 2:5] = False
    cells = np.where(seen, cells, 0).astype(np.float32)
    numbers = rng.normal(0, 2, (2, N, 6)).astype(np.float32)
    weights = seen * WEIGHTS
    # When the error is worked out by hand: squares, and twice the cross-entropies
    square = weights * (numbers - cells) ** 2
    chance = 1 / (1 + np.exp(-numbers[..., 1].astype(float)))
    truth = -np.log(np.where(raw[:, 1] == 1, chance, 1 - chance))
    odds = np.exp(numbers[..., 2:5].astype(float))
    odds /= odds.sum(axis=-1, keepdims=True)
    category = -np.log((odds * raw[:, 2:5]).sum(axis=-1))
    total = square[..., [0, 5]].sum(axis=(1, 2))
    total += 2 * (weights[:, 1] * truth).sum(axis=1)
    total += 2 * (weights[:, 2:5].mean(axis=1) * category).sum(axis=1)
    # Then torch's is the same
    error = _Outputs(MIXED).error(
        torch.tensor(numbers),
        torch.tensor(np.stack([cells, cells])),
        torch.tensor(np.stack([weights, weights]).astype(np.float32)),
    )
    np.testing.assert_allclose(error.numpy(), total / weights.sum(), rtol=1e-4)


def test_the_error_of_numbers_alone_is_the_weighted_mean_square():
    cells, numbers = rng.normal(size=(2, 3, N, 4)).astype(np.float32)
    weights = np.broadcast_to(np.array([1, 0, 2, 0.5], dtype=np.float32), cells.shape)
    error = _Outputs(Outputs.linear(4)).error(
        torch.tensor(numbers), torch.tensor(cells), torch.tensor(weights)
    )
    expected = np.average((numbers - cells) ** 2, weights=weights, axis=2).mean(axis=1)
    np.testing.assert_allclose(error.numpy(), expected, rtol=1e-4)


def test_a_category_never_seen_has_a_place_of_its_own():
    # Given an autoencoder of four known categories whose last place is for any other
    _, cells, outputs = one_hot(400, places=4)
    means = np.append(outputs.means, 0).astype(np.float32)
    spreads = np.append(outputs.spreads, 0.3).astype(np.float32)
    five = Outputs(booleans=(), categories=((0, 5),), means=means, spreads=spreads)
    known = np.concatenate([cells, np.zeros((400, 1), dtype=np.float32)], axis=1)
    plan = Plan(
        widths=(5, 15, 3, 15, 5),
        activations=("silu", "linear", "silu", "linear"),
        encoder_layers=2,
        steps=400,
        batch_records=100,
        learning_rate=0.02,
    )
    autoencoder = train_autoencoder(lesson_of(known, outputs=five), plan, seed=0)
    # When a record holds another category
    unseen = ((np.eye(5, dtype=np.float32)[4] - means) / spreads)[None]
    gaps = (autoencoder(unseen)[0] - unseen) ** 2
    # Then the autoencoder expects none in that place, and errs there by far more than usual
    assert autoencoder(unseen)[0, 0, 4] * 0.3 < 0.1
    assert gaps[0, 4] > 100 * np.mean((autoencoder(known)[0] - known) ** 2)
