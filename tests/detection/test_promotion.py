"""The rule of promotion, clause by clause."""

import pytest

from aemon.detection.promotion import Evidence, TrialOutcome, allowed_alarms, decide, trial_records

AS_GOOD = {
    "records": 1000, "flagged": 3, "flagged_by_active": 3, "flagged_by_both": 2,
    "critical_by_active": 2, "critical_kept": 2, "rate": 0.001, "error": 0.1, "active_error": 0.1,
    "confirmed": 2,
}  # fmt: skip


def decided(wanted=1000, *, overdue=False, **other):
    return decide(Evidence(**{**AS_GOOD, **other}), wanted, overdue=overdue)


def test_one_that_does_as_well_is_promoted_and_its_figures_are_told():
    decision = decided()
    assert decision.outcome is TrialOutcome.PROMOTE
    assert "of 1000 records it flagged 3, the active detector 3, both 2" in decision.reason
    assert "all 2 confirmed anomalies kept" in decision.reason


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"error": 0.21}, "validation error, 0.21, is more than 2 times"),
        ({"error": float("nan")}, "not a number"),
        ({"flagged": 7, "flagged_by_both": 2}, ", at most 3 were expected"),
        ({"critical_by_active": 10, "critical_kept": 4}, "it flagged 4 of 10 critical anomalies"),
        ({"confirmed_lost": 1}, "does not flag 1 of 2 confirmed anomalies"),
    ],
)
def test_each_clause_alone_rejects_and_is_the_reason(other, why):
    decision = decided(**other)
    assert decision.outcome is TrialOutcome.REJECT
    assert why in decision.reason
    assert ";" not in decision.reason


@pytest.mark.parametrize(
    "other",
    [
        {"error": 0.2}, {"flagged": 5, "flagged_by_both": 2},
        {"critical_by_active": 10, "critical_kept": 5}, {"critical_by_active": 0, "critical_kept": 0},
    ],
)  # fmt: skip
def test_just_within_each_clause_it_is_promoted(other):
    assert decided(**other).outcome is TrialOutcome.PROMOTE


def test_all_that_is_against_it_is_told():
    decision = decided(error=1.0, confirmed_lost=2)
    assert decision.reason.count(";") == 1


@pytest.mark.parametrize(
    ("records", "overdue", "expected"),
    [
        (999, False, TrialOutcome.WAIT), (1000, False, TrialOutcome.PROMOTE), (20, True, TrialOutcome.PROMOTE),
        (19, True, TrialOutcome.WAIT),
    ],
)  # fmt: skip
def test_it_waits_for_enough_records_or_its_time(records, overdue, expected):
    assert decided(records=records, overdue=overdue).outcome is expected


def test_after_a_drift_what_the_active_one_flags_says_nothing_against_it():
    drifted = {
        "flagged_by_active": 900, "critical_by_active": 800, "critical_kept": 0, "flagged": 1,
        "flagged_by_both": 0, "error": 1.0, "drifted": True,
    }  # fmt: skip
    assert decided(**drifted).outcome is TrialOutcome.PROMOTE
    assert decided(**{**drifted, "drifted": False}).outcome is TrialOutcome.REJECT
    assert decided(**{**drifted, "flagged": 950}).outcome is TrialOutcome.REJECT
    assert decided(**{**drifted, "confirmed_lost": 1}).outcome is TrialOutcome.REJECT


def test_one_that_learned_by_other_settings_is_not_held_to_errors_of_other_columns():
    other = {"error": 1.0, "critical_by_active": 10, "critical_kept": 0, "alike": False}
    assert decided(**other).outcome is TrialOutcome.PROMOTE
    assert decided(**{**other, "alike": True}).outcome is TrialOutcome.REJECT
    assert decided(**other, flagged=7, flagged_by_both=2).outcome is TrialOutcome.REJECT
    assert decided(**other, confirmed_lost=1).outcome is TrialOutcome.REJECT


@pytest.mark.parametrize(
    ("rate", "given", "records"),
    [(0.001, None, 1000), (0.05, None, 200), (1e-6, None, 2000), (0.001, 50, 50)],
)
def test_a_trial_is_long_enough_to_show_the_promise_within_bounds(rate, given, records):
    assert trial_records(rate, given) == records


def test_chance_may_flag_three_deviations_more_than_promised():
    assert [allowed_alarms(n, 0.01) for n in (10, 100, 10_000)] == [1, 4, 130]
