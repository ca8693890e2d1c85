"""The settings that decide what a detector learns from given records."""

import hashlib

from aemon.config.column_settings import ColumnSettings
from aemon.config.detector_settings import DetectorSettings
from aemon.config.threshold_settings import ThresholdSettings
from aemon.config.values.holidays_of import Holidays
from aemon.config.values.scalars import Settings
from aemon.config.values.times import TimeZone


class LearningSettings(Settings):
    """The settings that decide what a detector learns from given records."""

    columns: ColumnSettings = ColumnSettings()
    detector: DetectorSettings = DetectorSettings()
    threshold: ThresholdSettings = ThresholdSettings()
    timezone: TimeZone = "UTC"  # time zone of daily and weekly seasons
    holidays: Holidays | None = None  # holidays count as Sundays in these seasons

    @property
    def fingerprint(self) -> str:
        """The sha256 of these settings.

        A detector trained with a different fingerprint is out of date. Units do not count, because
        units are only text in messages. Thresholds do not count, because thresholds can be computed
        again without training.
        """
        columns = self.columns.model_copy(update={"units": {}})
        learned = self.model_copy(update={"columns": columns, "threshold": ThresholdSettings()})
        return hashlib.sha256(learned.model_dump_json(exclude_defaults=True).encode()).hexdigest()
