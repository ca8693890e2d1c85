"""Every decision about a detector, without a store, a source or a clock."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from aemon.config.lifecycle_settings import LifecycleSettings
from aemon.config.schema import MonitorSettings
from aemon.detection.promotion import Evidence, TrialOutcome
from aemon.errors import Remedy
from aemon.lifecycle.policy import (
    LONGEST_RETRY,
    Observed,
    TrialStage,
    drift_is_over,
    outcome_of_trial,
    pause_after,
    stage_of,
    why_train,
)
from aemon.store.drifts import Drift, DriftKind

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SETTINGS = MonitorSettings.model_validate(
    {"source": {"kind": "csv", "path": "x.csv", "time": "ts"}, "score_every": "1m"}
)
CALM = Observed(judging=True, state_at=NOW - DAY / 2, training_records=1000, records=10)
SCORES = Drift(kind=DriftKind.SCORES, started_at=NOW, measure=3.0, reason="odder")
SHIFT = Drift(kind=DriftKind.SHIFT, entity="p1", started_at=NOW, measure=60.0, reason="new level")
COLUMN = Drift(kind=DriftKind.COLUMN, feature="flow", started_at=NOW, measure=0.4, reason="flow")


def with_life(**life) -> MonitorSettings:
    return SETTINGS.model_copy(update={"life": LifecycleSettings(**life)})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"unreadable": True}, "unreadable"),
        ({"unreadable": True, "judging": False}, "unreadable"),
        ({"judging": False, "outdated": True, "state_at": NOW - 9 * DAY}, ""),
        ({"outdated": True}, "settings"),
        ({"outdated": True, "settings_tried": True}, ""),
        ({"outdated": True, "on_trial": True, "trial_fits": True}, ""),
        ({"outdated": True, "on_trial": True}, "settings"),
        ({"drifts": (SCORES,), "enough_since_drift": True}, "drift: odder"),
        ({"drifts": (SCORES, SHIFT), "enough_since_drift": True}, "drift: new level"),
        ({"drifts": (SCORES,)}, ""),
        ({"drifts": (SCORES,), "enough_since_drift": True, "on_trial": True}, ""),
        ({"provisional": True, "records": 999}, ""),
        ({"provisional": True, "records": 1000}, "growth"),
        ({"records": 1000}, ""),
        ({"state_at": NOW - DAY}, "schedule"),
        ({"state_at": NOW + 2000 * DAY}, "schedule"),  # the clock was set back since
        ({"state_at": NOW + timedelta(minutes=5)}, ""),  # by another host's clock
        ({"state_at": NOW - DAY, "on_trial": True}, ""),
        ({"state_at": NOW - DAY, "shifting": True}, ""),
        ({"state_at": NOW - DAY, "shifting": True, "shifts": True}, ""),
        (
            {"state_at": NOW - DAY, "shifting": True, "shifts": True, "enough_since_drift": True},
            "schedule",
        ),
        ({"unused_feedback": 4}, ""),
        ({"unused_feedback": 5}, "feedback: 5"),
    ],
)
def test_what_asks_for_a_training(change, reason):
    said = why_train(replace(CALM, **change), SETTINGS, NOW)
    assert said.startswith(reason)
    assert bool(said) == bool(reason)


def test_the_most_pressing_reason_is_given():
    pressed = replace(
        CALM, unreadable=True, outdated=True, drifts=(SCORES,), enough_since_drift=True,
        state_at=NOW - DAY, unused_feedback=9,
    )  # fmt: skip
    reasons = []
    for lift in ("unreadable", "outdated", "enough_since_drift"):
        reasons.append(why_train(pressed, SETTINGS, NOW).partition(":")[0])
        pressed = replace(pressed, **{lift: False})
    reasons.append(why_train(pressed, SETTINGS, NOW).partition(":")[0])
    reasons.append(why_train(replace(pressed, state_at=NOW), SETTINGS, NOW).partition(":")[0])
    assert reasons == ["unreadable", "settings", "drift", "schedule", "feedback"]


@pytest.mark.parametrize(
    ("settings", "change"),
    [
        (with_life(retrain_on_drift=False), {"drifts": (SCORES,), "enough_since_drift": True}),
        (with_life(learn_shift_after=None), {"drifts": (SHIFT,), "enough_since_drift": True}),
        (with_life(retrain_on_feedback=0), {"unused_feedback": 99}),
    ],
)
def test_what_the_settings_forbid_asks_for_nothing(settings, change):
    assert why_train(replace(CALM, **change), settings, NOW) == ""


def test_where_no_new_level_is_learned_none_is_waited_for():
    flagged = replace(CALM, state_at=NOW - DAY, shifting=True)
    assert why_train(flagged, with_life(learn_shift_after=None), NOW).startswith("schedule")


def test_a_training_that_fails_is_tried_again_later_and_later_but_not_for_ever():
    pauses = [pause_after(failures) for failures in range(12)]
    assert pauses[:3] == [timedelta(seconds=seconds) for seconds in (10, 20, 40)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_RETRY
    assert pause_after(11, Remedy.ASK) == pause_after(11, Remedy.RETRY) == LONGEST_RETRY


def test_a_training_that_waits_for_records_is_tried_at_least_every_ten_minutes():
    assert pause_after(0, Remedy.WAIT) == timedelta(seconds=10)
    assert pause_after(11, Remedy.WAIT) == timedelta(minutes=10)


@pytest.mark.parametrize(
    ("drift", "indices", "over"),
    [
        (COLUMN, {"flow": 0.05}, True),
        (COLUMN, {"flow": 0.15}, False),
        (COLUMN, {}, False),
        (SHIFT, {}, True),
        (SCORES, {"flow": 0.0}, False),
    ],
)
def test_what_ends_a_drift(drift, indices, over):
    from types import SimpleNamespace

    history = SimpleNamespace(shifts={})
    assert drift_is_over(drift, history, indices) is over


def test_a_level_that_goes_on_is_not_over():
    from types import SimpleNamespace

    assert not drift_is_over(SHIFT, SimpleNamespace(shifts={"p1": object()}), {})


@pytest.mark.parametrize(
    ("records", "lasted", "ripe", "overdue"),
    [
        (199, timedelta(hours=1), False, False),
        (200, timedelta(hours=1), True, False),
        (10, DAY, False, True),
        (199, DAY, True, True),
    ],
)
def test_a_trial_is_decided_once_it_has_seen_enough_or_lasted_long_enough(
    records, lasted, ripe, overdue
):
    stage = stage_of(records, NOW - lasted, 0.01, LifecycleSettings(), NOW)
    assert (stage.wanted, stage.ripe, stage.overdue) == (200, ripe, overdue)


def test_a_trial_that_began_by_a_clock_that_was_set_back_since_is_overdue():
    life = LifecycleSettings()
    assert stage_of(300, NOW + 2000 * DAY, 0.01, life, NOW).overdue
    assert not stage_of(300, NOW + timedelta(minutes=5), 0.01, life, NOW).overdue


def test_a_change_of_settings_waits_for_no_record_of_a_source_that_stands_still():
    for lasted, ripe in ((timedelta(hours=1), False), (DAY, True)):
        stage = stage_of(0, NOW - lasted, 0.01, LifecycleSettings(), NOW, asked_for=True)
        assert stage.ripe is ripe
    nothing = replace(EVIDENCE, records=0, flagged=0, flagged_by_active=0, flagged_by_both=0)
    assert outcome_of_trial(nothing, stage) is None, "of the same settings it goes on"
    asked_for = replace(nothing, alike=False, asked_for=True)
    assert outcome_of_trial(asked_for, stage).outcome is TrialOutcome.PROMOTE
    for against in ({"error": float("nan")}, {"confirmed": 2, "confirmed_lost": 1}):
        assert outcome_of_trial(replace(asked_for, **against), stage).outcome is TrialOutcome.REJECT


EVIDENCE = Evidence(
    records=200, flagged=2, flagged_by_active=2, flagged_by_both=2, critical_by_active=0,
    critical_kept=0, rate=0.01, error=0.1, active_error=0.1, confirmed=0, confirmed_lost=0,
    drifted=False, alike=True,
)  # fmt: skip
RIPE = TrialStage(wanted=200, overdue=False, ripe=True)


def test_a_trial_rules_for_a_detector_that_does_as_well():
    assert outcome_of_trial(EVIDENCE, RIPE).outcome is TrialOutcome.PROMOTE


def test_a_trial_rules_against_a_detector_that_flags_far_more():
    noisy = replace(EVIDENCE, flagged=60, flagged_by_both=2)
    assert outcome_of_trial(noisy, RIPE).outcome is TrialOutcome.REJECT


def test_a_trial_without_evidence_goes_on_unless_records_no_longer_fit():
    early = replace(RIPE, ripe=False)
    assert outcome_of_trial(None, early) is None
    assert outcome_of_trial(EVIDENCE, early) is None
    assert (
        outcome_of_trial(None, early, unfit="column 'flow' is missing").outcome
        is TrialOutcome.REJECT
    )
