"""What a configuration may say of detectors: their kind, size and training."""

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
    """What learns, its size and its training. The defaults were measured; change them with data."""

    kind: DetectorKind = Field(
        "auto", description="kind of detector: `aemon kinds` tells what each of them does"
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
        "default one of 3x the features",
    )
    activation: Literal["silu", "tanh", "sigmoid", "linear"] = Field(
        "silu", description="how those layers bend"
    )
    series: Literal["auto"] | bool = Field(
        "auto",
        description="whether records follow each other in time; auto finds out by how alike "
        "those in a row are",
    )
    window: Together = Field(
        None,
        description="records seen together, those of an entity in a row, or how long a stretch: "
        "10m; 1 judges each record alone; default 4 in a series, for kind auto, and else 1",
    )
    seasons: bool = Field(
        True,
        description="in a series, what is usual at an hour of the day or the week is found and "
        "expected then",
    )
    members: int = Field(
        3, ge=1, le=32, description="autoencoders averaged, each tried on records it never saw"
    )
    steps: int | None = Field(
        None,
        ge=1,
        le=MOST,
        description="training steps; default the kind's own, or three passes if more",
    )
    batch_records: int = Field(128, ge=1, le=MOST, description="records in a training step")
    learning_rate: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="its peak, or its constant value for vanilla; default the kind's",
    )
    momentum: float = Field(
        0.9, ge=0, lt=1, description="share of the last step taken again; vanilla alone"
    )
    noise: float | None = Field(
        None,
        ge=0,
        le=1e6,
        description="most input noise in training, in spreads; default the kind's",
    )
    masking: float | None = Field(
        None, ge=0, lt=1, description="most input cells hidden in training; default the kind's"
    )
    sparsity: Literal["kl", "l1"] = Field(
        "kl", description="what a busy code costs, with sparse: distance from a target rate, or L1"
    )
    sparsity_target: float = Field(
        0.1, gt=0, lt=1, description="mean activation wanted of each unit of the code; sparse, kl"
    )
    sparsity_weight: float | None = Field(
        None, gt=0, le=1e6, description="of that cost beside the error; default the kind's"
    )
    ridge: float = Field(
        1e-3, gt=0, le=1e6, description="ridge penalty of the output weights, a record; elm alone"
    )
    suspect_share: float = Field(
        0.0,
        ge=0,
        le=0.2,
        description="share of the training records that may be anomalies; 0 says all are normal",
    )
    seed: int = Field(
        0, ge=0, le=2**63 - 1, description="same data, settings and seed: same detector"
    )
