"""Scores over time: in buckets, with every flagged record."""

import pytest

from aemon.operations.lists import series_views
from tests.made_results import MadeResults

FLAGGED = (3, 4, 500, 999)
MADE = MadeResults(records=1000, flagged=FLAGGED)
OTHER = MadeResults(records=300, entities=("p2", "p3"), monitor="a_b-c", flagged=(299,))


@pytest.fixture(autouse=True)
def results(store, installation):
    MADE.save(store)
    OTHER.save(store)


def test_a_few_records_are_shown_one_by_one(client):
    query = {"from": MADE.time(0).isoformat(), "to": MADE.time(10).isoformat(), "points": 20}
    told = client.get("/series/pumps", params=query).json()
    assert told["records"] == [1] * 10
    assert told["times"] == [MADE.time(n).timestamp() for n in range(10)]
    scores = [0.0, 0.1, 0.2, 9.0, 9.0, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert told["score_min"] == told["score_max"] == pytest.approx(scores)
    assert told["threshold_max"][1:] == pytest.approx([2.0] * 9)


def test_many_records_are_few_points_and_every_flagged_record_stays(client):
    query = {"from": MADE.time(0).isoformat(), "to": MADE.time(1000).isoformat(), "points": 40}
    told = client.get("/series/pumps", params={**query, "column": ["flow", "none"]}).json()
    assert len(told["times"]) == 20
    assert sum(told["records"]) == 1000
    assert (sum(told["flagged"]), told["points_left_out"]) == (4, 0)
    assert [one["record_key"] for one in told["points"]] == [f"{n:06d}" for n in FLAGGED]
    assert told["points"][0]["observed"] == {"flow": 1.0, "none": None}
    assert told["points"][0]["expected"]["flow"] == 5.0
    assert max(told["score_max"]) == 9.0
    assert told["bucket_seconds"] == 3000


def test_more_flagged_records_than_a_picture_shows_are_counted(client, monkeypatch):
    monkeypatch.setattr(series_views, "MOST_FLAGGED", 3)
    told = client.get("/series/pumps").json()
    assert (len(told["points"]), told["points_left_out"], sum(told["flagged"])) == (3, 1, 4)


def test_without_times_a_series_is_the_last_day(client):
    told = client.get("/series/pumps").json()
    assert sum(told["records"]) == 1000
    assert told["until"] > MADE.time(999).isoformat()
    odd = client.get("/series/größe.2").json()
    assert (odd["times"], odd["points"]) == ([], [])


def test_the_lanes_of_entities_lie_side_by_side(client):
    query = {"from": OTHER.time(0).isoformat(), "to": OTHER.time(300).isoformat(), "buckets": 3}
    told = client.get("/lanes/a_b-c", params=query).json()
    assert sorted(lane["entity"] for lane in told["lanes"]) == ["p2", "p3"]
    assert told["lanes"][0]["buckets"] == [0, 1, 2]
    assert told["lanes"][0]["records"] == [100] * 3
    assert told["lanes"][0]["exceedance_max"] == pytest.approx([0.45, 0.45, 4.5])
    assert len(client.get("/lanes/a_b-c", params={**query, "limit": 1}).json()["lanes"]) == 1
    one = client.get("/series/a_b-c", params={"entity": "p2"}).json()
    assert sum(one["records"]) == 300


@pytest.mark.parametrize("path", ["/series/pumps", "/lanes/pumps"])
def test_a_wrong_request_is_a_problem(client, path):
    assert client.get(path, params={"from": "1d", "to": "2d"}).status_code == 400
    assert client.get(path, params={"from": "x"}).status_code == 400
    assert client.get(path, params={"since": "1d"}).status_code == 422
    assert client.get(path, params={"points": 4001, "buckets": 501}).status_code == 422
    assert client.get(f"{path}/../fans").status_code == 404
    far = {"from": "0001-01-01", "to": "9999-12-31"}
    assert client.get(path, params=far).status_code == 200
