"""The rules for making records from readings, as the settings of a source define them."""

from datetime import timedelta

from aemon.sources.readings.settings import Hold, ReadingsSettings
from aemon.sources.readings.walk import Making


def making_of(settings: ReadingsSettings, every: int) -> Making:
    """Return the rules for making records from readings.

    Args:
        settings: settings of the source.
        every: microseconds from one bucket to the next.
    """
    bucket = settings.bucket
    aggregations = bucket.aggregate if bucket is not None else "last"
    ways = {aggregations} if isinstance(aggregations, str) else set(aggregations.values())
    holds = {
        tag: gap.hold // timedelta(microseconds=1)
        for tag, gap in (settings.gaps or {}).items()
        if isinstance(gap, Hold)
    }
    back = every if "increase" in ways else 0
    if holds:
        back = max(holds.values()) + every
    return Making(aggregations=aggregations, every=every, back=back, holds=holds)
