"""How far back late records are looked for."""

from datetime import UTC, datetime, timedelta

import pytest

from aemon.config.schema import MonitorSettings
from aemon.monitoring.lateness import looked_for_since
from aemon.reading.reader import LOOK_BACK
from aemon.sources.sql.settings import SqlSource


def since(newest, zone="UTC"):
    source = SqlSource(url="sqlite:///x.db", table="t", time="ts", key="id", timezone=zone)
    settings = MonitorSettings(source=source, score_every=timedelta(minutes=1))
    return looked_for_since(datetime.fromisoformat(newest).replace(tzinfo=UTC), settings)


@pytest.mark.parametrize("newest", ["2025-10-26T00:10", "2025-10-26T00:59", "2025-10-26T02:04"])
def test_the_first_pass_of_a_repeated_hour_is_looked_at_until_the_second_is_over(newest):
    just_before = datetime(2025, 10, 26, tzinfo=UTC) - timedelta(microseconds=1)
    assert since(newest, "Europe/Berlin") == just_before
    assert since(newest) == datetime.fromisoformat(newest).replace(tzinfo=UTC) - LOOK_BACK


@pytest.mark.parametrize("newest", ["2025-10-25T23:59", "2025-10-26T02:06", "2025-07-01T00:10"])
def test_any_other_time_is_looked_back_from_by_minutes(newest):
    told = since(newest, "Europe/Berlin")
    assert told == datetime.fromisoformat(newest).replace(tzinfo=UTC) - LOOK_BACK
