"""Converts feedback to excuses: a new record that is similar to a false alarm is excused."""

from collections.abc import Iterable

from aemon.detection.excuses import Excuses, Reason, reason_of
from aemon.detection.judgement import Contribution
from aemon.records import FeedbackVerdict
from aemon.store.feedback import BlamedCell, RecordWithFeedback


def excuses_from(feedback: Iterable[RecordWithFeedback]) -> Excuses:
    """Return the excuses that follow from feedback: false alarms and confirmed anomalies."""
    reasons: dict[FeedbackVerdict, list[Reason]] = {verdict: [] for verdict in FeedbackVerdict}
    records = set()
    for entry in feedback:
        if entry.verdict is FeedbackVerdict.FALSE_ALARM:
            records.add((entry.entity, entry.record_key))
        reason = blamed_reason(entry.entity, entry.blamed)
        if reason is not None:
            reasons[entry.verdict].append(reason)
    return Excuses(
        false_alarms=tuple(reasons[FeedbackVerdict.FALSE_ALARM]),
        confirmed=tuple(reasons[FeedbackVerdict.CONFIRMED]),
        records=frozenset(records),
    )


def blamed_reason(entity: str, blamed: Iterable[BlamedCell]) -> Reason | None:
    """Return the reason why a flagged record was unusual; None without stored contributions."""
    parts = [
        Contribution(
            column=cell.column,
            observed=cell.observed,
            reconstructed=cell.expected,
            error=cell.error,
            share=cell.share,
            rank=cell.rank,
        )
        for cell in blamed
    ]
    return reason_of(entity, parts)
