"""Settings of episodes."""

from datetime import timedelta

from pydantic import Field

from aemon.config.values.scalars import MOST, Settings
from aemon.config.values.times import Duration


class EpisodeSettings(Settings):
    """The rules by which adjacent anomalies of one entity become one episode."""

    gap: int = Field(
        5, ge=0, le=MOST, description="an episode ends when more calm records than this follow"
    )
    longest_gap: Duration = Field(
        timedelta(days=1), description="or when this time passes between two anomalies"
    )
    min_records: int = Field(
        1,
        ge=1,
        le=MOST,
        description="least number of anomalies; shorter episodes are stored, but not notified",
    )
    end_line: float = Field(
        0.8,
        gt=0,
        le=1,
        description="a record is calm below this share of the threshold; between this share and "
        "the threshold an episode neither begins nor ends",
    )
