"""The page of a monitor: its state, what its charts need, and its tables."""

import html
import json
import re
from datetime import timedelta

import pytest
import sqlalchemy as sa

from aemon.store.schema.tables import watermarks
from tests.filled_stores import fill

ODD = '"><script>alert(1)</script>'


@pytest.fixture
def browser(pages, store, clock):
    fill(
        store, "pumps", clock(), records=200, anomalies=(120, 121, 150), entities=("p1", "p2", ODD)
    )
    return pages()


def test_the_page_has_all_that_a_person_looks_for(browser):
    answer = browser.get("/monitors/pumps")
    assert answer.status_code == 200
    page = answer.text
    assert "open episode" in page
    for heading in ("Score and threshold", "Newest episodes", "Newest runs", "Entities"):
        assert heading in page
    assert 'href="/episodes/1"' in page


def test_the_chart_knows_the_episodes_the_detectors_and_the_columns(browser):
    page = browser.get("/monitors/pumps").text
    marks = json.loads(html.unescape(re.search(r'data-marks="([^"]*)"', page)[1]))
    assert [each[2:] for each in marks["episodes"]] == [["warning", 1]]
    assert [version for _, version in marks["detectors"]] == [1]
    columns = json.loads(html.unescape(re.search(r'data-columns="([^"]*)"', page)[1]))
    assert columns == ["flow", "pressure"]


def test_the_lanes_show_the_largest_exceedance_of_each_entity(browser):
    page = browser.get("/monitors/pumps/lanes?span=6h").text
    rows = re.findall(r'<th scope="row">.*?</tr>', page, re.DOTALL)
    assert len(rows) == 3
    assert ">p1<" in rows[0]
    assert '<td class="number">3</td>' in rows[0]
    assert 'class="h4"' in rows[0] or 'class="h5"' in rows[0]


@pytest.mark.parametrize(
    "path", ["/monitors/pumps", "/monitors/pumps/lanes", f"/monitors/pumps?entity={ODD}"]
)
def test_names_are_text_and_never_markup(browser, path):
    page = browser.get(path).text
    assert "<script>alert" not in page
    assert " style=" not in page
    assert re.findall(r"<script(?![^>]* src=)", page) == []
    assert re.findall(r' on[a-z]+="', page) == []


def test_an_unknown_monitor_is_named_with_what_to_do(browser):
    answer = browser.get("/monitors/pump")
    assert answer.status_code == 404
    assert "there is no monitor &#39;pump&#39;" in answer.text
    assert "did you mean" in answer.text


def test_a_monitor_without_results_has_a_page(browser):
    assert "None." in browser.get("/monitors/fans").text


def test_the_pictures_of_a_history_end_at_its_newest_record(pages, store, clock):
    long_ago = clock() - timedelta(days=900)
    fill(store, "pumps", long_ago, records=200, anomalies=(120,), entities=("p1",))
    with store.writing() as connection:
        connection.execute(
            sa.update(watermarks).where(watermarks.c.monitor == "pumps").values(event_time=long_ago)
        )
    browser = pages()
    page = browser.get("/monitors/pumps").text
    (until,) = re.findall(r'data-until="([^"]*)"', page)
    assert abs(float(until) - long_ago.timestamp()) < 120
    assert ">p1<" in browser.get("/monitors/pumps/lanes?span=6h").text
    # A monitor with new records is shown up to the present
    fill(store, "fans", clock(), records=50, anomalies=(), entities=("f1",))
    (until,) = re.findall(r'data-until="([^"]*)"', browser.get("/monitors/fans").text)
    assert abs(float(until) - clock().timestamp()) < 5
