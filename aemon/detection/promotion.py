"""The rule that decides whether a detector on trial replaces the active detector."""

from dataclasses import dataclass
from enum import StrEnum
from math import floor, isfinite, sqrt

LEAST_TRIAL, MOST_TRIAL = 200, 2_000
"""Bounds of the default number of records of a trial, which is 1 / false-alarm rate."""

FEWEST_DECIDED = 20
"""Least number of records for a decision on an overdue trial: fewer records show nothing."""

MOST_WORSE = 2.0
"""Largest validation error of a new detector, divided by the active detector's error."""

LEAST_KEPT = 0.5
"""A new detector must flag at least this share of the active detector's critical anomalies."""

ALLOWANCE_DEVIATIONS = 3.0
"""Allowance for chance in a trial: standard deviations above the expected number of alarms."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """Results of a detector on trial and of the active detector.

    Attributes:
        records: number of records that both detectors judged.
        flagged: number of records that the detector on trial flagged.
        flagged_by_active: number of records that the active detector flagged.
        flagged_by_both: number of records that both detectors flagged.
        critical_by_active: number of critical anomalies of the active detector.
        critical_kept: number of these critical anomalies that the detector on trial also flagged.
        rate: target rate of the detector on trial, a share of normal records.
        error: validation error of the detector on trial, in spreads.
        active_error: validation error of the active detector, in spreads.
        confirmed: number of confirmed anomalies that the active detector flags.
        confirmed_lost: number of these confirmed anomalies that the detector on trial does not
            flag.
        drifted: whether normal data has drifted since the active detector was trained; if so, the
            flags of the active detector are not reliable.
        alike: whether both detectors were trained with the same settings. If not, their errors and
            critical anomalies cannot be compared: columns or scales differ.
        asked_for: whether a person asked for the detector on trial: its settings or its target
            rate differ from the settings or the target rate of the active detector.
    """

    records: int
    flagged: int
    flagged_by_active: int
    flagged_by_both: int
    critical_by_active: int
    critical_kept: int
    rate: float
    error: float
    active_error: float
    confirmed: int = 0
    confirmed_lost: int = 0
    drifted: bool = False
    alike: bool = True
    asked_for: bool = False

    @property
    def comparable(self) -> bool:
        """Whether the errors and the critical anomalies of both detectors can be compared."""
        return self.alike and not self.drifted


class TrialOutcome(StrEnum):
    """What a decision on a trial says: wait for more records, promote, or reject."""

    WAIT = "wait"
    PROMOTE = "promote"
    REJECT = "reject"


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """A decision on a trial, with the reason for the decision as text."""

    outcome: TrialOutcome
    reason: str


def trial_records(rate: float, given: int | None) -> int:
    """Return the number of records of a trial; by default computed from the false-alarm rate.

    >>> trial_records(0.001, None)
    1000
    """
    return given or min(max(LEAST_TRIAL, round(1 / rate)), MOST_TRIAL)


def least_records(wanted: int, *, overdue: bool, asked_for: bool = False) -> int:
    """Return the least number of records that a decision on a trial needs.

    If a person asked for the detector on trial by changing settings, an overdue trial does not wait
    for records, because the source may send none.

    >>> least_records(1000, overdue=True)
    20
    >>> least_records(1000, overdue=True, asked_for=True)
    0
    """
    if not overdue:
        return wanted
    return 0 if asked_for else min(FEWEST_DECIDED, wanted)


def allowed_alarms(records: int, rate: float) -> int:
    """Return the largest number of alarms on N normal records that chance explains.

    The number of alarms has a binomial distribution. The result is the mean of this distribution
    plus three standard deviations.

    >>> allowed_alarms(1000, 0.001)
    4
    """
    expected = rate * records
    return max(1, floor(expected + ALLOWANCE_DEVIATIONS * sqrt(expected)))


def decide(evidence: Evidence, wanted: int, *, overdue: bool = False) -> Decision:
    """Decide on a trial.

    The decision waits until the trial has enough records. Then the detector on trial is promoted if
    all of these conditions hold, and rejected otherwise:

    1. Its validation error is a number, and at most twice the active detector's error. The errors
       are not compared if normal data has drifted, because the active detector was validated on
       other data, or if the settings of the two detectors differ.
    2. It flags few of the records that the active detector judged normal: no more than its target
       rate and chance explain. After drift, all of its flagged records count. If the active
       detector flagged more records than this limit, their number is the limit.
    3. It flags at least half of the active detector's critical anomalies. This condition is left
       out if errors are not compared.
    4. It flags every confirmed anomaly that the active detector flags.

    Args:
        evidence: results of both detectors.
        wanted: number of records of the trial.
        overdue: whether the trial is overdue; fewer records are then enough for a decision.
    """
    if evidence.records < least_records(wanted, overdue=overdue, asked_for=evidence.asked_for):
        reason = f"on trial: {evidence.records} of {wanted} records"
        return Decision(outcome=TrialOutcome.WAIT, reason=reason)
    against = [*_errors(evidence), *_alarms(evidence), *_losses(evidence)]
    if against:
        return Decision(outcome=TrialOutcome.REJECT, reason="rejected: " + "; ".join(against))
    kept = f", all {evidence.confirmed} confirmed anomalies kept" if evidence.confirmed else ""
    reason = (
        f"promoted: of {evidence.records} records it flagged {evidence.flagged}, the active "
        f"detector {evidence.flagged_by_active}, both {evidence.flagged_by_both}{kept}; "
        f"validation error {evidence.error:.3g}, active detector {evidence.active_error:.3g}"
    )
    return Decision(outcome=TrialOutcome.PROMOTE, reason=reason)


def unfit(why: str) -> Decision:
    """Reject a detector that cannot judge the records that the active detector judges.

    Without this decision the trial would never end, because the detector would judge no records.
    """
    return Decision(outcome=TrialOutcome.REJECT, reason=f"rejected: {why}")


def _errors(evidence: Evidence) -> list[str]:
    if not isfinite(evidence.error):
        return ["its validation error is not a number"]
    if evidence.comparable and evidence.error > MOST_WORSE * evidence.active_error:
        return [
            (
                f"its validation error, {evidence.error:.3g}, is more than {MOST_WORSE:g} times "
                f"the active detector's, {evidence.active_error:.3g}"
            )
        ]
    return []


def _alarms(evidence: Evidence) -> list[str]:
    alone = evidence.flagged - evidence.flagged_by_both
    allowed = allowed_alarms(evidence.records - evidence.flagged_by_active, evidence.rate)
    if evidence.drifted:
        alone, allowed = evidence.flagged, max(allowed, evidence.flagged_by_active)
    if alone <= allowed:
        return []
    of_these = "" if evidence.drifted else " that the active detector takes for normal"
    found = f"of {evidence.records} records it flagged {alone}{of_these}"
    return [f"{found}, at most {allowed} were expected"]


def _losses(evidence: Evidence) -> list[str]:
    found = []
    least = LEAST_KEPT * evidence.critical_by_active
    if evidence.comparable and evidence.critical_kept < least:
        found.append(
            f"it flagged {evidence.critical_kept} of {evidence.critical_by_active} critical "
            "anomalies"
        )
    if evidence.confirmed_lost:
        found.append(
            f"it does not flag {evidence.confirmed_lost} of {evidence.confirmed} confirmed "
            "anomalies that the active detector flags"
        )
    return found
