"""Lists of records, runs and words of people; as JSON, CSV and Parquet."""

import csv
import io
import json
import sys
from datetime import timedelta

import pyarrow.parquet as pq
import pytest

from aemon.operations.giving_feedback import Statement, give_feedback
from aemon.operations.lists import row_forms
from aemon.operations.snoozing import end_snooze, snooze_anomalies
from aemon.records import FeedbackVerdict
from aemon.store.inbox.rejected_records import Rejected, keep_rejected
from aemon.web.api import list_answers
from tests.made_results import MadeResults

FLAGGED = (3, 4, 17)
MADE = MadeResults(entities=("p1", "p2"), flagged=FLAGGED)


@pytest.fixture(autouse=True)
def results(store, installation):
    MADE.save(store)


def all_of(client, path, **query):
    """The rows of all pages, three on each."""
    rows = []
    cursor = {}
    while True:
        answer = client.get(path, params={"limit": 3, **query, **cursor})
        assert answer.status_code == 200, answer.text
        rows += answer.json()["items"]
        if answer.json()["next_cursor"] is None:
            return rows
        cursor = {"cursor": answer.json()["next_cursor"]}


def test_scores_come_newest_first_and_each_once(client):
    rows = all_of(client, "/scores", monitor="pumps")
    keys = [(row["record_key"], row["entity"]) for row in rows]
    assert keys == [(f"{n:06d}", entity) for n in range(19, -1, -1) for entity in ("p2", "p1")]
    chosen = all_of(client, "/scores", monitor="pumps", entity="p1", verdict="anomaly")
    assert [row["score"] for row in chosen] == [9.0] * 3
    since = MADE.time(18).isoformat()
    assert len(all_of(client, "/scores", monitor="pumps", since=since)) == 4
    assert len(all_of(client, "/scores", monitor="pumps", until=since)) == 36
    assert client.get("/scores").status_code == 422  # no monitor


def test_flagged_records_come_with_their_columns(client):
    rows = all_of(client, "/flagged")
    assert [row["record_key"] for row in rows] == [
        "000017",
        "000017",
        "000004",
        "000004",
        "000003",
        "000003",
    ]
    assert rows[0]["columns"][0] == {
        "rank": 1, "column": "flow", "observed": "1", "expected": "5", "error": 4.0, "share": 0.75,
    }  # fmt: skip
    assert len(all_of(client, "/flagged", entity="p1", monitor="pumps")) == 3
    assert all_of(client, "/flagged", suppressed=True) == []
    assert all_of(client, "/flagged", episode=1) == []


def test_contributions_come_record_by_record_in_the_order_of_their_ranks(client):
    rows = all_of(client, "/contributions", entity="p1")
    assert [(row["record_key"], row["rank"]) for row in rows[:3]] == [
        ("000017", 1), ("000017", 2), ("000004", 1),
    ]  # fmt: skip
    assert len(rows) == 6
    assert len(all_of(client, "/contributions")) == 12


def test_a_record_is_explained_as_the_command_line_does(client):
    query = {"monitor": "pumps", "record": "000003", "entity": "p1"}
    assert (
        client.get("/explanation", params=query).json()["reason"] == "flow 1 where 5 was expected"
    )
    normal = client.get("/explanation", params={**query, "record": "000002"}).json()
    assert normal["verdict"] == "normal"
    ambiguous = client.get("/explanation", params={"monitor": "pumps", "record": "000003"})
    assert (ambiguous.status_code, ambiguous.json()["type"]) == (409, "urn:aemon:problem:ambiguous")
    for odd in ("999", "%", "' OR '1'='1"):
        assert client.get("/explanation", params={**query, "record": odd}).status_code == 404


def test_detectors_come_with_their_thresholds(client):
    assert [one["version"] for one in all_of(client, "/detectors")] == [1]
    told = client.get("/detectors/pumps/1").json()
    assert told["detector"]["training_records"] == 640
    assert [one["value"] for one in told["thresholds"]] == [2.0]
    assert told["trial"] is None
    assert client.get("/detectors/pumps/2").status_code == 404
    assert client.get("/detectors/fans/1").status_code == 404
    assert all_of(client, "/detectors", state="shadow") == []


