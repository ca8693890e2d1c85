"""Quiet on purpose: when, by whom and by which rule an anomaly is kept quiet."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from aemon.config.quiet_settings import Maintenance, QuietSettings
from aemon.detection.judgement import Contribution
from aemon.detection.quiet_rules import in_maintenance, in_snooze, records_before, uncounted
from aemon.frame import Frame
from aemon.records import Quiet, Snooze


def at(*times: str, entities=None) -> Frame:
    return Frame(
        times=np.array(times, dtype="datetime64[us]"),
        keys=np.array([str(n) for n in range(len(times))], dtype=object),
        entities=np.array(entities or [""] * len(times), dtype=object),
        values=pd.DataFrame({"flow": np.zeros(len(times))}),
    )


def within(frame: Frame, **maintenance) -> list[bool]:
    return in_maintenance(frame, [Maintenance.model_validate(maintenance)]).tolist()


def part(column, observed, reconstructed, share) -> Contribution:
    return Contribution(
        column=column, observed=observed, reconstructed=reconstructed, error=1, share=share, rank=1
    )


def why(*parts, **settings) -> Quiet | None:
    return uncounted(parts, QuietSettings.model_validate(settings))


def test_a_stretch_has_its_first_moment_and_not_its_last():
    frame = at("2026-03-01T01:59:59.999999", "2026-03-01T02:00", "2026-03-01T05:59:59.999999",
               "2026-03-01T06:00")  # fmt: skip
    assert within(frame, cron="0 2 * * sun", lasts="4h") == [False, True, True, False]
    once = {"since": "2026-03-01T02:00:00+00:00", "until": "2026-03-01T07:00:00+01:00"}
    assert within(frame, **once) == [False, True, True, False]


def test_a_stretch_may_begin_the_day_before_the_records():
    assert within(at("2026-03-02T01:00"), cron="0 22 * * sun", lasts="4h") == [True]
    assert within(at("2026-03-04T01:00"), cron="0 22 * * sun", lasts="3d") == [True]


@pytest.mark.parametrize(
    ("day", "begins"),
    [
        ("2026-03-28", "01:00"),  # winter: UTC+1
        ("2026-03-29", "01:00"),  # 02:00 is skipped in Berlin, and comes as 03:00 = 01:00 UTC
        ("2026-03-30", "00:00"),  # summer: UTC+2
        ("2026-10-25", "00:00"),  # 02:00 comes twice: the first counts
        ("2026-10-26", "01:00"),
    ],
)
def test_a_calendar_keeps_to_the_wall_clock_and_lasts_as_long_as_it_says(day, begins):
    first = np.datetime64(f"{day}T{begins}", "us")
    hour, moment = np.timedelta64(1, "h"), np.timedelta64(1, "us")
    frame = at(
        *(str(t) for t in (first - moment, first, first + 2 * hour - moment, first + 2 * hour))
    )
    calendar = {"cron": "0 2 * * *", "lasts": "2h", "timezone": "Europe/Berlin"}
    assert within(frame, **calendar) == [False, True, True, False]


def test_stretches_that_overlap_are_one():
    frame = at("2026-03-01T00:30", "2026-03-01T01:30", "2026-03-01T23:30")
    assert within(frame, cron="0 * * * *", lasts="90m") == [True] * 3


def test_a_record_of_long_ago_costs_no_look_at_all_days_since(monkeypatch):
    looks = []
    from aemon.config.values.cron import Cron

    real = Cron.on_day
    monkeypatch.setattr(Cron, "on_day", lambda self, day: looks.append(day) or real(self, day))
    frame = at("2026-03-01T02:30", "1700-01-01T00:00")
    assert within(frame, cron="0 2 * * *", lasts="1h") == [True, False]
    assert len(looks) < 10


def test_a_stretch_may_be_one_entitys():
    frame = at("2026-03-01T02:30", "2026-03-01T02:30", entities=["p1", "p2"])
    assert within(frame, cron="0 2 * * *", lasts="1h", entity="p2") == [False, True]
    since = datetime(2026, 3, 1, 2, tzinfo=UTC)
    snooze = {"since": since, "until": since + timedelta(hours=1)}
    assert in_snooze(frame, [Snooze(**snooze, entity="p1")]).tolist() == [True, False]
    assert in_snooze(frame, [Snooze(**snooze)]).tolist() == [True, True]
    assert in_snooze(frame, []).tolist() == [False, False]
    assert in_maintenance(at(), [Maintenance(cron="0 2 * * *", lasts="1h")]).tolist() == []


@pytest.mark.parametrize(
    ("observed", "expected", "direction", "quiet"),
    [
        (9.0, 5.0, "high", None),
        (1.0, 5.0, "high", Quiet.DIRECTION),
        (1.0, 5.0, "low", None),
        (9.0, 5.0, "low", Quiet.DIRECTION),
        (5.0, 5.0, "high", Quiet.DIRECTION),
        (None, 5.0, "high", None),  # missing: neither above nor below
        (True, 0.2, "low", None),  # no number
        ("eco", "full", "low", None),
    ],
)
def test_a_column_counts_in_its_direction_alone(observed, expected, direction, quiet):
    assert why(part("flow", observed, expected, 1.0), directions={"flow": direction}) is quiet


@pytest.mark.parametrize(
    ("observed", "expected", "least", "quiet"),
    [
        (7.0, 5.0, {"absolute": 2}, None),
        (6.9, 5.0, {"absolute": 2}, Quiet.SMALL),
        (3.0, 5.0, {"absolute": 2}, None),
        (5.5, 5.0, {"relative": 0.1}, None),
        (5.4, 5.0, {"relative": 0.1}, Quiet.SMALL),
        (-5.4, -5.0, {"relative": 0.1}, Quiet.SMALL),
        (6.0, 5.0, {"absolute": 2, "relative": 0.1}, Quiet.SMALL),  # the larger of both
        (23.0, 20.0, {"absolute": 2, "relative": 0.2}, Quiet.SMALL),
        (0.1, 0.0, {"relative": 0.5}, None),
        (None, 5.0, {"absolute": 2}, None),
        ("eco", "full", {"absolute": 2}, None),
    ],
)
def test_a_column_counts_from_its_least_gap_on(observed, expected, least, quiet):
    assert why(part("flow", observed, expected, 1.0), least_gaps={"flow": least}) is quiet


@pytest.mark.parametrize(("share", "quiet"), [(0.51, Quiet.DIRECTION), (0.5, None), (0.3, None)])
def test_an_anomaly_counts_while_half_of_the_blame_does(share, quiet):
    parts = part("flow", 1.0, 5.0, share), part("pressure", 1.0, 5.0, 1 - share)
    assert why(*parts, directions={"flow": "high"}) is quiet


def test_direction_goes_before_small_and_both_count_together():
    rules = {"directions": {"flow": "high"}, "least_gaps": {"pressure": {"absolute": 9}}}
    flow, pressure = part("flow", 1.0, 5.0, 0.4), part("pressure", 1.0, 5.0, 0.35)
    other = part("current", 1.0, 5.0, 0.25)
    assert why(flow, pressure, other, **rules) is Quiet.SMALL
    assert why(part("flow", 1.0, 5.0, 0.6), pressure, **rules) is Quiet.DIRECTION
    assert why(flow, pressure, other) is None


def test_a_window_ends_with_the_record_itself_and_begins_after_its_length():
    times = at("2026-03-01T00:00", "2026-03-01T00:30", "2026-03-01T01:00", "2026-03-01T01:30").times
    assert records_before(times, times[2], timedelta(hours=1)) == 2
    assert records_before(times, times[2], timedelta(hours=2)) == 3
