"""What people said of flagged records, as excuses of records like them."""

from collections.abc import Iterable

from aemon.detection.excuses import Excuses, Reason, reason_of
from aemon.detection.judgement import Contribution
from aemon.records import FeedbackVerdict
from aemon.store.feedback import BlamedCell, RecordWithFeedback


def excuses_from(spoken: Iterable[RecordWithFeedback]) -> Excuses:
    """Return what was said of some records as what it says of others."""
    reasons: dict[FeedbackVerdict, list[Reason]] = {verdict: [] for verdict in FeedbackVerdict}
    records = set()
    for one in spoken:
        if one.verdict is FeedbackVerdict.FALSE_ALARM:
            records.add((one.entity, one.record_key))
        reason = blamed_reason(one.entity, one.blamed)
        if reason is not None:
            reasons[one.verdict].append(reason)
    return Excuses(
        false_alarms=tuple(reasons[FeedbackVerdict.FALSE_ALARM]),
        confirmed=tuple(reasons[FeedbackVerdict.CONFIRMED]),
        records=frozenset(records),
    )


def blamed_reason(entity: str, blamed: Iterable[BlamedCell]) -> Reason | None:
    """Return what was odd about a flagged record; None where the store knows nothing of it."""
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
