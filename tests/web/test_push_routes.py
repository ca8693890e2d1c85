"""Records that programs push to the port."""

import gzip
import json

import pandas as pd
import pytest
from starlette.testclient import TestClient

from aemon.clock import utc_now
from aemon.config.schema import MonitorSettings
from aemon.config.web_settings import read_web_config
from aemon.errors import RefusedError, StoreError
from aemon.reading import pushed_records
from aemon.reading.inbox_records import InboxRecords
from aemon.reading.pushed_records import PushDesk
from aemon.web.access import load_access
from aemon.web.app import guarded
from aemon.web.guard import Limits
from aemon.web.push_routes import Pushes
from tests.web_security import PUSH_TOKEN, TOKEN, sha256

WEB = f"""
bearer_tokens:
  reader: {sha256(TOKEN)}
  plant: {sha256(PUSH_TOKEN)}
permissions:
  plant: [push]
"""
MAY_PUSH = {"Authorization": f"Bearer {PUSH_TOKEN}"}
URL = "/api/v1/records/pumps"
JSON, LINES, CSV = "application/json", "application/jsonl", "text/csv; charset=utf-8"


@pytest.fixture
def counted():
    return []


@pytest.fixture
def settings():
    return {"kind": "push", "time": "ts", "entity": "pump"}


@pytest.fixture
def client(store, tmp_path, settings, counted):
    (tmp_path / "web.yml").write_text(WEB)
    access = load_access(tmp_path / "web.yml")
    assert read_web_config(tmp_path / "web.yml")
    table = {"kind": "sql", "url": "sqlite:///x.db", "table": "t", "time": "ts", "key": "id"}
    monitors = {
        "pumps": MonitorSettings.model_validate({"source": settings, "score_every": "1m"}),
        "fans": MonitorSettings.model_validate({"source": table, "score_every": "1m"}),
    }
    desk = PushDesk(store, lambda: monitors, utc_now)
    pushes = Pushes(desk, lambda *told: counted.append(told), 100_000)
    limits = Limits(max_body=100_000)
    app = guarded(pushes.routes, lambda: access, limits=limits, refused=lambda _status: None)
    return TestClient(app, headers=MAY_PUSH)


def kept(store):
    rows = InboxRecords(store, "pumps").fetch(None, 1000).table.to_dict("records")
    return [{name: value for name, value in row.items() if not pd.isna(value)} for row in rows]


def push(client, body, kind=JSON, url=URL, **headers):
    text = body if isinstance(body, str | bytes) else json.dumps(body)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post(url, content=text, headers={"Content-Type": kind, **names})


ONE = {"ts": "2026-03-01T10:00:00Z", "pump": "p1", "flow": 4.5, "on": True}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ([ONE], JSON),
        (ONE, JSON),
        (f"\n{json.dumps(ONE)}\r\n\n", LINES),
        ("ts,pump,flow\n2026-03-01T10:00:00Z,p1,4.5\n", CSV),
        ('\ufeffts,pump,flow\r\n2026-03-01 10:00,"p1",4.5', "text/csv"),
        ([{**ONE, "ts": 1772359200}], JSON),
    ],
)
def test_a_record_is_in_the_store_when_it_is_answered(client, store, body, kind):
    answer = push(client, body, kind)
    assert answer.status_code == 202, answer.text
    assert answer.json()["accepted"] == 1
    (record,) = kept(store)
    assert f"{record['event_time']:%Y-%m-%d %H:%M}" == "2026-03-01 10:00"
    assert (record["entity"], record["flow"]) == ("p1", 4.5)


def test_points_of_the_line_protocol_are_records(client, store):
    body = (
        "# a comment\n"
        'pump,pump=p1,hall=north\\ 2 flow=4.5,n=7i,on=t,state="a \\"b\\", c=d" 1772359200000000000\n'
        "pump,pump=p2 flow=5e-1 1772359200000000000\r\n"
        "pump,pump=p2,cpu=1 flow=6 1772359200000000000\n"
    )
    assert push(client, body, "", "/write?db=pumps").status_code == 204
    first, second, third = kept(store)
    del first["event_time"]
    assert first == {
        "record_key": "pump,pump=p1,hall=north\\ 2 2026-03-01T10:00:00.000000", "entity": "p1",
        "measurement": "pump", "hall": "north 2", "flow": 4.5, "n": 7, "on": True,
        "state": 'a "b", c=d',
    }  # fmt: skip
    assert (second["flow"], third["flow"]) == (0.5, 6)
    body = "pump,pump=p3 flow=1 1772359200\n"
    assert push(client, body, "", "/api/v2/write?bucket=pumps&precision=s").status_code == 204
    assert kept(store)[-1]["event_time"] == kept(store)[0]["event_time"]
    assert push(client, "pump flow=1", "", "/write?db=pumps").status_code == 204


