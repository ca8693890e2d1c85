"""All that a configuration may say of what a detector learns from given records."""

import hashlib

from aemon.config.column_settings import ColumnSettings
from aemon.config.detector_settings import DetectorSettings
from aemon.config.threshold_settings import ThresholdSettings
from aemon.config.values.holidays_of import Holidays
from aemon.config.values.scalars import Settings
from aemon.config.values.times import TimeZone


class LearningSettings(Settings):
    """All that decides what a detector learns from given records."""

    columns: ColumnSettings = ColumnSettings()
    detector: DetectorSettings = DetectorSettings()
    threshold: ThresholdSettings = ThresholdSettings()
    timezone: TimeZone = "UTC"  # of daily and weekly rhythms
    holidays: Holidays | None = None  # that count as Sundays in them

    @property
    def fingerprint(self) -> str:
        """The sha256 of what is learned by; a detector trained with others is out of date.

        Units are but words: nothing is learned from them. And lines can be drawn anew.
        """
        columns = self.columns.model_copy(update={"units": {}})
        learned = self.model_copy(update={"columns": columns, "threshold": ThresholdSettings()})
        return hashlib.sha256(learned.model_dump_json(exclude_defaults=True).encode()).hexdigest()
