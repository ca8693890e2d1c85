"""The list of episodes, the page of an episode, and its forms for feedback."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aemon.clock import parse_duration
from aemon.errors import AemonError, ConfigError
from aemon.operations.episode_handling import acknowledge_episode, find_episode, label_episode
from aemon.operations.giving_feedback import Statement, give_feedback
from aemon.operations.installation import Installation
from aemon.operations.lists.episode_pages import EpisodeChoice, episode_page
from aemon.operations.snoozing import snooze_anomalies
from aemon.operations.views.episode_view import episode_page_of
from aemon.records import EpisodeState, FeedbackVerdict
from aemon.web.pages.forms import read_form
from aemon.web.pages.page_desk import PageDesk, error_page, may_write, refused
from aemon.web.pages.requests_read import text_of

LISTED = 50  # episodes on a page of the list
SNOOZES = ("1h", "4h", "1d", "7d")
_OPEN = (EpisodeState.OPEN, EpisodeState.ACKNOWLEDGED)

Form = Mapping[str, str]
Change = Callable[[Installation, int, Form], Any]

NOTICES: Mapping[str, str] = {
    "feedback": "The feedback is stored. The next training uses it.",
    "acknowledge": "The episode is acknowledged. It stays open until its records are calm.",
    "label": "The label is stored. Later similar episodes are reported with it.",
    "snooze": "The anomalies are suppressed for this time. They are stored with the reason.",
}


def episode_routes(desk: PageDesk) -> list[Route]:
    """Build the routes of the episodes."""

    async def episodes(request: Request) -> Response:
        monitor, state = text_of(request, "monitor"), text_of(request, "state")
        cursor = text_of(request, "cursor") or None

        def contents(installation: Installation) -> Mapping[str, Any]:
            states = {"open": _OPEN, "closed": (EpisodeState.CLOSED,)}.get(state)
            choice = EpisodeChoice(monitor=monitor or None, states=states)
            page = episode_page(installation, choice, cursor=cursor, limit=LISTED)
            return {
                "page": page,
                "monitors": sorted(installation.config.monitors),
                "monitor": monitor,
                "state": state,
            }

        return await desk.page(request, "episodes.html", contents)

    async def episode(request: Request) -> Response:
        number = request.path_params["number"]
        notice = NOTICES.get(request.query_params.get("done", ""), "")

        def contents(installation: Installation) -> Mapping[str, Any]:
            view = episode_page_of(installation, number)
            return {"view": view, "notice": notice, "snoozes": SNOOZES}

        return await desk.page(request, "episode.html", contents)

    def changed(kind: str) -> Callable[[Request], Any]:
        async def change(request: Request) -> Response:
            if not may_write(request):
                raise refused(HTTPStatus.FORBIDDEN, "you may not change anything here")
            number = request.path_params["number"]
            try:
                form = await read_form(request)
            except AemonError as error:
                return error_page(error, request.url.path)
            then = f"/episodes/{number}?done={kind}"
            return await desk.change(
                request, lambda installation: CHANGES[kind](installation, number, form), then
            )

        return change

    return [
        Route("/episodes", episodes),
        Route("/episodes/{number:int}", episode),
        *(
            Route(f"/episodes/{{number:int}}/{kind}", changed(kind), methods=["POST"])
            for kind in CHANGES
        ),
    ]


def _feedback(installation: Installation, number: int, form: Form) -> None:
    try:
        verdict = FeedbackVerdict(form.get("verdict", ""))
    except ValueError:
        raise ConfigError(
            "the form has no known verdict", todo="choose false alarm or confirmed"
        ) from None
    monitor = find_episode(installation, number).monitor
    statement = Statement(verdict=verdict, episode=number, note=_note(form))
    give_feedback(installation, monitor, statement)


def _acknowledge(installation: Installation, number: int, form: Form) -> None:
    acknowledge_episode(installation, number, _note(form))


def _label(installation: Installation, number: int, form: Form) -> None:
    label_episode(installation, number, form.get("label", ""))


def _snooze(installation: Installation, number: int, form: Form) -> None:
    episode = find_episode(installation, number)
    lasts = form.get("lasts", "")
    if lasts not in SNOOZES:
        raise ConfigError(
            "the form has no known length of the snooze", todo=f"choose {', '.join(SNOOZES)}"
        )
    snooze_anomalies(
        installation,
        episode.monitor,
        lasts=parse_duration(lasts),
        entity=episode.entity if form.get("only") == "entity" else None,
        note=_note(form),
    )


def _note(form: Form) -> str:
    """Return the note of a form, with the name of its author."""
    note, name = form.get("note", ""), form.get("name", "")
    return f"{note} ({name})".strip() if name else note


CHANGES: Mapping[str, Change] = {
    "feedback": _feedback,
    "acknowledge": _acknowledge,
    "label": _label,
    "snooze": _snooze,
}
"""The last part of a form's path -> the change that it makes."""
