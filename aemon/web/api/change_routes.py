"""Paths that change something: feedback, episodes, snoozes, and the active detector."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from aemon.clock import parse_duration
from aemon.errors import QueryError
from aemon.operations.episode_handling import (
    acknowledge_episode,
    close_episode,
    find_episode,
    label_episode,
)
from aemon.operations.giving_feedback import GivenFeedback, Statement, give_feedback
from aemon.operations.installation import Installation
from aemon.operations.lists.pages import MOST_WHOLE
from aemon.operations.snoozing import end_snooze, snooze_anomalies
from aemon.operations.succession_by_hand import Promotion, promote_detector, roll_back_detector
from aemon.records import FeedbackVerdict
from aemon.store.episode_queries import EpisodeSummary
from aemon.store.snoozes import StoredSnooze
from aemon.web.api.desk import TheDesk
from aemon.web.api.detector_routes import Version
from aemon.web.api.fields import Moment, Number, Text, read_moment

router = APIRouter(tags=["changes"])

Note = Annotated[Text, Field(description="why, for other people")]


class Body(BaseModel):
    """The JSON object of a request that changes something."""

    model_config = ConfigDict(extra="forbid")


class NoteBody(Body):
    """A note on a change."""

    note: Note = ""


class EpisodeFeedbackBody(NoteBody):
    """Feedback on all flagged records of an episode."""

    verdict: FeedbackVerdict


class FeedbackBody(EpisodeFeedbackBody):
    """Feedback on a record, on all flagged records of an episode, or on a period."""

    monitor: Text
    record: Annotated[Text | None, Field(description="key of the record")] = None
    entity: Annotated[Text | None, Field(description="only this entity")] = None
    episode: Annotated[int | None, Field(ge=1, le=MOST_WHOLE)] = None
    until: Annotated[
        Moment | None, Field(description="with ignore_until: the end of the period, an event time")
    ] = None


class LabelBody(Body):
    """The name of an episode; an empty name removes the present one."""

    label: Text


class SnoozeBody(NoteBody):
    """A snooze of a monitor's anomalies; it needs either `lasts` or `until`."""

    monitor: Text
    entity: Annotated[Text | None, Field(description="only this entity")] = None
    lasts: Annotated[Text | None, Field(description="length", examples=["2h"])] = None
    until: Annotated[Moment | None, Field(description="end, an event time")] = None


@router.post("/feedback", response_model=GivenFeedback, status_code=HTTPStatus.CREATED)
async def add_feedback(desk: TheDesk, body: FeedbackBody) -> Response:
    """Say whether a record was a false alarm, as `aemon feedback` does.

    Similar records are excused at once; the next training uses the feedback.
    """
    desk.require("feedback")

    def give(one: Installation) -> GivenFeedback:
        said = Statement(
            verdict=body.verdict, record=body.record, entity=body.entity, episode=body.episode,
            until=read_moment(body.until, one.clock()), note=body.note,
        )  # fmt: skip
        return give_feedback(one, body.monitor, said)

    return await desk.answer(give, HTTPStatus.CREATED)


@router.post(
    "/episodes/{number}/feedback", response_model=GivenFeedback, status_code=HTTPStatus.CREATED
)
async def add_episode_feedback(
    desk: TheDesk, number: Number, body: EpisodeFeedbackBody
) -> Response:
    """Say whether an episode was a false alarm: feedback on each of its flagged records."""
    desk.require("feedback")

    def give(one: Installation) -> GivenFeedback:
        monitor = find_episode(one, number).monitor
        said = Statement(verdict=body.verdict, episode=number, note=body.note)
        return give_feedback(one, monitor, said)

    return await desk.answer(give, HTTPStatus.CREATED)


@router.post("/episodes/{number}/acknowledge", response_model=EpisodeSummary)
async def acknowledge(desk: TheDesk, number: Number, body: NoteBody) -> Response:
    """Acknowledge an episode; it stays open until its records are calm."""
    desk.require("feedback")
    return await desk.answer(lambda one: acknowledge_episode(one, number, body.note))


@router.post("/episodes/{number}/close", response_model=EpisodeSummary)
async def close(desk: TheDesk, number: Number, body: NoteBody) -> Response:
    """Close an episode; the next anomaly begins a new episode."""
    desk.require("feedback")
    return await desk.answer(lambda one: close_episode(one, number, body.note))


@router.put("/episodes/{number}/label", response_model=EpisodeSummary)
async def put_label(desk: TheDesk, number: Number, body: LabelBody) -> Response:
    """Name an episode; similar later episodes are reported with this name."""
    desk.require("feedback")
    return await desk.answer(lambda one: label_episode(one, number, body.label))


@router.post("/snoozes", response_model=StoredSnooze, status_code=HTTPStatus.CREATED)
async def add_snooze(desk: TheDesk, body: SnoozeBody) -> Response:
    """Suppress a monitor's anomalies from now until an end."""
    desk.require("feedback")

    def snooze(one: Installation) -> StoredSnooze:
        try:
            lasts = None if body.lasts is None else parse_duration(body.lasts)
        except ValueError as error:
            raise QueryError(f"lasts: {error}") from None
        until = read_moment(body.until, one.clock())
        return snooze_anomalies(
            one, body.monitor, lasts=lasts, until=until, entity=body.entity, note=body.note
        )

    return await desk.answer(snooze, HTTPStatus.CREATED)


@router.delete("/snoozes/{number}", response_model=StoredSnooze)
async def delete_snooze(desk: TheDesk, number: Number) -> Response:
    """End a snooze now; it stays in the list of ended snoozes."""
    desk.require("feedback")
    return await desk.answer(lambda one: end_snooze(one, number))


@router.post("/detectors/{monitor:path}/{version}/promotion", response_model=Promotion)
async def promote(desk: TheDesk, monitor: Text, version: Version, _body: Body) -> Response:
    """Make a detector active without regard to its trial; needs the permission admin."""
    desk.require("admin")
    return await desk.answer(lambda one: promote_detector(one, version, monitor))


@router.post("/detectors/{monitor:path}/rollback", response_model=Promotion)
async def roll_back(desk: TheDesk, monitor: Text, _body: Body) -> Response:
    """Make the previous active detector active again; needs the permission admin."""
    desk.require("admin")
    return await desk.answer(lambda one: roll_back_detector(one, monitor))
