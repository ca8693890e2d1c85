"""What people say by the API: by whom, on which monitors, and never by a foreign page."""

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from aemon.config.web_settings import WebSettings
from aemon.store.schema.tables import episodes
from aemon.web.access import _access
from aemon.web.api.application import api_routes
from aemon.web.app import guarded, routes
from aemon.web.guard import Limits
from tests.made_results import MadeResults
from tests.web.api.conftest import HEALTH, ODD_NAMES
from tests.web.api.made_episodes import episode
from tests.web_security import bcrypted, sha256

NAMES = ("reader", "operator", "line", "chief", "sensor")
WEB = {
    "basic_auth_users": {"alice": bcrypted("open sesame")},
    "bearer_tokens": {name: sha256(f"token of {name}") for name in NAMES},
    "permissions": {
        "alice": ["read", "feedback"],
        "operator": ["read", "feedback"],
        "line": ["read", "feedback", "push"],
        "chief": ["admin"],
        "sensor": ["push"],
    },
    "monitors": {"line": ["a_*"]},
    "proxy": {"addresses": ["10.0.0.0/8"]},
}


def token(name):
    return {"Authorization": f"Bearer token of {name}"}


@pytest.fixture
def port(desk, store, clock):
    """Returns a client by name, whose requests come from an address."""
    MadeResults(flagged=(3,)).save(store)
    with store.writing() as connection:
        connection.execute(sa.insert(episodes), [episode(clock(), 1, state="open")])
        connection.execute(sa.text("UPDATE anomalies SET episode_id = 1"))
    access = _access(WebSettings.model_validate(WEB), None)
    pages = routes(lambda: None, lambda: HEALTH, lambda: b"metrics")
    app = guarded(
        [*pages, *api_routes(desk)], lambda: access, limits=Limits(), refused=lambda _: None
    )

    def of(name=None, address="192.0.2.7", **headers):
        return TestClient(
            app, base_url="http://aemon.test/api/v1", client=(address, 1),
            headers={**(token(name) if name else {}), **headers},
        )  # fmt: skip

    return of


def audit(port):
    return port("chief").get("/audit").json()["items"]


def test_feedback_stands_in_the_list_and_in_the_audit_with_its_author(port):
    said = {"monitor": "pumps", "verdict": "false_alarm", "record": "000003", "note": "<b>no</b>"}
    answer = port("operator").post("/feedback", json=said)
    assert answer.status_code == 201, answer.text
    assert answer.json()["effect"].startswith("similar records are excused")
    (row,) = port("reader").get("/feedback").json()["items"]
    assert (row["author"], row["note"], row["verdict"]) == ("operator", "<b>no</b>", "false_alarm")
    (noted,) = audit(port)
    del noted["id"], noted["at"]
    assert noted == {
        "who": "operator", "origin": "api", "address": "192.0.2.7", "action": "feedback",
        "monitor": "pumps",
        "details": {"verdict": "false_alarm", "record": "000003", "note": "<b>no</b>"},
    }  # fmt: skip


def test_an_episode_is_handled(port):
    operator = port("operator")
    seen = operator.post("/episodes/1/acknowledge", json={"note": "on my way"}).json()
    assert (seen["state"], seen["acknowledged_by"], seen["note"]) == (
        "acknowledged",
        "operator",
        "on my way",
    )
    assert operator.put("/episodes/1/label", json={"label": "stuck"}).json()["label"] == "stuck"
    said = operator.post("/episodes/1/feedback", json={"verdict": "confirmed"})
    assert [one["record_key"] for one in said.json()["entries"]] == ["000003"]
    assert operator.post("/episodes/1/close", json={}).json()["state"] == "closed"
    assert operator.post("/episodes/2/acknowledge", json={}).status_code == 404
    actions = [row["action"] for row in reversed(audit(port))]
    assert actions == ["acknowledge", "label", "feedback", "close"]


