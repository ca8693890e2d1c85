"""What each kind of receiver gets: fields, text, and what templates make of them."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import TypeAdapter

from aemon.config.receiver_settings import Receiver
from aemon.config.values.templates import TemplateError
from aemon.message import EXAMPLE, Event
from aemon.notify.receivers.receiver_kinds import receiver_of
from aemon.notify.receivers.text import text_of
from aemon.records import EpisodeState, Severity

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
OPENED = replace(EXAMPLE, event=Event.OPENED, before=None)


def receiver(kind, **more):
    given = {"kind": kind, "url": "http://there.example:9093", **more}
    return receiver_of(TypeAdapter(Receiver).validate_python(given))


def sent(message, kind, **more):
    return json.loads(receiver(kind, **more).payload(message, NOW))


def test_the_usual_text_says_all_there_is():
    assert text_of(OPENED, None) == (
        "temperature 0 °C where 45 was expected, given flow and current\n"
        "critical, open; since 2026-11-20T08:00:00Z, 7 records, at most 4.2 x the threshold\n"
        "to blame: temperature 0 °C where 45 was expected (84 %), flow 62 where 36 was expected (9 %)\n"
        "like episode 12, labelled stuck sensor\n"
        "http://127.0.0.1:9464/episodes/41\n"
        "aemon episodes show 41\n"
        "SELECT * FROM flagged_records WHERE episode_id = 41 ORDER BY event_time;"
    )
    over = replace(OPENED, event=Event.RESOLVED, state=EpisodeState.CLOSED, records=1, like="")
    assert "critical, closed; from 2026-11-20T08:00:00Z to 2026-11-20T08:03:00Z, 1 record, " in (
        text_of(over, None)
    )
    brief = replace(over, ended_at=over.started_at)
    assert "critical, closed; at 2026-11-20T08:00:00Z, 1 record, " in text_of(brief, None)
    escalated = replace(OPENED, event=Event.ESCALATED, before=Severity.WARNING)
    assert "critical, reported as warning before, open" in text_of(escalated, None)


def test_a_title_says_what_happened():
    def title(**more):
        return replace(OPENED, **more).title

    assert title() == "pumps, p4: critical episode 41"
    assert title(event=Event.ESCALATED, entity="") == "pumps: now critical: episode 41"
    assert title(event=Event.RESOLVED) == "pumps, p4: resolved: episode 41"
    assert title(event=Event.TEST).startswith("test from aemon")


def test_an_id_is_the_same_for_the_same_news_alone():
    again = replace(OPENED, records=9, state=EpisodeState.CLOSED, severity=Severity.WARNING)
    assert again.id == OPENED.id
    others = (
        {"event": Event.RESOLVED}, {"episode": 42}, {"monitor": "fans"},
        {"opened_at": OPENED.opened_at + timedelta(microseconds=1)},
    )  # fmt: skip
    assert OPENED.id not in {replace(OPENED, **one).id for one in others}


def test_a_webhook_gets_every_field():
    body = sent(OPENED, "webhook")
    assert body == {**OPENED.variables(), "text": text_of(OPENED, None)}
    assert body["columns"][0] == {
        "column": "temperature", "share": 0.84, "observed": "0", "expected": "45", "unit": "°C",
        "told": "temperature 0 °C where 45 was expected (84 %)",
    }  # fmt: skip


def test_a_webhooks_body_can_be_anything():
    body = (
        '{"subject": {{ title | tojson }}, "n": {{ columns | length }}, "t": {{ text | tojson }}}'
    )
    odd = replace(OPENED, entity="\"><&'\n")
    assert sent(odd, "webhook", body=body, template="{{ severity }}!") == {
        "subject": odd.title,
        "n": 2,
        "t": "critical!",
    }
    broken = '{"a": {% if entity == "p4" %}1{% endif %}}'
    with pytest.raises(TemplateError, match="does not give valid JSON"):
        receiver("webhook", body=broken).payload(odd, NOW)


def test_slack_gets_text_and_one_attachment():
    body = sent(OPENED, "slack")
    assert set(body) == {"text", "attachments"}
    (attachment,) = body["attachments"]
    assert attachment["text"] == text_of(OPENED, None)
    assert attachment["title_link"] == OPENED.page
    assert attachment["color"] == "#c62828"
    over = sent(replace(OPENED, event=Event.RESOLVED), "slack")
    assert over["attachments"][0]["color"] == "#2e7d32"


def test_records_cannot_call_a_channel_together():
    odd = replace(OPENED, entity="<!channel>", reason="a < b & c")
    text = json.dumps(sent(odd, "slack", template="{{ entity }}: {{ reason }} <{{ page }}|page>"))
    assert "<!channel>" not in text
    assert "&lt;!channel&gt;: a &lt; b &amp; c <http://127.0.0.1:9464/episodes/41|page>" in text


def test_an_alerts_labels_are_those_of_its_life():
    (alert,) = sent(OPENED, "alertmanager", labels={"site": "north"})
    assert alert["labels"] == {
        "alertname": "AemonEpisode", "monitor": "pumps", "entity": "p4", "episode": "41",
        "severity": "critical", "site": "north", "team": "water",
    }  # fmt: skip
    assert set(alert["annotations"]) == {"summary", "description", "columns", "sql", "command"}
    assert alert["generatorURL"] == OPENED.page
    assert alert["startsAt"] == "2026-11-20T08:01:00.000+00:00"
    assert alert["endsAt"] == "2026-11-20T09:05:00.000+00:00"
    (nobodys,) = sent(replace(OPENED, entity="", reason=""), "alertmanager")
    assert "entity" not in nobodys["labels"]
    (over,) = sent(replace(OPENED, event=Event.RESOLVED), "alertmanager", labels={"site": "north"})
    assert over["labels"] == alert["labels"]
    assert over["endsAt"] == "2026-11-20T09:00:00.000+00:00"
    ongoing = receiver("alertmanager", labels={"site": "north"}).ongoing
    assert ongoing(OPENED, NOW) == [alert]
    taken_up = replace(OPENED, state=EpisodeState.ACKNOWLEDGED, acknowledged=True)
    still_on, muting = ongoing(taken_up, NOW)
    assert still_on["labels"] == alert["labels"], "an end would say that all is well"
    assert muting["labels"] == {
        **alert["labels"], "alertname": "AemonEpisodeAcknowledged", "severity": "info"
    }  # fmt: skip
    ends = sent(replace(taken_up, event=Event.RESOLVED), "alertmanager")
    assert [one["labels"]["alertname"] for one in ends] == [
        "AemonEpisodeAcknowledged", "AemonEpisode",
    ]  # fmt: skip
    assert {one["endsAt"] for one in ends} == {over["endsAt"]}


def test_an_escalation_ends_the_warning():
    escalated = replace(OPENED, event=Event.ESCALATED, before=Severity.WARNING)
    new, old = sent(escalated, "alertmanager")
    assert (new["labels"]["severity"], new["endsAt"]) == (
        "critical",
        "2026-11-20T09:05:00.000+00:00",
    )
    assert (old["labels"]["severity"], old["endsAt"]) == (
        "warning",
        "2026-11-20T09:00:00.000+00:00",
    )


def test_an_alertmanager_may_be_named_by_its_whole_path():
    for url in ("http://a:9093", "http://a:9093/", "http://a:9093/api/v2/alerts"):
        assert receiver("alertmanager", url=url).address == "http://a:9093/api/v2/alerts"
    behind = receiver("alertmanager", url="https://a/am/")
    assert behind.address == "https://a/am/api/v2/alerts"
