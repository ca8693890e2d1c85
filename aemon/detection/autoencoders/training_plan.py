"""The plan of a training by gradient descent: a kind makes it, and `training` carries it out."""

from dataclasses import dataclass
from typing import Literal

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.autoencoders.autoencoder import Activation
from aemon.detection.autoencoders.sizing import Shape, choose_steps


@dataclass(frozen=True, kw_only=True, slots=True)
class Sparsity:
    """Penalty for an active code, added to the error in training.

    With norm `kl`, the penalty is the weight times the mean over the code's units of
    KL(target || mean activation). Target and mean activation are Bernoulli rates, so activations
    must be from 0 to 1 (Ng 2011, CS294A lecture notes, section 3).
    With norm `l1`, the penalty is the weight times the mean absolute activation.
    """

    norm: Literal["kl", "l1"]
    target: float
    weight: float


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Sizes of an autoencoder and settings of its training.

    Attributes:
        widths: widths of the input features, the inner layers and the output features.
        activations: activation function of each layer; the tuple has one item fewer than `widths`.
        encoder_layers: number of layers of the encoder.
        steps: number of steps of the optimizer.
        batch_records: number of records in one step, for each member.
        learning_rate: peak of the learning rate with `adam`, constant learning rate with
            `momentum`.
        optimizer: `adam`, Adam (Kingma & Ba 2015, algorithm 1) on a one-cycle schedule; or
            `momentum`, gradient descent (Rumelhart, Hinton & Williams 1986, equation 9).
        momentum: share of the last step that is added to a step; only for `momentum`.
        noise: largest standard deviation of Gaussian noise on inputs, in spreads. For each record,
            a standard deviation up to this bound is drawn.
        masking: largest share of cells that are set to 0. For each record, a share up to this bound
            is drawn.
        tied: whether the decoder uses the transposed weights of the encoder.
        sparsity: penalty on the code.
        divergence: weight of the code's divergence from N(0, 1), which is added to the error; the
            code is then a distribution. None if the code is not a distribution.
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
    """Choices of a kind for its training; most attributes are described in `Plan`.

    Attributes:
        least_steps: least number of steps of the optimizer, even if there are few records.
        activations: activation functions of the layers; None for configured activations in hidden
            layers, and linear layers for code and output.
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