def test_the_ledger_tells_of_runs(client):
    (run,) = all_of(client, "/runs", job="score")
    assert (run["monitor"], run["records_scored"]) == ("pumps", 40)
    assert all_of(client, "/runs", outcome=["failed", "timed_out"]) == []
    assert all_of(client, "/runs", since="2027-01-01") == []


def test_words_of_people_and_rejected_records_are_listed(client, installation, store):
    for key in ("000003", "000004"):
        said = Statement(verdict=FeedbackVerdict.CONFIRMED, record=key, note="sütte")
        give_feedback(installation, "pumps", said)
    ended = snooze_anomalies(installation, "pumps", lasts=timedelta(hours=1))
    end_snooze(installation, ended.id)
    snooze_anomalies(installation, "pumps", lasts=timedelta(hours=2), entity="p1")
    with store.writing() as connection:
        keep_rejected(connection, store, "pumps", [Rejected(reason="no_time", record="{}")] * 4)
    assert [row["record_key"] for row in all_of(client, "/feedback")] == ["000004", "000003"]
    assert len(all_of(client, "/feedback", record="000003", verdict="confirmed")) == 1
    assert [row["entity"] for row in all_of(client, "/snoozes")] == ["p1"]
    assert len(all_of(client, "/snoozes", ended=True)) == 2
    assert [row["reason"] for row in all_of(client, "/rejected", monitor="pumps")] == [
        "no_time"
    ] * 4


def test_a_list_is_streamed_as_csv_page_by_page(client, monkeypatch):
    monkeypatch.setattr(list_answers, "MOST_ON_A_PAGE", 3)
    answer = client.get("/scores", params={"monitor": "pumps"}, headers={"Accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 40
    assert (rows[0]["record_key"], rows[0]["entity"], rows[0]["raw_score"]) == ("000019", "p2", "")
    part = client.get("/scores", params={"monitor": "pumps", "format": "csv", "limit": 2})
    assert len(part.text.splitlines()) == 3


def test_objects_in_a_table_are_json(client):
    answer = client.get("/flagged", params={"format": "csv"})
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert json.loads(rows[0]["observed"]) == {"flow": 1.0, "valve": "open"}


def test_a_list_is_streamed_as_parquet_group_by_group(client, monkeypatch):
    monkeypatch.setattr(list_answers, "MOST_ON_A_PAGE", 3)
    monkeypatch.setattr(row_forms, "ROWS_IN_A_GROUP", 10)
    answer = client.get("/scores", params={"monitor": "pumps", "format": "parquet"})
    file = pq.ParquetFile(io.BytesIO(answer.content))
    assert file.metadata.num_row_groups == 4
    table = file.read()
    assert table.num_rows == 40
    assert table["event_time"][0].as_py() == MADE.time(19)
    assert table["score"].to_pylist()[:4] == [0.9, 0.9, 0.8, 0.8]
    empty = client.get("/episodes", params={"format": "parquet"})
    assert pq.read_table(io.BytesIO(empty.content)).num_rows == 0
    assert pq.read_table(io.BytesIO(client.get("/flagged?format=parquet").content)).num_rows == 6


def test_parquet_without_its_package_is_not_acceptable(client, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    answer = client.get("/scores", params={"monitor": "pumps", "format": "parquet"})
    assert (answer.status_code, answer.json()["type"]) == (
        406,
        "urn:aemon:problem:form-unavailable",
    )
    assert "aemon[parquet]" in answer.json()["todo"]


def test_a_wrong_request_for_a_stream_is_a_problem(client):
    answer = client.get("/episodes", params={"format": "csv", "monitor": "fans"})
    assert answer.status_code == 404
    assert client.get("/episodes", params={"format": "xml"}).status_code == 422
