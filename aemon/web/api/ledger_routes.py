"""Paths about what happened: `/runs`, `/rejected`, `/feedback`, `/snoozes`."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import Response

from aemon.operations.installation import Installation
from aemon.operations.lists.ledger_pages import (
    Happened,
    audit_page,
    feedback_page,
    rejected_page,
    run_page,
    snooze_page,
)
from aemon.operations.lists.pages import Page
from aemon.records import FeedbackVerdict, Job, Outcome
from aemon.store.inbox.rejected_records import RejectedRecord
from aemon.store.lists.audit_log import AuditRow
from aemon.store.lists.ledger_rows import RunRow
from aemon.store.lists.numbered_rows import FeedbackRow
from aemon.store.snoozes import StoredSnooze
from aemon.web.api.desk import TheDesk
from aemon.web.api.fields import Text, TimesQuery
from aemon.web.api.list_answers import LISTED, TheListing

router = APIRouter(tags=["ledger"])


class HappenedQuery(TimesQuery):
    """A request for rows about what happened."""

    def happened(self, installation: Installation) -> Happened:
        """Return the conditions as the operations read them.

        Raises:
            QueryError: a time cannot be read.
        """
        since, until = self.times(installation.clock())
        return Happened(monitor=self.monitor, since=since, until=until)


class RunQuery(HappenedQuery):
    """A request for runs; the times are those of their starts."""

    job: Annotated[list[Job] | None, Field(description="only this job; may be repeated")] = None
    outcome: Annotated[
        list[Outcome] | None, Field(description="only this outcome; may be repeated")
    ] = None


class AuditQuery(HappenedQuery):
    """A request for the changes that people and programs made."""

    who: Annotated[Text | None, Field(description="only of this user or token")] = None
    action: Annotated[Text | None, Field(description="only of this kind")] = None


class FeedbackQuery(HappenedQuery):
    """A request for feedback; the times are those at which it was given."""

    record: Annotated[Text | None, Field(description="only on records with this key")] = None
    verdict: Annotated[
        list[FeedbackVerdict] | None, Field(description="only this verdict; may be repeated")
    ] = None


class SnoozeQuery(HappenedQuery):
    """A request for snoozes; the times are those at which they were entered."""

    ended: Annotated[bool, Field(description="also snoozes that have ended")] = False


@router.get("/runs", response_model=Page[RunRow], responses=LISTED)
async def list_runs(listing: TheListing, query: Annotated[RunQuery, Query()]) -> Response:
    """List the runs of the ledger with their outcomes, newest first."""
    jobs = None if query.job is None else tuple(query.job)
    outcomes = None if query.outcome is None else tuple(query.outcome)
    return await listing.answer(
        query,
        RunRow,
        lambda one, cursor, limit: run_page(
            one, query.happened(one), jobs=jobs, outcomes=outcomes, cursor=cursor, limit=limit
        ),
    )


@router.get("/audit", response_model=Page[AuditRow], responses=LISTED)
async def list_audit(
    desk: TheDesk, listing: TheListing, query: Annotated[AuditQuery, Query()]
) -> Response:
    """List the changes that people and programs made; needs the permission admin."""
    desk.require("admin")
    return await listing.answer(
        query,
        AuditRow,
        lambda one, cursor, limit: audit_page(
            one,
            query.happened(one),
            who=query.who,
            action=query.action,
            cursor=cursor,
            limit=limit,
        ),
    )


@router.get("/rejected", response_model=Page[RejectedRecord], responses=LISTED)
async def list_rejected(listing: TheListing, query: Annotated[HappenedQuery, Query()]) -> Response:
    """List the records that could not be judged, with the reason and their text, newest first."""
    return await listing.answer(
        query,
        RejectedRecord,
        lambda one, cursor, limit: rejected_page(
            one, query.happened(one), cursor=cursor, limit=limit
        ),
    )


@router.get("/feedback", response_model=Page[FeedbackRow], responses=LISTED)
async def list_feedback(listing: TheListing, query: Annotated[FeedbackQuery, Query()]) -> Response:
    """List the feedback of people, newest first."""
    verdicts = None if query.verdict is None else tuple(query.verdict)
    return await listing.answer(
        query,
        FeedbackRow,
        lambda one, cursor, limit: feedback_page(
            one,
            query.happened(one),
            record_key=query.record,
            verdicts=verdicts,
            cursor=cursor,
            limit=limit,
        ),
    )


@router.get("/snoozes", response_model=Page[StoredSnooze], responses=LISTED)
async def list_snoozes(listing: TheListing, query: Annotated[SnoozeQuery, Query()]) -> Response:
    """List the snoozes that have not ended, newest first."""
    return await listing.answer(
        query,
        StoredSnooze,
        lambda one, cursor, limit: snooze_page(
            one, query.happened(one), ended=query.ended, cursor=cursor, limit=limit
        ),
    )
