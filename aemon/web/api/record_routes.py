"""Paths about records: `/scores`, `/flagged`, `/contributions`, `/explanation`."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from aemon.operations.flagged_records import explain_record
from aemon.operations.installation import Installation
from aemon.operations.lists.pages import MOST_WHOLE, Page
from aemon.operations.lists.record_pages import (
    RecordsWanted,
    contribution_page,
    flagged_page,
    score_page,
)
from aemon.records import Verdict
from aemon.store.lists.contribution_rows import Contribution
from aemon.store.lists.judged_records import JudgedRecord
from aemon.store.queries import FlaggedRecord
from aemon.web.api.desk import TheDesk
from aemon.web.api.fields import Text, TimesQuery
from aemon.web.api.list_answers import LISTED, TheListing

router = APIRouter(tags=["records"])


class RecordQuery(TimesQuery):
    """A request for records; the times are event times."""

    entity: Annotated[Text | None, Field(description="only of this entity")] = None

    def wanted(self, installation: Installation, episode: int | None = None) -> RecordsWanted:
        """Return the conditions as the operations read them.

        Raises:
            QueryError: a time cannot be read.
        """
        since, until = self.times(installation.clock())
        return RecordsWanted(
            monitor=self.monitor, entity=self.entity, episode=episode, since=since, until=until
        )


class ScoreQuery(RecordQuery):
    """A request for the verdicts on the records of a monitor."""

    monitor: Annotated[Text, Field(description="the monitor")]
    verdict: Annotated[
        list[Verdict] | None, Field(description="only this verdict; may be repeated")
    ] = None


class ContributionQuery(RecordQuery):
    """A request for contributions of columns."""

    episode: Annotated[
        int | None, Field(ge=1, le=MOST_WHOLE, description="only of this episode")
    ] = None


class FlaggedQuery(ContributionQuery):
    """A request for flagged records."""

    suppressed: Annotated[bool, Field(description="list suppressed records instead")] = False


class ExplanationQuery(BaseModel):
    """A request for the verdict on a record, with its reasons."""

    model_config = ConfigDict(extra="forbid")

    monitor: Annotated[Text, Field(description="the monitor of the record")]
    record: Annotated[
        Text, Field(description="key of the record; a time may lack fractions of a second")
    ]
    entity: Annotated[
        Text | None, Field(description="entity of the record, if several share the key")
    ] = None


@router.get("/scores", response_model=Page[JudgedRecord], responses=LISTED)
async def list_scores(listing: TheListing, query: Annotated[ScoreQuery, Query()]) -> Response:
    """List the newest verdicts on the records of a monitor, newest record first."""
    verdicts = None if query.verdict is None else tuple(query.verdict)
    return await listing.answer(
        query,
        JudgedRecord,
        lambda one, cursor, limit: score_page(
            one, query.wanted(one), verdicts=verdicts, cursor=cursor, limit=limit
        ),
    )


@router.get("/flagged", response_model=Page[FlaggedRecord], responses=LISTED)
async def list_flagged(listing: TheListing, query: Annotated[FlaggedQuery, Query()]) -> Response:
    """List flagged records with their reasons, newest first, as `aemon anomalies` does."""
    return await listing.answer(
        query,
        FlaggedRecord,
        lambda one, cursor, limit: flagged_page(
            one,
            query.wanted(one, query.episode),
            suppressed=query.suppressed,
            cursor=cursor,
            limit=limit,
        ),
    )


@router.get("/contributions", response_model=Page[Contribution], responses=LISTED)
async def list_contributions(
    listing: TheListing, query: Annotated[ContributionQuery, Query()]
) -> Response:
    """List the columns that explain flagged and suppressed records, newest record first."""
    return await listing.answer(
        query,
        Contribution,
        lambda one, cursor, limit: contribution_page(
            one, query.wanted(one, query.episode), cursor=cursor, limit=limit
        ),
    )


@router.get("/explanation", response_model=FlaggedRecord | JudgedRecord)
async def explain(desk: TheDesk, query: Annotated[ExplanationQuery, Query()]) -> Response:
    """Explain why a record was flagged or not, as `aemon explain` does."""
    return await desk.answer(
        lambda one: explain_record(one, query.monitor, query.record, query.entity)
    )
