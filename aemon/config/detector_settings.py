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
    """Kind, size and training of detectors. The defaults are measured; change them with data."""

    kind: DetectorKind = Field(
        "auto", description="kind of detector: `aemon kinds` describes each of them"
    )
    code_size: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="width of the code; default three quarters of the features",
    )
    hidden_sizes: tuple[Annotated[int, Field(ge=1, le=100_000)], ...] | None = Field(
        None,
        description="widths of the layers between features and code, the outermost first; "
        "default one layer of 3 times the features",
    )
    activation: Literal["silu", "tanh", "sigmoid", "linear"] = Field(
        "silu", description="activation function of those layers"
    )
    series: Literal["auto"] | bool = Field(
        "auto",
        description="whether records follow each other in time; auto infers it from the "
        "similarity of consecutive records",
    )
    window: Together = Field(
        None,
        description="consecutive records of an entity that are judged together, as a number or a "
        "duration: 10m; 1 judges each record alone; default 4 in a series, for kind auto, else 1",
    )
    seasons: bool = Field(
        True,
        description="in a series, patterns by hour of the day and of the week are learned and "
        "expected",
    )
    members: int = Field(
        3, ge=1, le=32, description="autoencoders averaged, each validated on unseen records"
    )
    steps: int | None = Field(
        None,
        ge=1,
        le=MOST,
        description="training steps; default the kind's own number, or three passes if more",
    )
    batch_records: int = Field(128, ge=1, le=MOST, description="records in a training step")
    learning_rate: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="peak learning rate, constant for vanilla; default the kind's own",
    )
    momentum: float = Field(
        0.9, ge=0, lt=1, description="share of the last step that is repeated; vanilla only"
    )
    noise: float | None = Field(
        None,
        ge=0,
        le=1e6,
        description="largest input noise in training, in spreads; default the kind's own",
    )
    masking: float | None = Field(
        None,
        ge=0,
        lt=1,
        description="largest share of input cells hidden in training; default the kind's own",
    )
    sparsity: Literal["kl", "l1"] = Field(
        "kl",
        description="penalty of an active code, with sparse: divergence from a target rate, or L1",
    )
    sparsity_target: float = Field(
        0.1, gt=0, lt=1, description="target mean activation of each unit of the code; sparse, kl"
    )
    sparsity_weight: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="weight of that penalty beside the error; default the kind's own",
    )
    ridge: float = Field(
        1e-3, gt=0, le=1e6, description="ridge penalty of the output weights, per record; elm only"
    )
    suspect_share: float = Field(
        0.0,
        ge=0,
        le=0.2,
        description="share of the training records that may be anomalies; 0 means that all are normal",
    )
    seed: int = Field(
        0, ge=0, le=2**63 - 1, description="same data, settings and seed: same detector"
    )
