"""Settings of episodes."""

from datetime import timedelta

from pydantic import Field

from aemon.config.values.scalars import MOST, Settings
from aemon.config.values.times import Duration


class EpisodeSettings(Settings):
    """The rules by which adjacent anomalies of one entity become one episode."""

    gap: int = Field(
        5,
        ge=0,
        le=MOST,
        description="an episode ends when more than this number of calm records follow its last "
        "anomaly",
    )
    longest_gap: Duration = Field(
        timedelta(days=1), description="longest time between two anomalies of one episode"
    )
    min_records: int = Field(
        1,
        ge=1,
        le=MOST,
        description="least number of anomalies of an episode that is notified; shorter episodes "
        "are only stored",
    )
    end_line: float = Field(
        0.8,
        gt=0,
        le=1,
        description="a record is calm if its score is below this share of the threshold; a record "
        "between this share and the threshold neither begins nor ends an episode",
    )
