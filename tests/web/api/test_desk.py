"""A slow store ends its own queries, and a crowd of requests is sent away."""

import threading

import pytest
import sqlalchemy as sa

from aemon.errors import SlowQueryError
from aemon.operations.installation import Installation
from aemon.web import answering

SLOW = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
    "postgresql": "SELECT pg_sleep(100)",
}


def slowly(store):
    with store.reading() as connection:
        connection.execute(sa.text(SLOW[connection.dialect.name]))


def test_a_query_is_ended_after_its_time(store):
    limited = store.limited(0.05)
    with pytest.raises(SlowQueryError, match=r"longer than 0\.05 s"):
        slowly(limited)
    # Then the connection serves the next one, without a limit
    with store.reading() as connection:
        assert connection.execute(sa.text("SELECT 1")).scalar_one() == 1


def test_a_slow_query_is_a_problem_of_the_moment(client, installation, desk, monkeypatch):
    limited = Installation(
        installation.config, installation.store.limited(0.05), installation.clock
    )
    monkeypatch.setattr(desk, "_installation", lambda: limited)
    monkeypatch.setattr(desk, "status", lambda: slowly(limited.store))
    answer = client.get("/status")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:aemon:problem:slow-query")
    assert answer.headers["retry-after"] == "1"
    assert "smaller limit" in answer.json()["todo"]
    assert client.get("/episodes").status_code == 200


def test_a_store_that_hangs_is_left_after_a_while(client, desk, monkeypatch):
    ends = threading.Event()
    monkeypatch.setattr(answering, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(desk, "status", ends.wait)
    answer = client.get("/status")
    ends.set()
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:aemon:problem:slow-query")


def test_a_crowd_is_sent_away(client, monkeypatch):
    monkeypatch.setattr(answering, "MOST_WAITING", 0)
    answer = client.get("/episodes")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:aemon:problem:busy")


def test_a_mistake_of_aemon_is_a_problem_without_details(client, desk, monkeypatch):
    def broken():
        raise RuntimeError("secret")

    monkeypatch.setattr(desk, "status", broken)
    client._transport.raise_server_exceptions = False
    answer = client.get("/status")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["content-type"] == "application/problem+json"
