"""Whether a detector on trial replaces the active detector, by a documented rule."""

from dataclasses import dataclass
from enum import StrEnum
from math import floor, isfinite, sqrt

LEAST_TRIAL, MOST_TRIAL = 200, 2_000
"""Default number of records of a trial: 1 / false-alarm rate, within these bounds."""

FEWEST_DECIDED = 20
"""Least number of records for the decision of an overdue trial: fewer show nothing."""

MOST_WORSE = 2.0
"""Largest validation error of a new detector, as a multiple of the active detector's."""

LEAST_KEPT = 0.5
"""Least share of the active detector's critical anomalies that a new detector must flag too."""

ALLOWANCE_DEVIATIONS = 3.0
"""Number of standard deviations above the target rate that chance may flag in a trial."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """Results of a detector on trial and of the active detector.

    Attributes:
        records: number of records that both judged.
        flagged: flagged by the detector on trial.
        flagged_by_active: flagged by the active detector.
        flagged_by_both: flagged by both.
        critical_by_active: critical anomalies of the active detector.
        critical_kept: those of them that the detector on trial flagged too.
        rate: target rate of the detector on trial, a share of normal records.
        error: validation error of the detector on trial, in spreads.
        active_error: validation error of the active detector.
        confirmed: confirmed anomalies that the active detector flags.
        confirmed_lost: those of them that the detector on trial does not flag.
        drifted: whether normal data has moved away from the active detector, so that its flags
            say little.
        alike: whether both were trained with the same settings; otherwise their errors and
            critical records belong to other columns, or have another scale.
        asked_for: whether the detector on trial has other settings or another target rate.
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
        """Whether errors and critical anomalies of both detectors can be compared."""
        return self.alike and not self.drifted


class Ruling(StrEnum):
    """Outcome of a trial."""

    WAIT = "wait"
    PROMOTE = "promote"
    REJECT = "reject"


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """The decision on a trial, with its reason as text."""

    ruling: Ruling
    reason: str


def trial_records(rate: float, given: int | None) -> int:
    """Return the number of records of a trial.

    >>> trial_records(0.001, None)
    1000
    """
    return given or min(max(LEAST_TRIAL, round(1 / rate)), MOST_TRIAL)


def least_records(wanted: int, *, overdue: bool, asked_for: bool = False) -> int:
    """Return the least number of records for the decision of a trial.

    A detector with other settings was asked for. If its source sends nothing, an overdue trial
    does not wait for records.

    >>> least_records(1000, overdue=True)
    20
    >>> least_records(1000, overdue=True, asked_for=True)
    0
    """
    if not overdue:
        return wanted
    return 0 if asked_for else min(FEWEST_DECIDED, wanted)


def allowed_alarms(records: int, rate: float) -> int:
    """Return the most of N normal records that chance may flag: mean and three deviations.

    The number is binomial.

    >>> allowed_alarms(1000, 0.001)
    4
    """
    expected = rate * records
    return max(1, floor(expected + ALLOWANCE_DEVIATIONS * sqrt(expected)))


def decide(evidence: Evidence, wanted: int, *, overdue: bool = False) -> Decision:
    """Rule on a trial.

    The detector is promoted if all of these conditions hold, else rejected:

    1. Its validation error is a number, and at most twice the active detector's. The comparison is
       left out if normal data has drifted, because the active detector was validated on other
       data, and if the settings differ.
    2. Of the records that the active detector takes for normal, it flags no more than its target
       rate and chance explain. After drift, it flags no more than the active detector.
    3. Of the active detector's critical anomalies it flags half or more (left out as in 1).
    4. It flags every confirmed anomaly that the active detector flags.

    Args:
        evidence: results of both detectors.
        wanted: number of records of the trial.
        overdue: whether to decide with the records that there are.
    """
    if evidence.records < least_records(wanted, overdue=overdue, asked_for=evidence.asked_for):
        reason = f"on trial: {evidence.records} of {wanted} records"
        return Decision(ruling=Ruling.WAIT, reason=reason)
    against = [*_errors(evidence), *_alarms(evidence), *_losses(evidence)]
    if against:
        return Decision(ruling=Ruling.REJECT, reason="rejected: " + "; ".join(against))
    kept = f", all {evidence.confirmed} confirmed anomalies kept" if evidence.confirmed else ""
    reason = (
        f"promoted: of {evidence.records} records it flagged {evidence.flagged}, the active "
        f"detector {evidence.flagged_by_active}, both {evidence.flagged_by_both}{kept}; "
        f"validation error {evidence.error:.3g}, active detector {evidence.active_error:.3g}"
    )
    return Decision(ruling=Ruling.PROMOTE, reason=reason)


def unfit(why: str) -> Decision:
    """Reject a detector that cannot judge the records of the active detector.

    Its trial would judge no records, and never end.
    """
    return Decision(ruling=Ruling.REJECT, reason=f"rejected: {why}")


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
    return [f"{found}, {allowed} at most were expected"]


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
