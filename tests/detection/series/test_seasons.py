"""Rhythms of the day and the week: found where they are, by the clock on the wall, and expected."""

import json

import numpy as np
import pandas as pd
import pytest

from aemon.config.detector_settings import DetectorSettings
from aemon.config.learning_settings import LearningSettings
from aemon.config.threshold_settings import ThresholdSettings
from aemon.detection.autoencoders.training_set import contiguous_folds
from aemon.detection.detector import Detector
from aemon.detection.learning import train_detector
from aemon.detection.series.calendars import Calendar
from aemon.detection.series.seasons import Rhythm, find_season
from aemon.frame import Frame

RATE = 0.01
STEP = pd.Timedelta("10min")
MONDAY = "2026-02-02"
DAY = int(pd.Timedelta("1D") / STEP)


def moments(days: int, start: str = MONDAY, zone: str = "UTC") -> pd.DatetimeIndex:
    first = pd.Timestamp(start, tz=zone).tz_convert("UTC")
    return pd.date_range(first, periods=days * DAY, freq=STEP)


def office(times: pd.DatetimeIndex, seed: int, zone: str = "UTC", *, weekend: bool = True):
    """Traffic of an office, its processor, and a temperature that nobody works on."""
    local = times.tz_convert(zone)
    at_work = (local.hour >= 8) & (local.hour < 18)
    if weekend:
        at_work &= local.day_of_week < 5
    rng = np.random.default_rng(seed)
    wander = np.zeros(len(times))
    for row in range(1, len(times)):
        wander[row] = 0.9 * wander[row - 1] + 0.1 * rng.normal()
    traffic = 1 + 9 * at_work.astype(float) + wander
    noise = rng.normal(size=(len(times), 2))
    columns = {"net": traffic, "cpu": 5 + 4 * traffic + noise[:, 0], "room": 20 + noise[:, 1]}
    return pd.DataFrame(columns)


def frame_of(times: pd.DatetimeIndex, values: pd.DataFrame) -> Frame:
    return Frame(
        times=times.tz_localize(None).to_numpy("datetime64[us]"),
        keys=np.arange(len(times)).astype(str).astype(object),
        entities=np.full(len(times), "", dtype=object), values=values,
    )  # fmt: skip


def trained(days: int, zone: str = "UTC", start: str = MONDAY, **detector) -> Detector:
    settings = LearningSettings(
        detector=DetectorSettings(steps=60, **detector),
        threshold=ThresholdSettings(false_alarm_rate=RATE),
        timezone=zone,
    )
    times = moments(days, start, zone)
    return train_detector(frame_of(times, office(times, 0, zone)), settings, seed=0)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return trained(28)


def found(times, values, zone="UTC"):
    X = (values - values.mean()).to_numpy(np.float32)  # noqa: N806
    folds = contiguous_folds(len(X), 3)
    mask = np.ones(X.shape, dtype=bool)
    moments = times.tz_localize(None).to_numpy("datetime64[us]")
    return find_season(X, mask, moments, folds, Calendar(zone=zone))


@pytest.mark.parametrize(
    ("days", "weekend", "rhythm"),
    [(5, False, Rhythm.DAY), (28, False, Rhythm.DAY), (28, True, Rhythm.WORKDAY)],
)
def test_a_rhythm_is_found_and_only_in_the_columns_that_have_it(days, weekend, rhythm):
    times = moments(days)
    season = found(times, office(times, 1, weekend=weekend)).season
    assert season.rhythm is rhythm
    assert season.effects.any(axis=0).tolist() == [True, True, False]
    assert np.isinf(season.spreads).tolist() == [False, False, True]


def test_a_smooth_course_and_a_weekly_one_are_found():
    times = moments(35)
    hours = np.arange(len(times)) / 6
    rng = np.random.default_rng(0)
    smooth = pd.DataFrame({"a": np.sin(2 * np.pi * hours / 24) + 0.2 * rng.normal(size=len(hours))})
    season = found(times, smooth).season
    assert (season.rhythm, season.steps) == (Rhythm.DAY, 0)
    tuesdays = pd.DataFrame({"a": (times.day_of_week == 1) + 0.2 * rng.normal(size=len(hours))})
    assert found(times, tuesdays).season.rhythm is Rhythm.WEEK


@pytest.mark.parametrize("seed", range(5))
def test_none_is_found_where_there_is_none(seed):
    times = moments(28)
    rng = np.random.default_rng(seed)
    walk = pd.DataFrame(rng.normal(size=(len(times), 2)).cumsum(axis=0)).add_prefix("c")
    noise = pd.DataFrame(rng.normal(size=(len(times), 3))).add_prefix("c")
    assert found(times, noise) is None
    season = found(times, walk)
    assert season is None or season.season.effects.any(axis=0).sum() < 2
    assert found(times[:DAY], office(times[:DAY], seed)) is None  # a single day repeats nothing


