"""The overview: what needs a person comes first, in words."""

import pytest

from aemon.errors import StoreError
from aemon.store.queries import Flagged
from aemon.web.access import load_access
from tests.filled_stores import fill
from tests.web.statuses import EPISODE, FLAGGED, monitor, run, status_page_of
from tests.web_security import PASSWORD, bcrypted


@pytest.fixture
def client(pages):
    """A client of pages that show these states."""

    def made(monitors=(), flagged=(), status=None, **more):
        return pages(status or (lambda: status_page_of(monitors, flagged, **more)))

    return made


def test_the_status_page_shows_where_every_monitor_stands(client):
    collecting = monitor(
        "fans",
        detector_version=None,
        last_score=run("collecting", "collecting 312 of 1000 records", 312),
    )
    failed = monitor(
        "belts", detector_version=None, last_score=run("failed", "column 'speed' is missing")
    )
    page = client([monitor("pumps"), collecting, failed]).get("/")
    assert page.status_code == 200
    assert "312 of 1000" in page.text
    assert "0 of 1000" not in page.text
    assert "failing" in page.text
    assert "column &#39;speed&#39; is missing" in page.text
    assert "trained 3 h ago on 640 records" in page.text
    assert "None in the last day" in page.text


def test_the_promised_and_the_realised_rate_stand_side_by_side(client):
    fresh = monitor("fans", realised=Flagged())
    page = client([monitor("pumps"), fresh]).get("/").text
    assert ">0.25 % of all 2,000<" in page
    assert "0.1 % of normal records" in page
    assert "none judged yet" in page


def test_a_promise_that_is_broken_by_far_stands_out(client):
    storm = monitor("pumps", realised=Flagged(judged=19_802, flagged=17_927))
    page = client([storm]).get("/").text
    assert '<span class="failed">91 % of all 19,802</span>' in page
    assert "flags too much" in page
    assert "far above the target" in page
    fine = monitor("pumps", realised=Flagged(judged=19_802, flagged=60))
    assert "far above the target" not in client([fine]).get("/").text


def test_what_a_person_should_know_of_a_monitor_stands_beside_its_state(client):
    # Given a provisional detector with another on trial, a drift and an open episode, and a calm one
    pumps = monitor(
        "pumps",
        on_trial=3,
        drifts=("flow is spread otherwise than in the records learned from",),
        traffic=("p3 is silent <b>",),
        episodes_open=1,
        provisional=True,
    )
    page = client([pumps, monitor("fans")], episodes=[EPISODE]).get("/").text
    # Then the one says so, once, and the other nothing of it
    assert page.count("provisional") == page.count("on trial") == page.count(">drift<") == 1
    assert "flow is spread otherwise" in page
    assert "Open episodes" in page
    assert "p3 is silent &lt;b&gt;" in page
    assert "like episode 7, labelled stuck sensor" in page
    calm = client([monitor("fans")]).get("/").text
    assert not any(word in calm for word in ("provisional", "on trial", "drift", "like episode"))
    assert "The monitor is fine" in calm


def test_what_records_say_is_text_and_never_markup(client):
    page = client([monitor("pumps")], [FLAGGED]).get("/").text
    assert "<script>" not in page
    assert " style=" not in page
    assert "&lt;script&gt;" in page
    assert "pressure 2.1 where 4 was expected" in page


def test_the_page_needs_nothing_from_elsewhere_and_may_run_nothing(client):
    answer = client().get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "http://" not in answer.text
    assert "https://" not in answer.text


def test_a_store_that_is_gone_is_said_so(client):
    def gone():
        raise StoreError("the store failed: disk full")

    answer = client(status=gone).get("/")
    assert answer.status_code == 503
    assert "disk full" in answer.text


def test_the_most_urgent_comes_first(client):
    states = [
        monitor("calm"),
        monitor("drifting", drifts=("flow differs",)),
        monitor("broken", last_score=run("failed", "no column")),
        monitor("greedy", realised=Flagged(judged=9000, flagged=9000)),
    ]
    page = client(states).get("/").text
    places = [
        page.index(f"<strong>{name}</strong>") for name in ("broken", "drifting", "greedy", "calm")
    ]
    assert places == sorted(places)
    assert "3 of 4 monitors need you" in page
    assert "<title>(3) aemon</title>" in page


def test_a_critical_episode_comes_before_others_and_its_trace_is_drawn(pages, store, clock):
    fill(store, "fans", clock(), records=90, anomalies=(50,), critical=True)
    fill(store, "pumps", clock(), records=90, anomalies=(40,))
    page = pages().get("/").text
    assert page.index("critical episode") < page.index("open episode")
    assert page.index("<strong>fans") < page.index("<strong>pumps")
    assert page.count('class="bars over"') == 2
    assert "2 of 2 monitors need you" in page
    assert "flow 1.2 where 5 was expected" in page


def test_one_may_search_for_a_monitor(client):
    page = client([monitor("pumps"), monitor("fans")]).get("/?q=PUM").text
    assert "<strong>pumps</strong>" in page
    assert "<strong>fans</strong>" not in page


def test_a_page_is_compressed_for_those_who_take_it(client):
    answer = client([monitor("pumps")]).get("/", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert "pumps" in answer.text


def test_static_files_are_kept_by_the_browser_until_they_change(client):
    browser = client()
    page = browser.get("/").text
    path = page.split('rel="stylesheet" href="')[1].split('"')[0]
    answer = browser.get(path)
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/css")
    again = browser.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    assert browser.get("/static/0/aemon.css").headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["..%2f..%2fapp.py", "%2e%2e/app.py", "app.py", "x/../../app.py"])
def test_static_files_are_no_other_files(client, path):
    assert client().get(f"/static/0/{path}").status_code == 404


def test_who_may_know_some_monitors_sees_no_others(pages, store, clock, tmp_path):
    fill(store, "pumps", clock(), records=90, anomalies=(50,))
    fill(store, "fans", clock(), records=90, anomalies=(40,))
    path = tmp_path / "web.yml"
    path.write_text(
        f'basic_auth_users: {{eve: "{bcrypted(PASSWORD)}"}}\nmonitors: {{eve: [fan*]}}\n'
    )
    path.chmod(0o600)
    browser = pages(access=load_access(path))
    browser.auth = ("eve", PASSWORD)
    for address in ("/", "/episodes", "/detectors", "/ledger"):
        page = browser.get(address).text
        assert "fans" in page
        assert "pumps" not in page, address
    assert browser.get("/monitors/fans").status_code == 200
    assert browser.get("/monitors/pumps").status_code == 404
    assert browser.get("/episodes/1").status_code == 404
    assert browser.get("/setup").status_code == 403
