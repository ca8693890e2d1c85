"""What every kind of receiver promises, whatever it sends to."""

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from pydantic import TypeAdapter

from aemon.config.receiver_settings import Receiver, ReceiverSettings
from aemon.config.values.templates import LONGEST_TEXT, TemplateError
from aemon.message import EXAMPLE, Event
from aemon.notify.receivers.receiver_kinds import receiver_of
from aemon.notify.sending import send
from aemon.records import EpisodeState, Severity
from aemon.testing.http_receiver import receiving

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
SETTINGS = get_args(get_args(Receiver)[0])
KINDS = [get_args(one.model_fields["kind"].annotation)[0] for one in SETTINGS]
MAY_LEAVE_OUT_THE_END = [
    kind for kind, one in zip(KINDS, SETTINGS, strict=True) if "resolved" in one.model_fields
]
OPENED = replace(EXAMPLE, event=Event.OPENED, before=None)
RESOLVED = replace(OPENED, event=Event.RESOLVED, state=EpisodeState.CLOSED)
ESCALATED = replace(OPENED, event=Event.ESCALATED, before=Severity.WARNING)
SECRETS = ("s3cret-path-of-a-hook", "t0k3n-of-the-bearer", "pa55word-in-a-header")
ODD = '"quoted" \\ </script>\n<!channel> & {{ braces }} ä \x00 \U0001f525'


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def receiver(kind, url="http://there.example:9093", **more):
    given = {"kind": kind, "url": url, **more}
    return receiver_of(TypeAdapter(Receiver).validate_python(given))


def secretive(kind, base="http://there.example"):
    path, token, password = SECRETS
    return receiver(
        kind, f"{base}/{path}", bearer_token=token, headers={"X-Key": password}, timeout="2s"
    )


def episodes_of(kind, body):
    """episode -> whether it goes on, as the program at the other end reads the body."""
    if kind == "alertmanager":
        ends = {one["labels"]["episode"]: one["endsAt"] for one in body}
        return {name: datetime.fromisoformat(end) > NOW for name, end in ends.items()}
    if kind == "slack":
        (attachment,) = body["attachments"]
        return {attachment["title"].removeprefix("episode "): "resolved" not in body["text"]}
    return {str(body["episode"]): body["event"] != "resolved"}


def sent(kind, message, **more):
    return json.loads(receiver(kind, **more).payload(message, NOW))


def test_every_kind_of_the_configuration_has_its_receiver(kind):
    made = receiver(kind)
    assert isinstance(made.settings, ReceiverSettings)
    assert made.settings.kind == kind


@pytest.mark.parametrize("event", Event)
def test_every_event_is_json(kind, event):
    assert sent(kind, replace(ESCALATED, event=event))
    assert sent(kind, replace(OPENED, event=event, entity="", reason="", columns=(), page=""))


def test_whatever_a_record_holds_is_json(kind):
    odd = replace(OPENED, entity=ODD, reason=ODD, peak_record=ODD, label=ODD, labels={"team": ODD})
    text = json.dumps(sent(kind, odd), ensure_ascii=False)
    assert "\U0001f525" in text


def test_what_it_opened_it_resolves(kind):
    """Given the same configuration, the end is that of the same episode."""
    assert receiver(kind).notifies_end
    assert episodes_of(kind, sent(kind, OPENED)) == {"41": True}
    assert episodes_of(kind, sent(kind, RESOLVED)) == {"41": False}


@pytest.mark.parametrize("kind", MAY_LEAVE_OUT_THE_END)
def test_the_end_is_left_out_where_that_is_configured(kind):
    assert not receiver(kind, resolved=False).notifies_end


def test_a_text_that_is_too_long_is_refused_rather_than_cut(kind):
    made = receiver(kind, template="{% for n in range(records) %}x{% endfor %}")
    assert "xxx" in made.payload(replace(OPENED, records=LONGEST_TEXT), NOW).decode()
    with pytest.raises(TemplateError, match="characters"):
        made.payload(replace(OPENED, records=LONGEST_TEXT + 1), NOW)


@pytest.mark.parametrize("event", Event)
def test_no_secret_is_in_a_payload_or_in_how_it_is_printed(kind, event):
    made = secretive(kind)
    body = made.payload(replace(ESCALATED, event=event), NOW).decode()
    for secret in SECRETS:
        assert secret not in body
        assert secret not in f"{made} {made!r} {made.settings!r}"


def test_its_address_is_that_of_the_configuration(kind):
    assert secretive(kind).address.startswith(f"http://there.example/{SECRETS[0]}")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if receiver(kind).resends])
def test_what_is_sent_again_says_that_the_episode_goes_on(kind):
    resends = receiver(kind).resends
    assert resends.every >= timedelta(seconds=10)
    assert resends.most_at_once >= 1
    several = [replace(OPENED, episode=number) for number in (41, 42)]
    body = resends.body([part for message in several for part in resends.parts(message, NOW)])
    assert episodes_of(kind, json.loads(body)) == {"41": True, "42": True}
    late = NOW + resends.every + timedelta(seconds=5)
    (part,) = json.loads(resends.body(resends.parts(OPENED, NOW)))
    assert datetime.fromisoformat(part["endsAt"]) > late, "it holds until it is sent again"


@pytest.mark.parametrize(
    ("status", "taken", "permanent"),
    [(200, True, False), (202, True, False), (204, True, False), (400, False, True),
     (404, False, True), (429, False, False), (503, False, False)],
)  # fmt: skip
def test_its_answers_are_understood(kind, status, taken, permanent):
    with receiving() as server:
        server.always = (status, {}, b"")
        made = receiver(kind, server.url, timeout="2s")
        answer = send(made, made.payload(OPENED, NOW), OPENED.id)
    assert (answer.status, answer.taken, answer.permanent) == (status, taken, permanent)


def test_an_answer_that_repeats_every_secret_gives_none_away(kind, caplog):
    caplog.set_level(logging.DEBUG)
    with receiving() as server:
        made = secretive(kind, f"http://127.0.0.1:{server.port}")
        server.always = (403, {}, " ".join((made.address, *SECRETS)).encode())
        answer = send(made, made.payload(OPENED, NOW), OPENED.id)
    assert answer.error.startswith("HTTP 403: ")
    for secret in SECRETS:
        assert secret not in repr(answer)
        assert secret not in caplog.text


def test_nobody_asks_a_receivers_settings_for_their_kind():
    """One table knows which settings are which receiver."""
    import ast
    from pathlib import Path

    import aemon

    names = {one.__name__ for one in SETTINGS}
    asking = []
    for path in Path(aemon.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            if is_call and node.func.id in {"isinstance", "issubclass", "type"}:
                found = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
                asking += [path] if found & names else []
    assert asking == []
