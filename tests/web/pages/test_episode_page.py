"""The page of an episode: what happened, why, and what people know about it."""

import pytest

from aemon.store.episode_queries import episode_summaries
from aemon.store.feedback import read_feedback
from aemon.store.lists.audit_log import audit_rows
from aemon.store.snoozes import all_snoozes
from tests.filled_stores import fill
from tests.web_security import PASSWORD

OWN = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}
MARKUP = '<img src=x onerror="alert(1)">'


@pytest.fixture
def number(store, clock):
    return fill(store, "pumps", clock(), records=200, anomalies=(120, 121, 150))


@pytest.fixture
def reader(pages, number):
    return pages()


@pytest.fixture
def writer(pages, number, writers):
    client = pages(access=writers)
    client.auth = ("ann", PASSWORD)
    return client


def test_it_says_what_happened_and_how_to_see_the_same(reader, number):
    page = reader.get(f"/episodes/{number}").text
    assert "flow 1.2 where 5 was expected" in page
    assert "WHERE episode_id = 1" in page
    assert "aemon explain pumps 0000" in page
    assert "flow <strong>1.2</strong>" in page


def test_who_may_only_read_sees_commands_and_no_buttons(reader, number):
    page = reader.get(f"/episodes/{number}").text
    assert "<form" not in page.split('aria-label="What you know"')[1]
    assert "aemon feedback pumps false_alarm --episode 1" in page
    assert reader.post(f"/episodes/{number}/feedback", headers=OWN).status_code == 403


def test_the_list_leads_to_the_episodes(reader, number):
    assert f'href="/episodes/{number}"' in reader.get("/episodes").text
    assert f'href="/episodes/{number}"' in reader.get("/episodes?monitor=pumps&state=open").text
    assert "None." in reader.get("/episodes?state=closed").text


def test_feedback_stands_in_the_table_and_on_the_page(writer, number, store):
    form = {"verdict": "false_alarm", "note": MARKUP, "name": "Ann"}
    answer = writer.post(f"/episodes/{number}/feedback", data=form, headers=OWN)
    assert answer.status_code == 200
    assert answer.url.path == f"/episodes/{number}"
    given = read_feedback(store, "pumps")
    assert [(each.verdict, each.note) for each in given] == 3 * [("false_alarm", f"{MARKUP} (Ann)")]
    assert "3 records" in answer.text
    assert "<img" not in answer.text
    assert "The feedback is stored" in answer.text


def test_an_episode_is_acknowledged_labelled_and_snoozed(writer, number, store, clock):
    writer.post(f"/episodes/{number}/acknowledge", data={"note": "looking"}, headers=OWN)
    writer.post(f"/episodes/{number}/label", data={"label": "stuck <b>"}, headers=OWN)
    snooze = {"lasts": "4h", "only": "entity", "note": "repair"}
    page = writer.post(f"/episodes/{number}/snooze", data=snooze, headers=OWN).text
    (episode,) = episode_summaries(store, ["pumps"])
    assert (episode.state, episode.note, episode.label) == ("acknowledged", "looking", "stuck <b>")
    (kept,) = all_snoozes(store, ["pumps"], until=clock())
    assert (kept.entity, kept.note, (kept.until - clock()).total_seconds()) == (
        "p1",
        "repair",
        14_400,
    )
    assert "stuck &lt;b&gt;" in page
    assert "Acknowledge<" not in page


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://localhost:99"},
        {"Origin": "http://[evil"},
    ],
)  # fmt: skip
def test_a_foreign_page_changes_nothing(writer, number, store, headers):
    form = {"verdict": "false_alarm"}
    answer = writer.post(f"/episodes/{number}/feedback", data=form, headers=headers)
    assert answer.status_code == 403
    assert read_feedback(store, "pumps") == []


def test_other_bodies_and_values_are_refused_with_the_reason(writer, number, store):
    path = f"/episodes/{number}/feedback"
    assert writer.post(path, json={"verdict": "false_alarm"}, headers=OWN).status_code == 415
    assert writer.post(path, data={"verdict": "maybe"}, headers=OWN).status_code == 422
    assert writer.post(path, data={"note": "x" * 30_000}, headers=OWN).status_code == 413
    assert (
        writer.post("/episodes/99/acknowledge", data={"note": "x"}, headers=OWN).status_code == 404
    )
    long = writer.post(f"/episodes/{number}/snooze", data={"lasts": "9999w"}, headers=OWN)
    assert long.status_code == 422
    assert read_feedback(store, "pumps") == []


def test_without_the_permission_nothing_is_changed(writer, number, store):
    writer.auth = ("bob", PASSWORD)
    form = {"verdict": "false_alarm"}
    assert writer.post(f"/episodes/{number}/feedback", data=form, headers=OWN).status_code == 403
    assert read_feedback(store, "pumps") == []


def test_every_change_is_in_the_audit_with_its_author(writer, number, store):
    writer.post(f"/episodes/{number}/acknowledge", data={"note": "x"}, headers=OWN)
    (row,) = audit_rows(store, ["pumps"], limit=10)
    assert (row.who, row.origin, row.action, row.monitor) == ("ann", "page", "acknowledge", "pumps")
