"""What a configuration may say of how detectors come and go."""

from datetime import timedelta

from pydantic import Field

from aemon.config.values.scalars import MOST, Settings, Size
from aemon.config.values.times import After, Duration


class LifecycleSettings(Settings):
    """How detectors come and go."""

    trial: bool = Field(
        True, description="a new detector first judges in the shadow, beside the active one"
    )
    trial_records: int | None = Field(
        None,
        ge=20,
        le=MOST,
        description="records of a trial; default 1 / false-alarm rate, 200 to 2000",
    )
    trial_longest: Duration = Field(
        timedelta(days=1), description="a trial that saw fewer records is decided by then"
    )
    retrain_on_drift: bool = Field(
        True, description="train a new detector when normal life has drifted"
    )
    retrain_on_feedback: int = Field(
        5,
        ge=0,
        le=MOST,
        description="train when people said so many new things of records; 0 never",
    )
    learn_shift_after: After = Field(
        timedelta(days=1),
        description="a new level that stays so long is the new normal: it is learned, though its "
        "records were flagged; never waits until somebody calls them false alarms",
    )
    recalibrate: bool = Field(
        True, description="move the threshold as normal scores move, so that the promise is kept"
    )
    train_memory: Size = Field(
        4_000_000_000, description="a training worker that takes more is killed"
    )
