"""Plans for training by gradient descent: what a kind passes to `training`."""

from dataclasses import dataclass
from typing import Literal

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.autoencoders.autoencoder import Activation
from aemon.detection.autoencoders.sizing import Shape, choose_steps


@dataclass(frozen=True, kw_only=True, slots=True)
class Sparsity:
    """Penalty for an active code, beside the error.

    `kl`: weight times the mean over the code's units of KL(target || mean activation), both as
    Bernoulli rates; for activations from 0 to 1. (Ng 2011, CS294A lecture notes, section 3.)
    `l1`: weight times the mean absolute activation.
    """

    norm: Literal["kl", "l1"]
    target: float
    weight: float


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Sizes and training of an autoencoder.

    Attributes:
        widths: widths of features, inner layers, and features again.
        activations: activation of each layer, so one fewer than `widths`.
        encoder_layers: number of layers of the encoder.
        steps: number of steps of the optimizer.
        batch_records: records in a step, for each member.
        learning_rate: its peak with `adam`, its constant value with `momentum`.
        optimizer: Adam (Kingma & Ba 2015, algorithm 1) on a one-cycle schedule, or gradient
            descent with momentum (Rumelhart, Hinton & Williams 1986, equation 9).
        momentum: share of the last step that is added again; for `momentum` alone.
        noise: largest Gaussian noise on inputs, in spreads; each record draws its level below it.
        masking: largest share of cells set to 0; each record draws its share below it.
        tied: whether the decoder's weights are the encoder's, transposed.
        sparsity: penalty on the code.
        divergence: if given, the code is a distribution, and this is the weight of its divergence
            from N(0, 1) beside the error.
    """

    widths: tuple[int, ...]
    activations: tuple[Activation, ...]
    encoder_layers: int
    steps: int
    batch_records: int
    learning_rate: float
    optimizer: Literal["adam", "momentum"] = "adam"
    momentum: float = 0.9
    noise: float = 0.0
    masking: float = 0.0
    tied: bool = False
    sparsity: Sparsity | None = None
    divergence: float | None = None

    @property
    def layers(self) -> int:
        """Number of layers, L."""
        return len(self.widths) - 1

    @property
    def code(self) -> int:
        """Width of the code, C."""
        return self.widths[self.encoder_layers]

    @property
    def variational(self) -> bool:
        """Whether the code is a distribution."""
        return self.divergence is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """A kind's own choices for training, with the meanings of `Plan`.

    Attributes:
        least_steps: least number of steps of the optimizer, also for few records.
        activations: None for configured activations, with a linear code and output.
    """

    least_steps: int
    learning_rate: float
    noise: float = 0.0
    masking: float = 0.0
    divergence: float | None = None
    activations: tuple[Activation, ...] | None = None


def make_plan(shape: Shape, records: int, settings: DetectorSettings, chosen: Choices) -> Plan:
    """Make a plan for N records; configured values take precedence over the kind's choices."""
    side = (settings.activation,) * len(shape.hidden)
    return Plan(
        widths=shape.widths,
        activations=chosen.activations or (*side, "linear", *side, "linear"),
        encoder_layers=shape.encoder_layers,
        steps=choose_steps(records, settings, chosen.least_steps),
        batch_records=settings.batch_records,
        learning_rate=settings.learning_rate or chosen.learning_rate,
        momentum=settings.momentum,
        noise=chosen.noise if settings.noise is None else settings.noise,
        masking=chosen.masking if settings.masking is None else settings.masking,
        divergence=chosen.divergence,
    )