def test_a_bad_line_is_told_with_its_place_and_the_rest_is_kept(client, store, counted):
    lines = [json.dumps(ONE), '{"ts": 1772359201, "flow": }', '{"ts": "soon", "flow": 1}', "[1]"]
    answer = push(client, "\n".join(lines), LINES)
    assert answer.status_code == 202
    told = answer.json()
    assert (told["accepted"], told["rejected"]) == (1, {"not_json": 2, "no_time": 1})
    places = {(one["line"], one["column"], one["reason"]) for one in told["problems"]}
    assert places == {(2, 28, "not_json"), (4, 1, "not_json"), (3, 0, "no_time")}
    assert "time 'soon'" in str(told["problems"])
    assert sorted(counted) == [("pumps", "no_time", 1), ("pumps", "not_json", 2)]
    assert len(kept(store)) == 1


@pytest.mark.parametrize(
    ("body", "kind", "status", "told"),
    [
        ('[{"a": 1},\n {"b" 2}]', JSON, 400, "line 2, column 7: not JSON"),
        (b"[{\n\xff", JSON, 400, "line 2: the body is not UTF-8 text"),
        ("[" * 50_000, JSON, 400, "the JSON cannot be read"),
        ("flow,flow\n1,2", CSV, 400, "line 1 must name the columns, each once"),
        ("ts,flow\n2026-03-01,1,2", CSV, 422, "3 values, but line 1 has 2 names"),
        ('ts,flow\n2026-03-01,"1\n', CSV, 422, "not CSV"),
        ("x", "text/plain", 415, "must be one of application/json"),
        ([1], JSON, 422, "a record is an object"),
        ("x" * 100_001, JSON, 413, "larger than 100000 bytes"),
    ],
)
def test_a_body_that_holds_no_record_is_refused_with_its_place(client, store, body, kind, status, told):  # fmt: skip
    answer = push(client, body, kind)
    assert answer.status_code == status
    assert told in answer.text
    assert kept(store) == []


@pytest.mark.parametrize(
    ("line", "column", "told"),
    [
        ("pump", 5, "fields are expected"),
        (",a=b flow=1", 1, "begins with a measurement"),
        ("pump,a flow=1", 6, "a tag is written name=value"),
        ("pump flow", 6, "a field is written name=value"),
        ("pump flow=x", 11, "a field is a number"),
        ('pump flow="x', 11, "does not end"),
        ("pump flow=1 soon", 13, "a timestamp is a whole number"),
        ("pump flow=1 99999999999999999999", 13, "a timestamp"),
        ("pump flow=1z", 12, "a comma or a blank"),
    ],
)
def test_a_line_that_breaks_the_protocol_is_a_partial_write(client, store, line, column, told):
    answer = push(client, f"pump flow=1 1\n{line}", "", "/write?db=pumps")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(f"partial write: line 2, column {column}: ")
    assert told in answer.json()["error"]
    assert len(kept(store)) == 1


def test_a_request_that_is_sent_again_adds_nothing(client, store):
    body = [ONE, {**ONE, "flow": 5}, {**ONE, "pump": "p2"}]
    first = push(client, body, Idempotency_Key="batch-7").json()
    again = push(client, body, Idempotency_Key="batch-7").json()
    assert (first["accepted"], first["duplicates"]) == (3, 0)
    assert (again["accepted"], again["duplicates"], again["rejected"]) == (0, 3, {})
    assert len(kept(store)) == 3
    assert push(client, body, Idempotency_Key="batch-8").json()["accepted"] == 3


