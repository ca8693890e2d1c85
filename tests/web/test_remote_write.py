"""Samples that a Prometheus sends by remote write."""

import cramjam
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from starlette.testclient import TestClient

from aemon.config.schema import MonitorSettings
from aemon.reading.inbox import Inbox
from aemon.reading.inbox_records import InboxRecords
from aemon.reading.pushed_records import PushDesk
from aemon.sources.push.batches import UnreadableBodyError
from aemon.sources.push.settings import PushSource
from aemon.sources.push.source import open_source
from aemon.sources.push.write_request import decode_label, decode_request
from aemon.web.access import load_access
from aemon.web.app import guarded
from aemon.web.guard import Limits
from aemon.web.push_routes import Pushes
from tests.remote_write import STALE, encoded
from tests.web_security import PUSH_TOKEN, sha256

URL = "/api/v1/write?monitor=pumps"
HEADERS = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
T0 = 1772359200  # 2026-03-01 10:00
WEB = f"bearer_tokens: {{plant: '{sha256(PUSH_TOKEN)}'}}\npermissions: {{plant: [push]}}\n"


@pytest.fixture
def settings():
    return {"kind": "push", "entity": "pump", "remote_write": {}}


@pytest.fixture
def client(store, tmp_path, settings, clock):
    (tmp_path / "web.yml").write_text(WEB)
    access = load_access(tmp_path / "web.yml")
    monitors = {
        "pumps": MonitorSettings.model_validate({"source": settings, "score_every": "1m"}),
        "fans": MonitorSettings.model_validate({"source": {"kind": "push"}, "score_every": "1m"}),
    }
    pushes = Pushes(PushDesk(store, lambda: monitors, clock), lambda *_told: None, 100_000)
    limits = Limits(max_body=100_000)
    app = guarded(pushes.routes, lambda: access, limits=limits, refused=lambda _status: None)
    return TestClient(app, headers={"Authorization": f"Bearer {PUSH_TOKEN}"})


@pytest.fixture
def kept(store, settings, clock):
    """Lets time pass, and returns the records that are finished."""

    def kept(seconds=60):
        clock.forward(pd.Timedelta(seconds=seconds).to_pytimedelta())
        source = PushSource.model_validate(settings)
        Inbox(lambda: open_source(source, clock), store, "pumps", 1000).write_arrived()
        rows = InboxRecords(store, "pumps").fetch(None, 1000).table.to_dict("records")
        for row in rows:
            row["at"] = int(row.pop("event_time").timestamp()) - T0
            row.pop("record_key")
        return [{name: value for name, value in row.items() if not pd.isna(value)} for row in rows]

    return kept


def series(name, *samples, **labels):
    return ({"__name__": name, **labels}, [(T0 + at, value) for at, value in samples])


def send(client, *told, url=URL, headers=HEADERS):
    body = bytes(cramjam.snappy.compress_raw(encoded(told)))
    return client.post(url, content=body, headers=headers)


def test_samples_of_one_step_and_entity_are_one_record_over_requests(client, kept):
    first = [series("flow", (1, 4.5), (16, 5), pump="p1"), series("flow", (2, 7), pump="p2")]
    assert send(client, *first).status_code == 204
    assert send(client, series("pressure", (3, 2.5), (18, 3), pump="p1")).status_code == 204
    assert kept(seconds=1) == []
    assert kept() == [
        {"at": 0, "entity": "p1", "flow": 4.5, "pressure": 2.5},
        {"at": 0, "entity": "p2", "flow": 7},
        {"at": 15, "entity": "p1", "flow": 5, "pressure": 3},
    ]


def test_a_request_that_comes_again_adds_nothing(client, kept):
    told = series("flow", (1, 4.5), (16, 5), pump="p1")
    for _ in range(2):
        assert send(client, told).status_code == 204
    before = kept()
    assert len(before) == 2
    send(client, told)
    assert kept() == before


