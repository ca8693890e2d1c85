import numpy as np
import pytest
import torch

from aemon.config.schema import DetectorSettings
from aemon.detection.autoencoder import choose_shape
from aemon.detection.training import Slice, reconstruct, train_autoencoder

F = 6
rng = np.random.default_rng(0)
MIXING = rng.normal(size=(3, F))
QUICK = DetectorSettings(steps=120, members=2)


def normal(records, seed=0):
    code = np.random.default_rng(seed).normal(size=(records, 3))
    cells = (code @ MIXING).astype(np.float32)
    return Slice(features=cells, mask=np.ones(cells.shape, dtype=bool))


def train(settings=QUICK, seed=0, records=400, weights=None, **changes):
    shape = choose_shape(F, settings)
    weights = np.ones(F, dtype=np.float32) if weights is None else weights
    given = {"train": normal(records), "validation": normal(100, seed=1)} | changes
    progress = given.pop("progress", None)
    return train_autoencoder(
        given["train"], given["validation"], weights, shape, settings, seed=seed, progress=progress
    )


def parameters(trained):
    pairs = zip(trained.autoencoder.weights, trained.autoencoder.biases, strict=True)
    return [array for pair in pairs for array in pair]


def test_the_same_data_settings_and_seed_give_the_same_weights_bit_for_bit():
    first, second, other = train(), train(), train(seed=1)
    for a, b, c in zip(parameters(first), parameters(second), parameters(other), strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)


def test_numpy_reconstructs_what_torch_reconstructs():
    trained = train()
    cells = normal(500, seed=2).features
    tensors = [torch.tensor(array) for array in parameters(trained)]
    expected = reconstruct(torch.tensor(cells), tensors).numpy()
    reconstruction, code = trained.autoencoder(cells)
    assert reconstruction.dtype == code.dtype == np.float32
    assert code.shape == (2, 500, 5)
    np.testing.assert_allclose(reconstruction, expected, rtol=1e-4, atol=1e-5)


def test_training_learns_the_structure():
    error = train(DetectorSettings(steps=400, members=2)).validation_error
    assert error < 0.1 * float((normal(100, seed=1).features ** 2).mean())


def test_members_differ():
    first, second = train().autoencoder.weights[0]
    assert not np.allclose(first, second)


def test_one_feature_is_reconstructed_as_a_constant():
    settings = QUICK
    cells = rng.normal(size=(200, 1)).astype(np.float32)
    part = Slice(features=cells, mask=np.ones(cells.shape, dtype=bool))
    shape = choose_shape(1, settings)
    trained = train_autoencoder(part, part, np.ones(1, np.float32), shape, settings, seed=0)
    reconstruction, code = trained.autoencoder(cells)
    assert code.shape == (2, 200, 0)
    assert np.ptp(reconstruction, axis=1).max() == 0
    assert np.abs(reconstruction).max() < 0.5


def test_training_ends_early_when_nothing_gets_better():
    # Given a validation slice unlike the training slice, which more learning only makes worse
    far = normal(100, seed=1)
    backwards = Slice(features=-5 * far.features[:, ::-1].copy(), mask=far.mask)
    settings = DetectorSettings(steps=2400, members=1, learning_rate=0.03)
    trained = train(settings, validation=backwards, records=60)
    assert trained.steps < settings.steps


def test_progress_rises_to_one():
    seen = []
    train(progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1)


def test_cells_that_are_missing_teach_nothing():
    # Given two slices that differ only where cells are missing
    part = normal(400)
    mask = rng.random(part.features.shape) < 0.8
    blank = Slice(features=np.where(mask, part.features, 0).astype(np.float32), mask=mask)
    # When an autoencoder is trained with a column wholly missing, its output there is free
    hidden = mask.copy()
    hidden[:, 0] = False
    without = Slice(features=np.where(hidden, part.features, 0).astype(np.float32), mask=hidden)
    assert train(train=blank).validation_error < train(train=without).validation_error


def test_training_leaves_its_input_and_the_thread_count_as_they_were():
    part = normal(100)
    before = part.features.copy()
    part.features.setflags(write=False)
    threads = torch.get_num_threads()
    train(train=part)
    np.testing.assert_array_equal(part.features, before)
    assert torch.get_num_threads() == threads
