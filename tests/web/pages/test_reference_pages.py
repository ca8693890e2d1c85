"""Detectors, the ledger, the setup and the documentation as pages."""

import re

import pytest

from aemon.config.schema import Config
from aemon.doctor.finding import error, ok
from aemon.operations.installation import Installation
from aemon.operations.reference_pages import list_pages
from aemon.operations.views.setup_view import configuration_text
from tests.filled_stores import fill


@pytest.fixture
def browser(pages, store, clock):
    fill(store, "pumps", clock(), records=200, anomalies=(120,), runs=30)
    return pages()


def test_detectors_and_what_they_promised(browser):
    assert 'href="/detectors/pumps/1"' in browser.get("/detectors").text
    page = browser.get("/detectors/pumps/1").text
    assert "640" in page
    assert "conformal" in page
    assert "aemon detectors promote 1" in page
    assert browser.get("/detectors/pumps/9").status_code == 404
    assert browser.get("/detectors/pumps/99999999999999999999").status_code == 404


def test_the_ledger_is_narrowed_and_goes_on(browser):
    first = browser.get("/ledger?monitor=pumps&limit=20").text
    assert first.count('data-label="Outcome"') == 20
    older = re.search(r'rel="next" href="([^"]+)"', first)[1].replace("&amp;", "&")
    assert browser.get(older).text.count('data-label="Outcome"') == 10
    assert "None." in browser.get("/ledger?outcome=failed").text
    wrong = browser.get("/ledger?cursor=xyz")
    assert wrong.status_code == 400
    assert "cursor" in wrong.text
    assert browser.get("/ledger?limit=0").status_code == 400


def test_the_setup_shows_the_configuration_and_on_request_the_checks(pages):
    found = [ok("store", "it answers"), error("source", "no table <t>", "create it")]
    browser = pages(diagnose=lambda: iter(found))
    page = browser.get("/setup").text
    assert "retention:" in page
    assert "score_every: 1m" in browser.get("/setup?monitor=pumps").text
    assert browser.get("/setup?monitor=x").status_code == 404
    assert "no table" not in page
    checked = browser.get("/setup?checks=1").text
    assert "no table &lt;t&gt;" in checked
    assert checked.index("create it") < checked.index("it answers")


def test_the_configuration_is_shown_without_its_secrets(store, clock):
    source = {
        "kind": "sql",
        "url": "postgresql://me:hunter2@host/db",
        "table": "t",
        "time": "ts",
        "key": "id",
    }
    settings = {
        "store": "postgresql://me:hunter3@host/aemon",
        "monitors": {"pumps": {"source": source, "score_every": "1m"}},
        "notify": {
            "chat": {"kind": "webhook", "url": "https://hooks.example/T0/hunter4", "headers": {"X-Key": "hunter5"}}
        },
        "http": {"client": {"token": "hunter8"}},
    }  # fmt: skip
    installation = Installation(Config.model_validate(settings), store, clock)
    text = configuration_text(installation) + configuration_text(installation, "pumps")
    assert "hunter" not in text
    assert "table: t" in text


def test_every_page_of_the_documentation_is_there_with_working_links(browser):
    topics = {page.topic for page in list_pages()}
    listed = browser.get("/docs").text
    for topic in topics:
        assert f'href="/docs/{topic}"' in listed
        body = browser.get(f"/docs/{topic}").text
        linked = set(re.findall(r'href="/docs/([a-z0-9-]+)', body))
        assert linked <= topics, topic
        assert not re.search(r'href="(?!https:)[^"]*\.md', body), topic
    assert browser.get("/docs/nothing").status_code == 404


def test_the_documentation_is_searched(browser):
    found = browser.get("/docs?q=exceedance").text
    assert 'href="/docs/glossary"' in found
    assert "No page contains this" in browser.get("/docs?q=<script>zzz").text
    assert "<script>zzz" not in browser.get("/docs?q=<script>zzz").text
