"""Who is let through, what they may do, and what is said to all others."""

import asyncio
import base64
import hashlib
import socket
import time

import bcrypt
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from aemon.config.service_settings import HttpSettings
from aemon.config.web_settings import WebSettings
from aemon.operations.status_report import Health
from aemon.web import credentials
from aemon.web.access import _access
from aemon.web.app import routes
from aemon.web.credentials import CrowdedError, PasswordChecks
from aemon.web.guard import Guard, Limits
from aemon.web.host_names import is_known, known_hosts

QUICK = 4  # bcrypt's least cost
HASH = bcrypt.hashpw(b"open sesame", bcrypt.gensalt(QUICK)).decode()
KEPT = {
    "basic_auth_users": {"alice": HASH, "bob": HASH, "carol": HASH},
    "bearer_tokens": {"sensor": f"sha256:{hashlib.sha256(b'a token').hexdigest()}"},
    "permissions": {"bob": ["read", "push"], "sensor": ["push"], "carol": []},
}
ALICE = ("alice", "open sesame")
BOB = ("bob", "open sesame")
SENSOR = {"Authorization": "Bearer a token"}
MAX_BODY = 1000


async def take(request):
    return PlainTextResponse(f"{len(await request.body())} bytes\n")


def broken(_request):
    raise RuntimeError("nobody foresaw this")


def client(refused=lambda _status: None, hosts=None, **settings) -> TestClient:
    access = _access(WebSettings.model_validate({**KEPT, **settings}), None)
    health = Health(started=True, alive=True, heartbeat_age_seconds=1)
    more = [Route("/push", take, methods=["POST"]), Route("/broken", broken)]
    app = Starlette(routes=[*routes(lambda: None, lambda: health, bytes), *more])
    guarded = Guard(app, lambda: access, Limits(max_body=MAX_BODY, hosts=hosts), refused)
    return TestClient(guarded, raise_server_exceptions=False)


def test_refusals_are_counted_and_nothing_else_is():
    counted: list[int] = []
    port = client(counted.append)
    port.get("/metrics")
    port.post("/push", auth=ALICE)
    port.post("/push", content=b"x" * (MAX_BODY + 1), auth=BOB)
    port.post("/push", content=b"x", auth=BOB)
    port.get("/nowhere", auth=ALICE)
    port.get("/healthz")
    assert counted == [401, 403, 413]


@pytest.mark.parametrize("path", ["/", "/metrics", "/status.json", "/readyz", "/x", "/healthz/"])
def test_without_credentials_nothing_is_told_but_that_they_are_needed(path):
    answer = client().get(path)
    assert answer.status_code == 401
    assert answer.text == "this needs credentials\n"
    asked = answer.headers.get_list("www-authenticate")
    assert asked == ['Basic realm="aemon", charset="UTF-8"', 'Bearer realm="aemon"']
    assert answer.headers["connection"] == "close"
    assert answer.headers["x-frame-options"] == "DENY"


def test_health_is_told_to_everybody_and_nothing_else_may_be_done_there():
    assert client().get("/healthz").status_code == 200
    assert client().head("/healthz").status_code == 200
    assert client().post("/healthz").status_code == 401


@pytest.mark.parametrize(
    "shown",
    [
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"alice").decode(),
        "Basic " + base64.b64encode(b"alice:open sesam").decode(),
        "Basic " + base64.b64encode(b"nobody:open sesame").decode(),
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        "Basic " + base64.b64encode(b"alice:" + 5000 * b"x").decode(),
        "Basic " + base64.b64encode(b"alice:open\0sesame").decode(),
        "Bearer",
        "Bearer A token",
        "Bearer " + KEPT["bearer_tokens"]["sensor"],
        "Digest alice",
        "Basic " + base64.b64encode(b"sensor:a token").decode(),
    ],
)
def test_what_is_not_quite_right_is_wrong(shown):
    assert client().get("/metrics", headers={"Authorization": shown}).status_code == 401


