import numpy as np
import pytest
import torch

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.autoencoders.autoencoder import DRAWS, sigmoid, silu
from aemon.detection.autoencoders.kinds.detector_kinds import KINDS
from aemon.detection.features.outputs import Outputs
from tests.detection.training_sets import lesson_of, records

TORCH = {
    "linear": lambda x: x,
    "silu": torch.nn.functional.silu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}
F = 8
# Given a truth in place 3, and a category of three known values in places 4 to 8
MIXED = Outputs(
    booleans=(3,),
    categories=((4, 8),),
    means=np.array([0, 0, 0, 0.5, 0.4, 0.3, 0.3, 0], dtype=np.float32),
    spreads=np.array([1, 1, 1, 0.5, 0.49, 0.46, 0.46, 0.3], dtype=np.float32),
)


def mixed(count, seed):
    """Features (N, F): three numbers, a truth, a category and the place of unseen ones."""
    rng = np.random.default_rng(seed)
    raw = np.zeros((count, F), dtype=np.float32)
    raw[:, :3] = records(count, seed, features=3, causes=2)
    raw[:, 3] = raw[:, 0] > 0
    raw[np.arange(count), 4 + rng.choice(3, count, p=(0.4, 0.3, 0.3))] = 1
    return (raw - MIXED.means) / MIXED.spreads


def torch_reconstructs(autoencoder, cells):
    """The same autoencoder in torch, written down once more: (D, N, F)."""
    tensors = [
        (torch.tensor(w), torch.tensor(b))
        for w, b in zip(autoencoder.weights, autoencoder.biases, strict=True)
    ]
    values = torch.tensor(cells).expand(autoencoder.members, *cells.shape)
    draws = [None]
    if autoencoder.spread is not None:
        draws = np.random.default_rng(DRAWS).standard_normal(
            (DRAWS, autoencoder.code_size), np.float32
        )
    found = []
    for draw in draws:
        inner = values
        for layer, (weight, bias) in enumerate(tensors):
            before = inner
            inner = TORCH[autoencoder.activations[layer]](before @ weight + bias)
            if draw is not None and layer == autoencoder.encoder_layers - 1:
                log_weight, log_bias = map(torch.tensor, autoencoder.spread)
                log_variance = (before @ log_weight + log_bias).clamp(-10, 10)
                inner = inner + torch.tensor(draw) * (log_variance / 2).exp()
        if not autoencoder.outputs.plain:
            inner[..., 3] = torch.sigmoid(inner[..., 3])
            inner[..., 4:] = torch.softmax(inner[..., 4:], dim=-1)
            scaled = (inner - torch.tensor(MIXED.means)) / torch.tensor(MIXED.spreads)
            inner = torch.cat([inner[..., :3], scaled[..., 3:]], dim=-1)
        found.append(inner)
    return torch.cat(found).numpy()


@pytest.fixture(scope="module", params=sorted(KINDS))
def learned(request):
    settings = DetectorSettings(kind=request.param, steps=40)
    training_set = lesson_of(mixed(300, 1), outputs=MIXED, members=2)
    return KINDS[request.param].learn(training_set, settings, 0, None)


def test_numpy_reconstructs_what_torch_reconstructs(learned):
    cells = mixed(200, 2)
    reconstruction = learned(cells)
    assert reconstruction.dtype == np.float32
    np.testing.assert_allclose(
        reconstruction, torch_reconstructs(learned, cells), rtol=1e-4, atol=1e-4
    )


def test_a_member_alone_is_what_it_is_among_others(learned):
    cells = mixed(50, 3)
    together = learned(cells).reshape(-1, learned.members, *cells.shape)
    for m in range(learned.members):
        np.testing.assert_allclose(learned.member(m)(cells), together[:, m], atol=1e-4)


def test_the_code_is_as_wide_as_is_said(learned):
    code = learned.encode(mixed(50, 3))
    assert code.shape == (2, 50, learned.code_size)
    assert learned.deviations(mixed(50, 3)).shape == code.shape
    assert (learned.deviations(mixed(50, 3)) > 0).all() == (learned.spread is not None)


def test_silu_neither_overflows_nor_leaves_float32():
    x = np.array([-1e30, -100, 0, 1, 100, 1e30], dtype=np.float32)
    expected = np.array([0, 0, 0, 0.7310586, 100, 1e30], dtype=np.float32)
    assert silu(x).dtype == np.float32
    np.testing.assert_allclose(silu(x), expected, rtol=1e-6)


def test_sigmoid_neither_overflows_nor_leaves_float32():
    x = np.array([-1e30, 0, 1, 1e30], dtype=np.float32)
    assert sigmoid(x).dtype == np.float32
    np.testing.assert_allclose(sigmoid(x), [0, 0.5, 0.7310586, 1], rtol=1e-6)
