"""Training of autoencoders by gradient descent. No other module imports torch."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import cos, pi

import numpy as np
import torch

from aemon.detection.autoencoders.autoencoder import MOST_LOG_VARIANCE, Activation, Autoencoder
from aemon.detection.autoencoders.training_plan import Plan, Sparsity
from aemon.detection.autoencoders.training_set import TrainingSet
from aemon.detection.features.outputs import Outputs

CHECKS = 24
"""Number of progress reports in one training."""

WARM_UP = 0.3
"""Share of the steps in which the learning rate rises to its peak (Smith & Topin 2018)."""

FIRST_RATE = 1 / 25
"""Learning rate of the first step, as a share of the peak."""

TINY = 1e-6

Progress = Callable[[float], None] | None
Parameters = list[torch.Tensor]


def train_autoencoder(
    training_set: TrainingSet,
    plan: Plan,
    *,
    seed: int,
    start: Autoencoder | None = None,
    progress: Progress = None,
) -> Autoencoder:
    """Train M autoencoders together, each on the records outside its own fold.

    The same training set, plan and seed give the same weights, bit for bit, on the same machine
    with the same torch.

    Args:
        training_set: the training set.
        plan: sizes of the autoencoder and settings of its training.
        seed: seed of the initial weights, the choice of records and the noise.
        start: initial weights; by default the initial weights are random.
        progress: called from time to time with the share of the steps that are finished.

    Raises:
        ValueError: the initial weights do not have the shapes of the plan.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # on a busy machine, two threads were 10-20 times slower than one
    torch.set_flush_denormal(
        True
    )  # with many inactive units, numbers below 1e-38 took half of the time
    try:
        return _Training(training_set, plan, seed, start).run(progress)
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)


