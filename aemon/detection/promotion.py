"""Whether a detector on trial takes the place of the active one, by a rule that is stated."""

from dataclasses import dataclass
from enum import StrEnum
from math import floor, isfinite, sqrt

LEAST_TRIAL, MOST_TRIAL = 200, 2_000
"""Records of a trial, unless a number is given: 1 / false-alarm rate, within these bounds."""

FEWEST_DECIDED = 20
"""A trial that is overdue waits on for so many records: fewer say nothing."""

MOST_WORSE = 2.0
"""Times the active detector's validation error that a new one may have."""

LEAST_KEPT = 0.5
"""Share of the active detector's critical anomalies that a new one must flag, too."""

ALLOWANCE_DEVIATIONS = 3.0
"""Standard deviations above the promise that chance may flag in a trial."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What is known of a detector on trial and of the active one.

    Attributes:
        records: that both judged.
        flagged: by the one on trial.
        flagged_by_active: by the active one.
        flagged_by_both: by both.
        critical_by_active: critical ones of the active detector.
        critical_kept: of those, flagged by the one on trial, too.
        rate: the promise of the one on trial, a share of normal records.
        error: its validation error, in spreads.
        active_error: that of the active one.
        confirmed: confirmed anomalies that the active one flags.
        confirmed_lost: of those, not flagged by the one on trial.
        drifted: normal life has moved away from the active one: what that flags says little.
        alike: both learned by the same settings; else their errors and critical records are of
            other columns, or on another scale.
        asked_for: the one on trial learned by other settings, or promises another rate.
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
        """Whether the active one is a measure for the errors and critical anomalies of the other."""
        return self.alike and not self.drifted


class Ruling(StrEnum):
    """What becomes of a trial."""

    WAIT = "wait"
    PROMOTE = "promote"
    REJECT = "reject"


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """A ruling, and the sentence that says why."""

    ruling: Ruling
    reason: str


def trial_records(rate: float, given: int | None) -> int:
    """How many records a trial takes.

    >>> trial_records(0.001, None)
    1000
    """
    return given or min(max(LEAST_TRIAL, round(1 / rate)), MOST_TRIAL)


def least_records(wanted: int, *, overdue: bool, asked_for: bool = False) -> int:
    """How many records a trial is decided by at least.

    A detector by other settings was asked for: where its source stands still, none are waited for
    in the end.

    >>> least_records(1000, overdue=True)
    20
    >>> least_records(1000, overdue=True, asked_for=True)
    0
    """
    if not overdue:
        return wanted
    return 0 if asked_for else min(FEWEST_DECIDED, wanted)


def allowed_alarms(records: int, rate: float) -> int:
    """How many of so many normal records chance may flag: binomial mean and three deviations.

    >>> allowed_alarms(1000, 0.001)
    4
    """
    expected = rate * records
    return max(1, floor(expected + ALLOWANCE_DEVIATIONS * sqrt(expected)))


def decide(evidence: Evidence, wanted: int, *, overdue: bool = False) -> Decision:
    """Rule on a trial.

    The detector is promoted if all of this holds, else rejected:

    1. its validation error is a number, and at most twice the active one's (not asked once life
       has drifted, for the active one was validated on another, nor where it learned otherwise);
    2. of the records that the active one takes for normal it flags no more than its promise and
       chance explain (once life has drifted: it flags no more than the active one does);
    3. of what the active one calls critical it flags half or more (not asked either then);
    4. it flags every confirmed anomaly that the active one flags.

    Args:
        evidence: what is known.
        wanted: records the trial takes.
        overdue: it is to be decided by what there is.
    """
    if evidence.records < least_records(wanted, overdue=overdue, asked_for=evidence.asked_for):
        told = f"on trial: {evidence.records} of {wanted} records"
        return Decision(ruling=Ruling.WAIT, reason=told)
    against = [*_errors(evidence), *_alarms(evidence), *_losses(evidence)]
    if against:
        return Decision(ruling=Ruling.REJECT, reason="rejected: " + "; ".join(against))
    kept = f", all {evidence.confirmed} confirmed anomalies kept" if evidence.confirmed else ""
    told = (
        f"promoted: of {evidence.records} records it flagged {evidence.flagged}, the active one "
        f"{evidence.flagged_by_active}, both {evidence.flagged_by_both}{kept}; "
        f"validation error {evidence.error:.3g} beside {evidence.active_error:.3g}"
    )
    return Decision(ruling=Ruling.PROMOTE, reason=told)


def unfit(why: str) -> Decision:
    """The ruling on a detector that cannot judge what the active one can: it never will.

    Its trial would see no records, and have no end.
    """
    return Decision(ruling=Ruling.REJECT, reason=f"rejected: {why}")


def _errors(evidence: Evidence) -> list[str]:
    if not isfinite(evidence.error):
        return ["its validation error is no number"]
    if evidence.comparable and evidence.error > MOST_WORSE * evidence.active_error:
        return [
            (
                f"its validation error, {evidence.error:.3g}, is more than {MOST_WORSE:g} times the "
                f"active one's, {evidence.active_error:.3g}"
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
    whose = (
        "it flagged" if evidence.drifted else "of what the active one takes for normal it flagged"
    )
    return [f"{whose} {alone} of {evidence.records} records, {allowed} at most were expected"]


def _losses(evidence: Evidence) -> list[str]:
    found = []
    least = LEAST_KEPT * evidence.critical_by_active
    if evidence.comparable and evidence.critical_kept < least:
        found.append(
            f"of {evidence.critical_by_active} critical anomalies it flagged "
            f"{evidence.critical_kept}"
        )
    if evidence.confirmed_lost:
        found.append(
            f"it misses {evidence.confirmed_lost} of {evidence.confirmed} confirmed anomalies "
            "that the active one flags"
        )
    return found