def test_stale_markers_and_infinities_are_missing_and_make_no_record(client, kept):
    nan = [series("flow", (1, 4), (16, STALE), (31, float("nan")), pump="p1")]
    assert send(client, *nan, series("hot", (1, float("inf")), pump="p1")).status_code == 204
    assert kept() == [{"at": 0, "entity": "p1", "flow": 4}]


@pytest.mark.parametrize(
    "settings",
    [
        {
            "kind": "push",
            "entity": "pump",
            "remote_write": {"step": "1m", "columns": {"bad": 'n{code=~"5.."}', "up": "up"}},
        }
    ],
)
def test_selectors_choose_columns(client, kept):
    some = [series("n", (1, 2), code="503", pump="a"), series("n", (1, 9), code="200", pump="a")]
    assert send(client, *some, series("up", (50, 1), pump="a"), series("x", (1, 1))).is_success
    assert kept(seconds=100) == [{"at": 0, "entity": "a", "bad": 2, "up": 1}]


def test_labels_tell_columns_apart(client, kept):
    some = [series("n", (1, at), code=f"{at}", pump="a", job="x") for at in (200, 500)]
    assert send(client, *some).is_success
    assert kept() == [{"at": 0, "entity": "a", 'n{code="200"}': 200, 'n{code="500"}': 500}]


def test_two_live_series_of_one_column_are_told_apart_aloud(client, kept):
    one, other = (series("flow", (1, at), pump="a", job=f"j{at}") for at in (1, 2))
    answer = send(client, one, other, series("hot", (1, 3), pump="a"))
    assert answer.status_code == 400
    assert 'flow{pump="a"}' in answer.json()["error"] or "flow" in answer.json()["error"]
    assert answer.json()["rejected"] == {"same_column": 1}
    assert kept() == [{"at": 0, "entity": "a", "flow": 1, "hot": 3}]
    ended = series("flow", (16, STALE), pump="a", job="j1")
    assert send(client, ended).status_code == 204
    assert send(client, series("flow", (31, 5), pump="a", job="j2")).status_code == 204
    assert kept()[-1] == {"at": 30, "entity": "a", "flow": 5}


def test_what_cannot_be_decoded_is_refused_for_good(client, kept):
    packed = bytes(cramjam.snappy.compress_raw(encoded([series("flow", (1, 4), pump="a")])))
    broken = [
        (b"\xff\xff", HEADERS, 400),
        (packed[:-3], HEADERS, 400),
        (bytes(cramjam.snappy.compress_raw(b"\x0a\x7f\x00")), HEADERS, 400),
        (bytes(cramjam.snappy.compress_raw(b"\x00" * 100_001)), HEADERS, 413),
        (packed, {**HEADERS, "Content-Type": "text/plain"}, 415),
        (
            packed,
            {
                **HEADERS,
                "Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
            },
            415,
        ),
    ]
    for body, headers, status in broken:
        answer = client.post(URL, content=body, headers=headers)
        assert answer.status_code == status, answer.text
        assert answer.json()["error"]
    for monitor in ("fans", "fnas"):
        url = f"/api/v1/write?monitor={monitor}"
        assert send(client, series("flow", (1, 4)), url=url).status_code == 404
    assert send(client, series("flow", (10**13, 4), pump="a")).status_code == 400
    assert kept() == []


def test_a_busy_port_asks_prometheus_to_come_again(client, monkeypatch):
    monkeypatch.setattr("aemon.web.push_routes.MOST_WAITING", 0)
    answer = send(client, series("flow", (1, 4)))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_refused(body):
    try:
        found = decode_request(body)
        [decode_label(label) for one in found for label in one.labels]
    except UnreadableBodyError:
        pass


@pytest.mark.parametrize("text", ["", "{}", "a{b=}", 'a{b="c"', 'a{b=~"("}', "a b"])
def test_a_selector_that_cannot_be_read_is_a_mistake_of_the_configuration(text):
    with pytest.raises(ValidationError):
        PushSource.model_validate({"remote_write": {"columns": {"x": text}}})
