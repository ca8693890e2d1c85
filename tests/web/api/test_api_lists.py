"""Lists in pages, and single answers, from both databases."""

from datetime import timedelta
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from aemon.operations.lists.pages import to_cursor
from aemon.store.schema.tables import episodes
from tests.web.api.conftest import ODD_NAMES
from tests.web.api.made_episodes import episode


@pytest.fixture
def ten_episodes(store, clock):
    """Ten episodes an hour apart; two begin at one time."""
    with store.writing() as connection:
        rows = [episode(clock() + timedelta(hours=n), n + 1) for n in range(9)]
        rows.append(episode(clock() + timedelta(hours=8), 10, state="open", entity="p'; DROP --"))
        connection.execute(sa.insert(episodes), rows)


def numbers(answer):
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["items"]]


def test_the_pages_of_a_list_hold_every_row_once(client, ten_episodes):
    seen, cursor = [], None
    while True:
        query = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        answer = client.get("/episodes", params=query)
        seen += numbers(answer)
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            break
    assert seen == [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]


CHOSEN = [
    ({"state": "open"}, [10]),
    ({"state": ["open", "closed"], "limit": 2}, [10, 9]),
    ({"entity": "p'; DROP --"}, [10]),
    ({"entity": ""}, []),
    ({"monitor": ODD_NAMES[0]}, []),
    ({"until": "2026-03-01T13:00:00Z"}, [1]),
    ({"since": "2026-03-01T21:00+01:00", "state": "closed"}, [9]),
    ({"since": "2026-03-01T21:00:00 01:00", "state": "closed"}, [9]),  # `+` of a URL
    ({"since": "2026-03-02"}, []),
    ({"since": "0001-01-01T00:00:00+14:00", "until": "9999-12-31T23:59:59-12:00", "limit": 1}, [10]),
    ({"until": "1h"}, []),
]  # fmt: skip


def test_episodes_are_chosen_by_conditions(client, ten_episodes):
    for query, found in CHOSEN:
        assert (query, numbers(client.get("/episodes", params=query))) == (query, found)


WRONG = [
    {"limit": 0}, {"limit": 1001}, {"limit": 10**30}, {"limit": "many"}, {"limit": "NaN"},
    {"state": "odd"}, {"since": "yesterday"}, {"since": "99999999999999999d"}, {"until": ""},
    {"cursor": "x"}, {"cursor": "é"}, {"cursor": to_cursor(["a", 1])},
    {"cursor": to_cursor(["2026-01-01", 2**70])}, {"cursor": to_cursor([1])},
    {"cursor": "W" * 900}, {"entity": "\0"}, {"monitor": "x" * 2000}, {"unknown": "1"},
]  # fmt: skip


def test_a_wrong_condition_is_a_problem_of_the_request(client):
    for query in WRONG:
        answer = client.get("/episodes", params=query)
        assert answer.status_code in (400, 422), answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        told = answer.json()
        assert told["status"] == answer.status_code
        assert told["detail"]
        assert told["todo"]
        assert told["type"].startswith("urn:aemon:problem:")


def test_an_episode_is_shown_with_its_records(client, ten_episodes):
    answer = client.get("/episodes/10")
    assert answer.json()["entity"] == "p'; DROP --"
    assert answer.json()["flagged_records"] == []


def test_an_unknown_episode_is_not_found(client, ten_episodes):
    for number in ("11", "9223372036854775807"):
        answer = client.get(f"/episodes/{number}")
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:aemon:problem:not-found")


def test_a_number_that_no_episode_can_have_is_refused(client):
    for number in ("0", "-1", "9223372036854775808", "1e3", "x", "1;--"):
        assert (number, client.get(f"/episodes/{quote(number)}").status_code) == (number, 422)


def test_monitors_come_in_pages_by_name(client):
    first = client.get("/monitors", params={"limit": 3}).json()
    rest = client.get("/monitors", params={"cursor": first["next_cursor"]}).json()
    names = [one["name"] for one in first["items"] + rest["items"]]
    assert names == sorted(["pumps", *ODD_NAMES])
    assert rest["next_cursor"] is None


def test_a_monitor_is_found_by_its_name(client):
    for name in ("pumps", *ODD_NAMES):
        assert client.get(f"/monitors/{quote(name, safe='')}").json()["name"] == name
        listed = client.get("/monitors", params={"name": name}).json()["items"]
        assert [one["name"] for one in listed] == [name]


@pytest.mark.parametrize("path", ["/monitors/{}", "/monitors?name={}", "/episodes?monitor={}"])
def test_an_unknown_monitor_is_not_found(client, path):
    for name in ("fans", "a/b c", "' OR 1=1 --", "%", "?x=1", "../../etc/passwd"):
        answer = client.get(path.format(quote(name, safe="")))
        assert (name, answer.status_code) == (name, 404)
        assert answer.json()["type"] == "urn:aemon:problem:unknown-monitor"


def test_the_status_is_that_of_the_daemon(client):
    told = client.get("/status").json()
    assert told["replica"] == "here"
    assert len(told["monitors"]) == 4


def test_an_unknown_path_and_method_are_problems(client):
    for answer, status in ((client.get("/nothing"), 404), (client.get("/"), 404)):
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