def test_reading_and_pushing_are_two_permissions():
    told = client()
    found = {
        (who, method, path): told.request(method, path, **how).status_code
        for who, how in (("alice", {"auth": ALICE}), ("bob", {"auth": BOB}), ("sensor", {"headers": SENSOR}), ("carol", {"auth": ("carol", "open sesame")}))
        for method, path in (("GET", "/metrics"), ("POST", "/metrics"), ("POST", "/push"), ("DELETE", "/push"), ("GET", "/x"))
    }  # fmt: skip
    assert found == {
        ("alice", "GET", "/metrics"): 200,
        ("alice", "POST", "/metrics"): 403,
        ("alice", "POST", "/push"): 403,
        ("alice", "DELETE", "/push"): 403,
        ("alice", "GET", "/x"): 404,
        ("bob", "GET", "/metrics"): 200,
        ("bob", "POST", "/metrics"): 405,
        ("bob", "POST", "/push"): 200,
        ("bob", "DELETE", "/push"): 405,
        ("bob", "GET", "/x"): 404,
        ("sensor", "GET", "/metrics"): 403,
        ("sensor", "POST", "/metrics"): 405,
        ("sensor", "POST", "/push"): 200,
        ("sensor", "DELETE", "/push"): 405,
        ("sensor", "GET", "/x"): 403,
        ("carol", "GET", "/metrics"): 403,
        ("carol", "POST", "/metrics"): 403,
        ("carol", "POST", "/push"): 403,
        ("carol", "DELETE", "/push"): 403,
        ("carol", "GET", "/x"): 403,
    }


def test_without_users_all_may_read_and_nobody_change_anything():
    told = client(basic_auth_users={}, bearer_tokens={}, permissions={})
    assert told.get("/metrics").status_code == 200
    refused = told.post("/push", content=b"x")
    assert (refused.status_code, refused.text) == (403, "this needs the permission push\n")


def test_a_body_may_be_so_large_and_no_larger():
    told = client()
    assert told.post("/push", content=MAX_BODY * b"x", auth=BOB).text == "1000 bytes\n"
    for body in ((MAX_BODY + 1) * b"x", iter([MAX_BODY * b"x", b"x"])):
        answer = told.post("/push", content=body, auth=BOB)
        assert answer.status_code == 413
        assert answer.text == "the body is larger than 1000 bytes (http.max_body)\n"
        assert "content-security-policy" in answer.headers


def test_every_answer_has_the_headers_and_the_operator_has_the_last_word():
    told = client(
        http_server_config={
            "headers": {"X-Frame-Options": "sameorigin", "X-Content-Type-Options": "",
                        "Strict-Transport-Security": "max-age=1"}
        }
    )  # fmt: skip
    for path, status in (("/metrics", 200), ("/x", 404), ("/broken", 500)):
        answer = told.get(path, auth=ALICE)
        assert answer.status_code == status
        assert answer.headers["x-frame-options"] == "sameorigin"
        assert answer.headers["strict-transport-security"] == "max-age=1"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "x-content-type-options" not in answer.headers


def test_requests_are_limited_where_that_is_asked_for_but_probes_are_not():
    told = client(rate_limit={"interval": "1h", "burst": 2})
    codes = [told.get("/metrics", auth=ALICE).status_code for _ in range(3)]
    assert codes == [200, 200, 429]
    assert told.get("/metrics").headers["retry-after"] == "1"
    assert told.get("/healthz").status_code == 200


def test_who_tries_passwords_is_logged_but_not_with_a_line_for_each(caplog):
    told = client()
    for _ in range(5):
        told.get("/metrics", auth=("alice", "guess"))
    told.get("/metrics")
    (line,) = [record for record in caplog.records if record.__dict__.get("action") == "web.denied"]
    assert line.address == "testclient"
    assert "guess" not in caplog.text


# -- passwords


def seconds_for(kept: str, password: str = "wrong") -> float:
    async def check() -> float:
        began = time.process_time()
        await PasswordChecks().is_right(password, kept, "here")
        return time.process_time() - began

    return min(asyncio.run(check()) for _ in range(3))


def test_a_user_that_does_not_exist_costs_what_others_cost(monkeypatch):
    monkeypatch.setattr(credentials, "PAUSE_FACTOR", 0.0)
    kept = bcrypt.hashpw(b"x", bcrypt.gensalt(9)).decode()
    nobody = _access(
        WebSettings(basic_auth_users={"alice": kept}), None
    ).credentials._hash_of_unknown_user
    known, unknown = seconds_for(kept), seconds_for(nobody)
    assert unknown == pytest.approx(known, rel=0.5)
    assert known > 0.005


