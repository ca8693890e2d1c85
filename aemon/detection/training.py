"""Training the autoencoder. The only module that imports torch."""

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi

import numpy as np
import numpy.typing as npt
import torch

from aemon.config.schema import DetectorSettings
from aemon.detection.autoencoder import Autoencoder, Shape

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

CHECKS = 24
"""How often in a training the validation error is looked at."""

PATIENCE = 10
"""Checks without a better validation error, in any member, after which training ends. The
one-cycle schedule improves most at its end, so it is given long."""

WARM_UP = 0.3
"""Share of the steps in which the learning rate rises to its peak (Smith & Topin 2018)."""

FIRST_RATE = 1 / 25
"""Of the peak: the learning rate of the first step."""

VALIDATION_RECORDS = 4_000
"""At most this many records are looked at in a check, spread evenly over the slice."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Slice:
    """Records for training: features X (N, F) and which of them were observed (N, F)."""

    features: Floats
    mask: Mask


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """What a training gives."""

    autoencoder: Autoencoder
    validation_error: float  # weighted mean squared error, mean over members
    steps: int


def train_autoencoder(
    train: Slice,
    validation: Slice,
    weights: Floats,
    shape: Shape,
    settings: DetectorSettings,
    *,
    seed: int,
    progress: Callable[[float], None] | None = None,
) -> Trained:
    """Train `settings.members` denoising autoencoders at once, each on its own records.

    Every member keeps the weights of its best check on the validation slice; training ends
    early when no member has improved for `PATIENCE` checks. The same data, settings and seed
    give the same weights, bit for bit, on the same machine and torch.

    Args:
        train: what the weights are learned from.
        validation: what decides when to stop.
        weights: (F,) weight of each feature in the error.
        shape: widths of the layers.
        settings: steps, noise and the like.
        seed: of the initial weights, the choice of records and the noise.
        progress: called with the share of the steps done, after each check.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a busy neighbour makes two threads 10-20 times slower than one
    try:
        return _train(train, validation, weights, shape, settings, seed, progress)
    finally:
        torch.set_num_threads(threads)


def _train(
    train: Slice,
    validation: Slice,
    weights: Floats,
    shape: Shape,
    settings: DetectorSettings,
    seed: int,
    progress: Callable[[float], None] | None,
) -> Trained:
    generator = torch.Generator().manual_seed(seed)
    members, records = settings.members, len(train.features)
    parameters = _initial(shape, members, generator)
    optimizer = torch.optim.Adam(parameters, lr=settings.learning_rate)
    features = torch.tensor(train.features)  # copies: frames may be read-only
    weighted = torch.tensor(train.mask * weights)
    thinned = np.linspace(0, len(validation.features) - 1, VALIDATION_RECORDS).round()
    chosen = np.unique(thinned.astype(np.intp))
    held_out = torch.tensor(validation.features[chosen])
    held_weighted = torch.tensor(validation.mask[chosen] * weights)
    noisy = torch.tensor((weights > 0) * np.float32(settings.noise))  # context stays as it is
    batch = min(settings.batch_records, records)
    best = [parameter.detach().clone() for parameter in parameters]
    best_error = torch.full((members,), torch.inf)
    check_every = max(1, settings.steps // CHECKS)
    since_better, step = 0, 0
    for step in range(1, settings.steps + 1):
        rows = torch.randint(records, (members * batch,), generator=generator)
        X = features[rows].view(members, batch, -1)  # noqa: N806 -- (M, B, F)
        W = weighted[rows].view(members, batch, -1)  # noqa: N806 -- (M, B, F)
        level = torch.rand(members, batch, 1, generator=generator)  # each record its own
        noise = torch.randn(X.shape, generator=generator) * level * noisy * (W > 0)
        loss = _error(reconstruct(X + noise, parameters), X, W).sum()
        optimizer.param_groups[0]["lr"] = settings.learning_rate * _schedule(step, settings.steps)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if step % check_every and step != settings.steps:
            continue
        with torch.no_grad():
            error = _error(reconstruct(held_out, parameters), held_out, held_weighted)
        better = error < best_error
        since_better = 0 if bool(better.any()) else since_better + 1
        best_error = torch.where(better, error, best_error)
        for kept, parameter in zip(best, parameters, strict=True):
            kept[better] = parameter.detach()[better]
        if progress is not None:
            progress(step / settings.steps)
        if since_better >= PATIENCE:
            break
    arrays = [parameter.numpy().copy() for parameter in best]
    return Trained(
        autoencoder=Autoencoder(weights=tuple(arrays[0::2]), biases=tuple(arrays[1::2])),
        validation_error=float(best_error.mean()),
        steps=step,
    )


def reconstruct(X: torch.Tensor, parameters: list[torch.Tensor]) -> torch.Tensor:  # noqa: N803 -- (M, B, F)
    """Reconstruction (M, B, F) of X, (M, B, F) or (B, F): `Autoencoder.__call__` in torch."""
    w1, b1, w2, b2, w3, b3, w4, b4 = parameters
    X = X.expand(w1.shape[0], *X.shape[-2:])  # noqa: N806
    code = torch.baddbmm(b2, torch.nn.functional.silu(torch.baddbmm(b1, X, w1)), w2)
    return torch.baddbmm(b4, torch.nn.functional.silu(torch.baddbmm(b3, code, w3)), w4)


def _initial(shape: Shape, members: int, generator: torch.Generator) -> list[torch.Tensor]:
    """Weights and biases by turns, uniform within 1 / sqrt(in) as torch's own linear layers."""
    parameters = []
    for width_in, width_out in shape.layers:
        bound = max(width_in, 1) ** -0.5
        for rows in (width_in, 1):
            drawn = torch.rand(members, rows, width_out, generator=generator)
            parameters.append((drawn.mul_(2).sub_(1).mul_(bound)).requires_grad_())
    return parameters


def _error(R: torch.Tensor, X: torch.Tensor, W: torch.Tensor) -> torch.Tensor:  # noqa: N803 -- (M, B, F)
    """Weighted mean squared error of each member (M,)."""
    total = (W * (R - X) ** 2).sum(dim=(1, 2))
    return total / W.expand_as(R).sum(dim=(1, 2)).clamp_min(1e-6)


def _schedule(step: int, steps: int) -> float:
    """The learning rate at a step, as a share of its peak: cosine up, cosine down to 0."""
    done = step / steps
    if done < WARM_UP:
        return FIRST_RATE + (1 - FIRST_RATE) * (1 - cos(pi * done / WARM_UP)) / 2
    return (1 + cos(pi * (done - WARM_UP) / (1 - WARM_UP))) / 2