def test_a_snooze_begins_and_ends(port):
    operator = port("operator")
    made = operator.post("/snoozes", json={"monitor": "pumps", "lasts": "2h", "note": "cleaning"})
    assert (made.status_code, made.json()["author"]) == (201, "operator")
    number = made.json()["id"]
    assert operator.delete(f"/snoozes/{number}").status_code == 200
    assert operator.delete(f"/snoozes/{number}").status_code == 404
    for wrong in (
        {},
        {"lasts": "2h", "until": "2027-01-01"},
        {"lasts": "long"},
        {"until": "2020-01-01"},
    ):
        assert operator.post("/snoozes", json={"monitor": "pumps", **wrong}).status_code in (
            400,
            422,
        )
    assert operator.post("/snoozes", json={"monitor": "fans", "lasts": "2h"}).status_code == 404


CHANGES = (
    ("POST", "/feedback", {"monitor": "pumps", "verdict": "confirmed", "record": "000003"}),
    ("POST", "/episodes/1/acknowledge", {}),
    ("POST", "/episodes/1/close", {}),
    ("POST", "/episodes/1/feedback", {"verdict": "confirmed"}),
    ("PUT", "/episodes/1/label", {"label": "x"}),
    ("POST", "/snoozes", {"monitor": "pumps", "lasts": "1h"}),
    ("DELETE", "/snoozes/1", None),
    ("POST", "/detectors/pumps/1/promotion", {}),
    ("POST", "/detectors/pumps/rollback", {}),
)


def test_without_a_scope_that_allows_it_nothing_changes(port):
    for method, path, body in CHANGES:
        for name, status in ((None, 401), ("reader", 403), ("sensor", 403)):
            answer = port(name).request(method, path, json=body)
            assert (method, path, name, answer.status_code) == (method, path, name, status)
            assert answer.headers["content-type"] == "application/problem+json"
    assert port("operator").post("/detectors/pumps/1/promotion", json={}).status_code == 403
    assert port("operator").get("/audit").status_code == 403
    assert audit(port) == []


def test_an_admin_may_do_all_of_it(port):
    for method, path, body in CHANGES[:6]:
        assert port("chief").request(method, path, json=body).status_code in (200, 201), path
    active = port("chief").post("/detectors/pumps/1/promotion", json={})
    assert (active.status_code, "active already" in active.text) == (409, True)
    missing = port("chief").post("/detectors/pumps/7/promotion", json={})
    assert missing.status_code == 404
    back = port("chief").post("/detectors/pumps/rollback", json={})
    assert (back.status_code, back.json()["type"]) == (409, "urn:aemon:problem:detector-unfit")


def test_a_port_without_credentials_is_read_only(desk):
    access = _access(WebSettings(), None)
    app = guarded(api_routes(desk), lambda: access, limits=Limits(), refused=lambda _: None)
    client = TestClient(app, base_url="http://aemon.test/api/v1")
    assert client.get("/episodes").status_code == 200
    for method, path, body in CHANGES:
        assert client.request(method, path, json=body).status_code == 403


def test_a_client_of_some_monitors_learns_nothing_of_others(port):
    line = port("line")
    assert [one["name"] for one in line.get("/monitors").json()["items"]] == ["a_b-c"]
    assert [one["name"] for one in line.get("/status").json()["monitors"]] == ["a_b-c"]
    for path in (
        "/episodes",
        "/flagged",
        "/contributions",
        "/runs",
        "/detectors",
        "/feedback",
        "/rejected",
    ):
        assert (path, line.get(path).json()["items"]) == (path, [])
    queries = ("/scores?monitor={}", "/episodes?monitor={}", "/series/{}", "/lanes/{}", "/monitors/{}", "/detectors/{}/1", "/explanation?monitor={}&record=000003")  # fmt: skip
    for path in queries:
        hidden, unknown = line.get(path.format("pumps")), line.get(path.format("fans"))
        assert (path, hidden.status_code) == (path, 404)
        assert hidden.json() == {
            **unknown.json(),
            "detail": unknown.json()["detail"].replace("fans", "pumps"),
        }
    assert line.get("/episodes/1").status_code == 404
    assert line.post("/episodes/1/close", json={}).status_code == 404
    said = {"verdict": "confirmed", "record": "000003"}
    assert line.post("/feedback", json={"monitor": "pumps", **said}).status_code == 404
    assert line.post("/snoozes", json={"monitor": "a_b-c", "lasts": "1h"}).status_code == 201
    mine = port("chief").post("/snoozes", json={"monitor": "pumps", "lasts": "1h"}).json()["id"]
    assert line.delete(f"/snoozes/{mine}").status_code == 404
    for page in ("/metrics", "/status.json", "/setup"):  # of all monitors
        assert line.get(f"http://aemon.test{page}").status_code == 403
    assert port("reader").get("http://aemon.test/metrics").status_code == 200