@pytest.mark.parametrize("change", ["2026-03-29", "2026-10-25"])
def test_the_clock_on_the_wall_counts_when_it_is_changed(change):
    # Given four weeks before the clocks of Berlin change, and a week after
    zone = "Europe/Berlin"
    start = pd.Timestamp(change) - pd.Timedelta("28D")
    fitted = trained(28, zone, str(start.date()))
    times = moments(7, str((pd.Timestamp(change) + pd.Timedelta("1D")).date()), zone)
    values = office(times, 3, zone)
    # When people come to work by their new clock, then that is what is expected
    season = fitted.series.season
    assert season.calendar.zone == zone
    right = fitted.judge(frame_of(times, values))
    assert right.anomalous.mean() <= 2 * RATE
    # And an hour off is not
    off = office(times + pd.Timedelta("1h"), 3, zone)
    assert fitted.judge(frame_of(times, off)).anomalous.mean() > right.anomalous.mean() + 0.01


def at_night_level(values: pd.DataFrame, row: int, count: int) -> pd.DataFrame:
    changed = values.copy()
    night = row - 9 * 6
    changed.iloc[row : row + count] = values.iloc[night : night + count].to_numpy()
    return changed


def test_a_usual_value_at_an_unusual_time_is_found_and_told(detector):
    # Given a week after those that were learned from, with an hour like the night at ten on Tuesday
    times = moments(7, "2026-03-02")
    values = office(times, 5)
    tuesday = DAY + 10 * 6
    odd = at_night_level(values, tuesday, 6)
    looked = detector.look(frame_of(times, odd))
    # Then all of it is flagged, and the reason says what time it is
    assert looked.judgement.anomalous[tuesday : tuesday + 6].all()
    told = looked.explain(np.arange(tuesday + 3, tuesday + 6))
    assert all(one.reason.endswith(", for Tuesday at 10:" + tail) for one, tail in zip(
        told, ("30", "40", "50"), strict=True
    ))  # fmt: skip
    assert {one.contributions[0].column for one in told} <= {"net", "cpu"}
    expected = told[0].reconstructed["net"]
    assert 9 < expected < 11
    # And the same hour on Sunday is none
    sunday = detector.judge(frame_of(times, values)).anomalous[6 * DAY :]
    assert sunday.mean() <= 3 * RATE
    without = trained(28, seasons=False).judge(frame_of(times, odd)).anomalous
    assert not without[tuesday + 3 : tuesday + 6].any()


def test_the_promise_is_kept_with_a_rhythm(detector):
    times = moments(14, "2026-03-02")
    flagged = [
        detector.judge(frame_of(times, office(times, seed))).anomalous.mean() for seed in (7, 8, 9)
    ]
    assert np.mean(flagged) <= 2 * RATE


def test_it_is_stored_and_pieces_change_nothing(detector):
    arrays, metadata = detector.state()
    again = Detector.from_state(arrays, json.loads(json.dumps(metadata)))
    times = moments(2, "2026-03-02")
    frame = frame_of(times, office(times, 6))
    whole = detector.judge(frame).scores
    np.testing.assert_array_equal(again.judge(frame).scores, whole)
    scores, past = [], None
    for start in range(0, len(frame), 50):
        judged = again.look(frame.take(slice(start, start + 50)), past).judgement
        past = judged.past
        scores += judged.scores.tolist()
    np.testing.assert_allclose(scores, whole, rtol=1e-4)


def test_it_says_how_it_sees_records(detector):
    assert detector.summary == (
        "each record is judged together with the 3 records before it; "
        "net and cpu follow the hour of the day, separately "
        "for workdays and the weekend (UTC)"
    )
    assert trained(28, seasons=False).summary == (
        "each record is judged together with the 3 records before it"
    )
    assert trained(28, series=False).summary == ""


def test_a_public_holiday_is_a_sunday_where_its_country_is_given():
    # Given four weeks of an office that rests on Sundays
    pytest.importorskip("holidays")
    zone = "Europe/Berlin"
    times = moments(28, MONDAY, zone)
    values = office(times, 0, zone)
    labour_day = moments(1, "2026-05-01", zone)  # a Friday
    resting = office(moments(1, "2026-05-03", zone), 5, zone)  # as on a Sunday
    flagged = {}
    for holidays in (None, "DE"):
        settings = LearningSettings(
            detector=DetectorSettings(steps=60),
            threshold=ThresholdSettings(false_alarm_rate=RATE),
            timezone=zone,
            holidays=holidays,
        )
        fitted = train_detector(frame_of(times, values), settings, seed=0)
        arrays, metadata = fitted.state()
        fitted = Detector.from_state(arrays, json.loads(json.dumps(metadata)))
        looked = fitted.look(frame_of(labour_day, resting))
        flagged[holidays] = looked.judgement.anomalous.mean()
        busy = fitted.look(frame_of(labour_day, office(moments(1, "2026-05-04", zone), 5, zone)))
        odd = np.flatnonzero(busy.judgement.anomalous)
        if holidays:
            assert "public holidays of DE as Sundays" in fitted.summary
            reasons = [told.reason for told in busy.explain(odd)]
            assert sum("for Labor Day at " in reason for reason in reasons) > len(odd) / 2
    # Then a day of rest is usual where the calendar says so, and odd elsewhere
    assert flagged["DE"] < 0.05
    assert flagged[None] > 0.2
