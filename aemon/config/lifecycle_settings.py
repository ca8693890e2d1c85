"""Settings of the lifecycle of detectors: trials, retraining and recalibration."""

from datetime import timedelta

from pydantic import Field

from aemon.config.values.scalars import MOST, Settings, Size
from aemon.config.values.times import After, Duration


class LifecycleSettings(Settings):
    """Settings of the trials, the retraining and the recalibration of detectors."""

    trial: bool = Field(
        True, description="a new detector is first on trial beside the active detector"
    )
    trial_records: int | None = Field(
        None,
        ge=20,
        le=MOST,
        description="number of records that a trial needs; default: 1 / false-alarm rate, but at "
        "least 200 and at most 2000",
    )
    trial_longest: Duration = Field(
        timedelta(days=1),
        description="longest duration of a trial; after this time the trial is decided, even with "
        "fewer records",
    )
    retrain_on_drift: bool = Field(
        True, description="train a new detector when normal data have drifted"
    )
    retrain_on_feedback: int = Field(
        5,
        ge=0,
        le=MOST,
        description="train after this number of new feedback entries; 0: never",
    )
    learn_shift_after: After = Field(
        timedelta(days=1),
        description="a new level that lasts this long is learned as normal, although its records "
        "were flagged; never: its records are learned only after feedback `false_alarm`",
    )
    recalibrate: bool = Field(
        True, description="adjust the threshold as normal scores change, to keep the target rate"
    )
    train_memory: Size = Field(
        4_000_000_000, description="a training worker that uses more memory than this is killed"
    )