def test_a_right_password_is_checked_once_and_its_hash_is_what_counts(monkeypatch):
    calls = []

    def matches(shown, kept):
        calls.append(kept)
        return bcrypt.checkpw(shown, kept.encode())

    monkeypatch.setattr(credentials, "_matches", matches)
    other = bcrypt.hashpw(b"open sesame", bcrypt.gensalt(QUICK)).decode()

    async def ask() -> list[bool]:
        checks = PasswordChecks()
        at_once = [checks.is_right("open sesame", HASH, "here") for _ in range(20)]
        found = await asyncio.gather(*at_once)
        found.append(await checks.is_right("open sesame", HASH, "there"))
        found.append(await checks.is_right("open sesame", other, "there"))
        return found

    assert asyncio.run(ask()) == 22 * [True]
    assert calls == [HASH, other]


def test_passwords_wait_in_a_line_of_limited_length_that_no_address_fills_alone():
    async def ask() -> list[object]:
        checks = PasswordChecks()
        tries = [checks.is_right(f"{n}", HASH, "attacker") for n in range(50)]
        tries += [checks.is_right("open sesame", HASH, "operator")]
        found = await asyncio.gather(*tries, return_exceptions=True)
        assert await checks.is_right("open sesame", HASH, "attacker")
        assert not checks._waiting
        assert not checks._under_way
        return found

    *attacker, operator = asyncio.run(ask())
    assert operator is True
    assert attacker.count(False) == credentials.MOST_PER_ADDRESS
    assert sum(isinstance(one, CrowdedError) for one in attacker) == 46


def test_wrong_passwords_cost_no_more_than_a_quarter_of_a_core():
    kept = bcrypt.hashpw(b"x", bcrypt.gensalt(8)).decode()

    async def ask() -> float:
        checks = PasswordChecks()
        began, worked = time.perf_counter(), time.process_time()
        await asyncio.gather(*(checks.is_right(f"{n}", kept, f"{n}") for n in range(12)))
        return (time.process_time() - worked) / (time.perf_counter() - began)

    assert asyncio.run(ask()) < 0.35


NAMES = known_hosts(
    HttpSettings(hosts=["aemon.example"], url="https://status.example/"), "127.0.0.1"
)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:9464", "localhost", "LOCALHOST:9464", "[::1]:9464", "10.1.2.3", "aemon.example", "Aemon.Example.:80",
     "status.example", socket.gethostname(), "[fe80::1%25eth0]:1"],
)  # fmt: skip
def test_a_known_name_and_every_address_is_answered(host):
    port = client(hosts=NAMES)
    assert port.get("/metrics", auth=ALICE, headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:9464", "localhost.evil.example", "127.0.0.1.evil.example", "[", "x@localhost", "aemon.example.evil"])  # fmt: skip
def test_another_name_is_refused_whatever_is_shown_and_told_once(host, caplog):
    """A page of somebody else's whose name suddenly leads here (DNS rebinding)."""
    port = client(hosts=NAMES)
    for _ in range(3):
        answer = port.get("/metrics", auth=ALICE, headers={"Host": host})
        assert (answer.status_code, "http.hosts" in answer.text) == (421, True)
    assert [record.action for record in caplog.records] == ["web.host"]
    assert port.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("settings", "bound", "evil_is_known"),
    [({}, "127.0.0.1", False), ({}, "::1", False), ({}, "0.0.0.0", True), ({}, "10.0.0.7", True),
     ({"hosts": []}, "0.0.0.0", False), ({"hosts": ["*"]}, "127.0.0.1", True), ({"hosts": ["evil.example"]}, "127.0.0.1", True)],
)  # fmt: skip
def test_without_a_list_any_name_will_do_unless_only_this_host_can_ask(
    settings, bound, evil_is_known
):
    hosts = known_hosts(HttpSettings.model_validate(settings), bound)
    assert is_known("evil.example", hosts) == evil_is_known
    assert is_known("localhost:9464", hosts)
    assert is_known("", hosts), "of HTTP/1.0; no browser's"