def test_a_foreign_page_changes_nothing(port):
    said = '{"monitor": "pumps", "verdict": "confirmed", "record": "000003"}'
    json_ = {"Content-Type": "application/json"}
    for headers, status in (
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({}, 415),
        ({**json_, "Origin": "https://evil.example"}, 403),
        ({**json_, "Origin": "null"}, 403),
        ({**json_, "Sec-Fetch-Site": "cross-site"}, 403),
        ({**json_, "Sec-Fetch-Site": "same-site"}, 403),
        ({**json_, "Origin": "http://[evil"}, 403),
        ({**json_, "Origin": "http://aemon.test"}, 201),
        ({**json_, "Origin": "https://proxy.example", "Sec-Fetch-Site": "same-origin"}, 201),
    ):
        client = port()
        answer = client.post(
            "/feedback", content=said, headers=headers, auth=("alice", "open sesame")
        )
        assert (headers, answer.status_code) == (headers, status)
    crossing = port("operator").delete("/snoozes/1", headers={"Origin": "https://evil.example"})
    assert crossing.status_code == 403
    assert "access-control-allow-origin" not in port("operator").options("/feedback").headers
    assert len(audit(port)) == 2


def test_a_trusted_proxy_names_the_user_and_no_other_address_does(port):
    named = {"X-Forwarded-User": "operator"}
    said = {"monitor": "pumps", "verdict": "confirmed", "record": "000003"}
    through = port(address="10.1.2.3", **named, **{"X-Forwarded-For": "203.0.113.9, 198.51.100.4"})
    assert through.post("/feedback", json=said).status_code == 201
    noted = audit(port)[0]
    assert (noted["who"], noted["address"]) == ("operator", "198.51.100.4")
    # A user without permissions may read
    assert (
        port(address="10.1.2.3", **{"X-Forwarded-User": "zoë".encode()})
        .get("/episodes")
        .status_code
        == 200
    )
    # Without a name, or by another way, credentials are needed
    assert port(address="10.1.2.3").get("/episodes").status_code == 401
    assert port(address="192.0.2.7", **named).get("/episodes").status_code == 401
    twice = [("X-Forwarded-User", "operator"), ("X-Forwarded-User", "chief")]
    assert port(address="10.1.2.3").get("/episodes", headers=twice).status_code == 401
    # And a name beside wrong credentials does not make them right
    assert port("nobody", address="192.0.2.7", **named).get("/episodes").status_code == 401


def test_odd_bodies_are_refused(port):
    operator = port("operator")
    json_ = {"Content-Type": "application/json"}
    for body in (b"", b"[]", b"{", b"null", b"\xff", b'{"note": "\\ud800"}', b'{"note": "\\u0000"}', b'{"note": 1}', b'{"more": 1}', b"[" * 100_000):  # fmt: skip
        answer = operator.post("/episodes/1/acknowledge", content=body, headers=json_)
        assert (body[:9], answer.status_code in (400, 422)) == (body[:9], True)
    assert operator.post("/episodes/1/acknowledge", json={"note": "x" * 1001}).status_code == 422
    assert ODD_NAMES
    assert audit(port) == []
