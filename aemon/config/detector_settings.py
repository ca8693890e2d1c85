"""Settings of detectors: their kind, size and training."""

from typing import Annotated, Literal

from pydantic import Field

from aemon.config.values.scalars import MOST, Settings
from aemon.config.values.times import Together

DetectorKind = Literal[
    "auto",
    "undercomplete",
    "vanilla",
    "linear",
    "sparse",
    "denoising",
    "stacked_denoising",
    "elm",
    "variational",
]


class DetectorSettings(Settings):
    """Kind, size and training of detectors.

    The defaults come from measurements; `aemon tune` measures other settings on a monitor's records.
    """

    kind: DetectorKind = Field(
        "auto", description="kind of detector: `aemon kinds` describes each of them"
    )
    code_size: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="width of the code; default: three quarters of the number of features",
    )
    hidden_sizes: tuple[Annotated[int, Field(ge=1, le=100_000)], ...] | None = Field(
        None,
        description="widths of the layers between features and code, in this order; default: one "
        "layer, 3 times as wide as the number of features",
    )
    activation: Literal["silu", "tanh", "sigmoid", "linear"] = Field(
        "silu", description="activation function of the layers of hidden_sizes"
    )
    series: Literal["auto"] | bool = Field(
        "auto",
        description="whether the records are a time series; auto: yes if consecutive records are "
        "similar",
    )
    window: Together = Field(
        None,
        description="number of consecutive records of an entity that are judged together, or a "
        "duration: 10m; 1: each record is judged alone; default: 4 if the kind is auto and the "
        "records are a time series, else 1",
    )
    seasons: bool = Field(
        True,
        description="in a time series, learn patterns by hour of the day and of the week; records "
        "that follow the patterns are normal",
    )
    members: int = Field(
        3,
        ge=1,
        le=32,
        description="number of autoencoders whose results are averaged; each autoencoder is "
        "validated on records that it was not trained on",
    )
    steps: int | None = Field(
        None,
        ge=1,
        le=MOST,
        description="number of training steps; default: the larger of two numbers, the kind's own "
        "number and the steps of three passes over the training records",
    )
    batch_records: int = Field(
        128, ge=1, le=MOST, description="number of records in each training step"
    )
    learning_rate: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="largest learning rate during training; for kind vanilla, the learning rate "
        "is constant; default: the kind's own value",
    )
    momentum: float = Field(
        0.9,
        ge=0,
        lt=1,
        description="only for kind vanilla: share of the previous training step that is added to "
        "each step",
    )
    noise: float | None = Field(
        None,
        ge=0,
        le=1e6,
        description="largest noise that is added to inputs in training, in spreads; default: the "
        "kind's own value",
    )
    masking: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="largest share of input cells that are hidden in training; default: the "
        "kind's own value",
    )
    sparsity: Literal["kl", "l1"] = Field(
        "kl",
        description="only for kind sparse: penalty on an active code; kl: divergence of the mean "
        "activation from sparsity_target; l1: L1 norm of the code",
    )
    sparsity_target: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="only for sparsity kl: target of the mean activation of each unit of the code",
    )
    sparsity_weight: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="only for kind sparse: weight of the penalty, relative to the reconstruction "
        "error; default: 3 for kl, 1 for l1",
    )
    ridge: float = Field(
        1e-3,
        gt=0,
        le=1e6,
        description="only for kind elm: ridge penalty on the output weights, per record",
    )
    suspect_share: float = Field(
        0.0,
        ge=0,
        le=0.2,
        description="share of the training records that may be anomalies; 0 means that all are normal",
    )
    seed: int = Field(
        0,
        ge=0,
        le=2**63 - 1,
        description="seed of all random choices: equal data, settings and seed give the same "
        "detector",
    )