def test_without_a_key_entity_and_time_identify_a_record(client, store):
    push(client, [ONE, {**ONE, "pump": "p2"}])
    again = push(client, [ONE, {**ONE, "pump": "p2", "flow": 9}]).json()
    assert (again["accepted"], again["duplicates"]) == (0, 1)
    assert again["rejected"] == {"changed_record": 1}
    assert [record["flow"] for record in kept(store)] == [4.5, 4.5]


@pytest.mark.parametrize("settings", [{"kind": "push", "time": None, "key": "id"}])
def test_a_key_and_the_time_of_arrival_are_taken_on_request(client, store, settings):
    push(client, [{"id": "a", "flow": 1}, {"id": "b", "flow": 2}, {"flow": 3}])
    assert [record["record_key"] for record in kept(store)] == ["a", "b"]


@pytest.mark.parametrize("settings", [{"kind": "push", "time": None}])
def test_a_request_without_times_that_is_sent_again_adds_nothing(client, store):
    body = [{"flow": 1}, {"flow": 1}]
    assert push(client, body, Idempotency_Key="a").json()["accepted"] == 2
    again = push(client, body, Idempotency_Key="a").json()
    assert (again["accepted"], again["duplicates"], again["rejected"]) == (0, 2, {})
    assert push(client, body).json()["accepted"] == 2
    assert len(kept(store)) == 4


def test_a_record_that_the_database_refuses_holds_up_no_other(client, store, monkeypatch):
    real = pushed_records.keep_history

    def keep(store, monitor, rows, keep, beside):
        if any(row["record"].get("flow") == 13 for row in rows):
            raise RefusedError("out of range")
        return real(store, monitor, rows, keep, beside)

    monkeypatch.setattr(pushed_records, "keep_history", keep)
    body = [{**ONE, "ts": 1772359200 + n, "flow": n} for n in range(30)]
    told = push(client, body).json()
    assert (told["accepted"], told["rejected"]) == (29, {"refused": 1})


def test_objects_are_flattened_and_what_is_no_value_is_missing(client, store):
    body = '[{"ts": 1772359200, "m": {"a": 1, "b": {"c": "x\\u0000"}}, "l": [1], "i": 1e999, "n": NaN}]'
    told = push(client, body).json()
    assert told["accepted"] == 1
    assert "'l' is a list" in told["partly"][0]["problem"]
    (record,) = kept(store)
    assert (record["m.a"], record["m.b.c"]) == (1, "x\u2400")
    assert not {"l", "i", "n"} & record.keys()


def test_a_body_may_be_compressed_but_no_larger_than_others(client, store):
    packed = gzip.compress(json.dumps([ONE]).encode())
    assert push(client, packed, Content_Encoding="gzip").status_code == 202
    assert push(client, packed[:-9], Content_Encoding="gzip").status_code == 400
    assert push(client, b"no gzip", Content_Encoding="gzip").status_code == 400
    bomb = gzip.compress(b"x" * 10_000_000)
    assert push(client, bomb, Content_Encoding="gzip").status_code == 413
    assert push(client, packed, Content_Encoding="br").status_code == 415


def test_who_may_not_push_learns_no_names(client):
    for headers, status in (
        ({"Authorization": ""}, 401),
        ({"Authorization": f"Bearer {TOKEN}"}, 403),
    ):
        for monitor in ("pumps", "nothing"):
            answer = client.post(f"/api/v1/records/{monitor}", content="[]", headers=headers)
            assert answer.status_code == status
            assert "pumps" not in answer.text
    answer = push(client, [ONE], url="/api/v1/records/nothing")
    assert answer.status_code == 404
    assert "monitors that accept records: pumps" in answer.json()["error"]
    assert "'fans' takes no pushed records" in push(client, [ONE], url="/api/v1/records/fans").text
    assert push(client, "a b=1", "", "/write").status_code == 404


def test_a_key_of_a_request_that_cannot_be_kept_is_refused(client):
    assert push(client, [ONE], Idempotency_Key="x" * 201).status_code == 400


def test_a_store_that_is_away_asks_to_come_again(client, store, monkeypatch):
    def fail():
        raise StoreError("the disk fails")

    monkeypatch.setattr(store, "make_durable", fail)
    answer = push(client, [ONE])
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    monkeypatch.undo()
    assert push(client, [ONE]).json()["duplicates"] == 1
