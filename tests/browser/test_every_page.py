"""Every page in a real browser: nothing fails, nothing leaves the origin, everyone can use it."""

from pathlib import Path

import pytest

from tests.browser.conftest import MARKUP

AXE = (Path(__file__).parent / "vendored" / "axe.min.js").read_text(encoding="utf-8")
RUN = """async () => {
    const found = await axe.run(document, {resultTypes: ["violations"]});
    if (found.passes.length < 10) {
        return ["axe checked nothing"];
    }
    return found.violations.filter((each) => ["serious", "critical"].includes(each.impact)).map(
        (each) => `${each.id}: ${each.nodes.slice(0, 3).map((node) => node.html.slice(0, 120)).join(" | ")}`);
}"""
PAGES = (
    "/", "/?q=pum", "/monitors/pumps", "/monitors/fans", "/monitors/fans/lanes", "/episodes",
    "/episodes/{episode}", "/detectors", "/detectors/pumps/1", "/ledger", "/setup?checks=1&monitor=fans",
    "/docs", "/docs/thresholds", "/docs?q=threshold", "/monitors/nothing",
)  # fmt: skip
MOST_BYTES = 300_000  # of a page with all its files, as sent


def settled(page) -> None:
    """Wait until a page has loaded all it loads by itself."""
    if page.locator("#score-chart").count():
        page.wait_for_selector("#score-chart[data-ready]")
        page.wait_for_selector("section#lanes")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_every_page_is_whole_and_accessible(visit, site, scheme, width):
    tab = visit(color_scheme=scheme, viewport={"width": width, "height": 800})
    found = {}
    for template in PAGES:
        path = template.format(episode=site.episode)
        tab.open(path)
        settled(tab.page)
        too_wide = tab.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if too_wide > 0:
            found[path] = [f"{too_wide} px too wide"]
        tab.page.evaluate(AXE)
        if violations := tab.page.evaluate(RUN):
            found[path] = [*found.get(path, []), *violations]
    # The page of a monitor that does not exist is 404, which the console names.
    tab.wrong = [wrong for wrong in tab.wrong if "404" not in wrong]
    assert found == {}


def test_a_page_weighs_little(visit, site):
    for path in ("/", "/monitors/pumps", f"/episodes/{site.episode}"):
        tab = visit()
        sizes = []
        tab.page.on("requestfinished", lambda request, sizes=sizes: sizes.append(request.sizes()))
        tab.open(path)
        settled(tab.page)
        total = sum(each["responseBodySize"] + each["responseHeadersSize"] for each in sizes)
        assert 10_000 < total < MOST_BYTES, path


def test_markup_in_names_notes_and_values_is_text(visit, site):
    tab = visit()
    for path in ("/", "/monitors/fans", f"/episodes/{site.episode}", "/setup?checks=1"):
        tab.open(path)
        settled(tab.page)
        assert tab.page.locator("img").count() == 0
        assert MARKUP in tab.page.locator("body").inner_text()


def test_times_are_in_the_readers_zone_with_utc_beside(visit):
    tab = visit()
    tab.open("/docs")
    tab.open("/monitors/pumps")
    time = tab.page.locator("time").first
    assert time.get_attribute("title") == "2026-01-01 00:09:59 UTC"
    assert time.inner_text() == "2026-01-01 01:09:59"
    assert "Europe/Berlin" in tab.page.locator("#zone").inner_text()