@dataclass(eq=False)
class _Training:
    training_set: TrainingSet
    plan: Plan
    seed: int
    start: Autoencoder | None
    generator: torch.Generator = field(init=False)
    complete: bool = field(init=False)  # no cell is missing

    def __post_init__(self) -> None:
        self.generator = torch.Generator().manual_seed(self.seed)
        self.complete = bool(self.training_set.mask.all())

    def run(self, progress: Progress) -> Autoencoder:
        plan, training_set = self.plan, self.training_set
        members = training_set.members
        parameters = self._initial() if self.start is None else self._given(self.start)
        optimizer = _optimizer(plan, parameters)
        features = torch.tensor(training_set.features)  # copied: frames may be read-only
        weighted = torch.tensor(training_set.mask * training_set.weights)
        corruptible = torch.tensor(training_set.weights > 0)  # features of the context get no noise
        pools = torch.tensor(training_set.pools)  # (M, n)
        if features.ndim > weighted.ndim:  # each member has its own features
            pools += len(training_set) * torch.arange(members)[:, None]
            features, weighted = features.flatten(0, 1), weighted.repeat(members, 1)
        batch = min(plan.batch_records, pools.shape[1])
        outputs = _Outputs(training_set.outputs)
        flat_weights = torch.tensor(training_set.weights)
        features_weight = max(float(training_set.weights.sum()), TINY)
        check_every = max(1, plan.steps // CHECKS)
        for step in range(1, plan.steps + 1):
            drawn = torch.randint(pools.shape[1], (members, batch), generator=self.generator)
            rows = torch.gather(pools, 1, drawn)
            X = features[rows]  # noqa: N806 -- (M, B, F)
            W = flat_weights.expand_as(X) if self.complete else weighted[rows]  # noqa: N806
            corrupted = self._corrupted(X, W, corruptible)
            raw, code, nats = self._through(corrupted, parameters)
            error = outputs.error(raw, X, W)  # (M,)
            loss = error.sum()
            if plan.divergence is not None:
                # Twice the nats per feature, multiplied by the error; the error is the variance of
                # normal residuals.
                loss = loss + plan.divergence * 2 / features_weight * (error.detach() * nats).sum()
            if plan.sparsity is not None:
                loss = loss + _sparsity_loss(code, plan.sparsity)
            if plan.optimizer == "adam":
                optimizer.param_groups[0]["lr"] = plan.learning_rate * _schedule(step, plan.steps)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if progress is not None and (step % check_every == 0 or step == plan.steps):
                progress(step / plan.steps)
        return self._finished(parameters)

    def _corrupted(
        self,
        X: torch.Tensor,  # noqa: N803 -- (M, B, F)
        W: torch.Tensor,  # noqa: N803 -- (M, B, F)
        corruptible: torch.Tensor,  # (F,)
    ) -> torch.Tensor:
        plan, generator = self.plan, self.generator
        if plan.noise > 0:
            level = torch.rand(*X.shape[:2], 1, generator=generator) * plan.noise
            noise = torch.randn(X.shape, generator=generator).mul_(level)
            if not (self.complete and corruptible.all()):
                noise *= corruptible & (W > 0)  # missing cells stay 0
            X = noise.add_(X)  # noqa: N806
        if plan.masking > 0:
            share = torch.rand(*X.shape[:2], 1, generator=generator) * plan.masking
            kept = torch.rand(X.shape, generator=generator) >= share
            X = torch.where(kept | ~corruptible, X, 0.0)  # noqa: N806
        return X

    def _through(
        self,
        X: torch.Tensor,  # noqa: N803 -- (M, B, F)
        parameters: Parameters,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the last layer (M, B, F), the code (M, B, C), and the code's divergence (M,).

        The divergence is the mean over the records, in nats.
        """
        plan, values, code = self.plan, X, X
        nats = torch.zeros(())
        for layer in range(plan.layers):
            weight, bias = _layer(parameters, layer, plan)
            values = ACTIVATIONS[plan.activations[layer]](torch.baddbmm(bias, values, weight))
            if layer == plan.encoder_layers - 1:
                if plan.variational:
                    values, nats = self._drawn(values)
                code = values
        return values, code, nats

    def _drawn(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw codes from N(mean, e^log_variance); also return their divergence from N(0, 1).

        The draw is mean + deviation * noise (Kingma & Welling 2014, section 2.4). The divergence
        is -1/2 sum(1 + log s^2 - m^2 - s^2) (appendix B), in nats, the mean over records (M,).
        """
        mean, log_variance = values[..., : self.plan.code], values[..., self.plan.code :]
        log_variance = log_variance.clamp(-MOST_LOG_VARIANCE, MOST_LOG_VARIANCE)
        noise = torch.randn(mean.shape, generator=self.generator)
        nats = 0.5 * (log_variance.exp() + mean**2 - 1 - log_variance).sum(-1).mean(-1)
        return mean + noise * (0.5 * log_variance).exp(), nats

    def _shapes(self) -> list[tuple[int, int, int]]:
        """Return the shapes of weights (M, in, out) and biases (M, 1, out), layer by layer."""
        plan, shapes = self.plan, []
        for layer, (rows, columns) in enumerate(zip(plan.widths, plan.widths[1:], strict=False)):
            doubled = plan.variational and layer == plan.encoder_layers - 1
            width = columns * (2 if doubled else 1)
            shapes += [
                (self.training_set.members, rows, width),
                (self.training_set.members, 1, width),
            ]
        return shapes

    def _initial(self) -> Parameters:
        """Draw initial parameters uniformly within 1 / sqrt(in), like torch.nn.Linear."""
        shapes = self._shapes()
        bounds = [max(rows, 1) ** -0.5 for _, rows, _ in shapes[::2] for _ in range(2)]
        return [
            torch.rand(shape, generator=self.generator).mul_(2).sub_(1).mul_(bound).requires_grad_()
            for shape, bound in zip(shapes, bounds, strict=True)
        ]

    def _given(self, start: Autoencoder) -> Parameters:
        pairs = list(zip(start.weights, start.biases, strict=True))
        if start.spread is not None:
            last = start.encoder_layers - 1
            both = zip(pairs[last], start.spread, strict=True)
            weight, bias = (np.concatenate(arrays, axis=-1) for arrays in both)
            pairs[last] = (weight, bias)
        arrays = [array for pair in pairs for array in pair]
        if [array.shape for array in arrays] != self._shapes():
            raise ValueError(f"initial weights do not have the shapes of {self.plan.widths}")
        return [torch.tensor(array).requires_grad_() for array in arrays]

    def _finished(self, parameters: Parameters) -> Autoencoder:
        plan = self.plan
        pairs = [_layer(parameters, layer, plan) for layer in range(plan.layers)]
        weights = [weight.detach().contiguous().numpy().copy() for weight, _ in pairs]
        biases = [bias.detach().numpy().copy() for _, bias in pairs]
        spread = None
        if plan.variational:
            last, code = plan.encoder_layers - 1, plan.code
            spread = (weights[last][..., code:].copy(), biases[last][..., code:].copy())
            weights[last] = weights[last][..., :code].copy()
            biases[last] = biases[last][..., :code].copy()
        return Autoencoder(
            weights=tuple(weights),
            biases=tuple(biases),
            activations=plan.activations,
            encoder_layers=plan.encoder_layers,
            outputs=self.training_set.outputs,
            spread=spread,
        )


class _Outputs:
    """Loss of `Outputs` in torch: the mean over features of twice the negative log-likelihood.

    The loss is the squared error for numbers (a normal distribution of spread 1), the binary
    cross-entropy for booleans, and the cross-entropy for categories. Each feature is weighted.
    """

    def __init__(self, outputs: Outputs) -> None:
        self.booleans, self.categories = list(outputs.booleans), outputs.categories
        self.means, self.spreads = torch.tensor(outputs.means), torch.tensor(outputs.spreads)
        numbers = torch.ones(len(outputs.means), dtype=torch.bool)
        numbers[self.booleans] = False
        for start, stop in self.categories:
            numbers[start:stop] = False
        self.numbers = None if outputs.plain else torch.nonzero(numbers).flatten()

    def error(self, raw: torch.Tensor, X: torch.Tensor, W: torch.Tensor) -> torch.Tensor:  # noqa: N803
        """Return the weighted error (M,) of each member for numbers (M, B, F) of the last layer."""
        if self.numbers is None:
            total = (W * (raw - X) ** 2).sum(dim=(1, 2))
            return total / W.sum(dim=(1, 2)).clamp_min(TINY)
        total = (W * (raw - X) ** 2)[..., self.numbers].sum(dim=(1, 2))
        if self.booleans:
            truths = self._raw(X, self.booleans)
            entropy = torch.nn.functional.binary_cross_entropy_with_logits(
                raw[..., self.booleans], truths, reduction="none"
            )
            total = total + 2 * (W[..., self.booleans] * entropy).sum(dim=(1, 2))
        for start, stop in self.categories:
            truths = self._raw(X, slice(start, stop))
            entropy = -(truths * torch.log_softmax(raw[..., start:stop], dim=-1)).sum(-1)
            total = total + 2 * (W[..., start:stop].mean(-1) * entropy).sum(dim=1)
        return total / W.sum(dim=(1, 2)).clamp_min(TINY)

    def _raw(self, X: torch.Tensor, places: list[int] | slice) -> torch.Tensor:  # noqa: N803
        return X[..., places] * self.spreads[places] + self.means[places]


def _layer(parameters: Parameters, layer: int, plan: Plan) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weight and bias of a layer.

    A layer of a tied decoder uses the transposed weight of the matching layer of the encoder.
    """
    mirror = plan.layers - 1 - layer
    weight = parameters[2 * layer]
    if plan.tied and layer > mirror:
        weight = parameters[2 * mirror].transpose(1, 2)
    return weight, parameters[2 * layer + 1]


def _optimizer(plan: Plan, parameters: Parameters) -> torch.optim.Optimizer:
    if plan.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=plan.learning_rate, fused=True)
    return torch.optim.SGD(parameters, lr=plan.learning_rate, momentum=plan.momentum)


def _sparsity_loss(code: torch.Tensor, sparsity: Sparsity) -> torch.Tensor:
    """Return the penalty of all members; the KL divergence is computed up to a constant.

    The constant is the entropy of the target.
    """
    if sparsity.norm == "l1":
        return sparsity.weight * code.abs().mean(dim=(1, 2)).sum()
    activity = code.mean(dim=1)  # (M, C)
    target = torch.full_like(activity, sparsity.target)
    entropy = torch.nn.functional.binary_cross_entropy(activity, target, reduction="none")
    return sparsity.weight * entropy.mean(dim=1).sum()


def _schedule(step: int, steps: int) -> float:
    """Return the learning rate at a step, as a share of the peak learning rate.

    The rate rises to the peak along a cosine, and falls to 0 along a cosine.
    """
    done = step / steps
    if done < WARM_UP:
        return FIRST_RATE + (1 - FIRST_RATE) * (1 - cos(pi * done / WARM_UP)) / 2
    return (1 + cos(pi * (done - WARM_UP) / (1 - WARM_UP))) / 2


ACTIVATIONS: dict[Activation, Callable[[torch.Tensor], torch.Tensor]] = {
    "linear": lambda x: x,
    "silu": torch.nn.functional.silu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}
