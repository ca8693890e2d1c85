"""What people do with the pages: give feedback, zoom, use the keyboard, leave a page open."""

import sqlalchemy as sa

from aemon.store.feedback import read_feedback
from aemon.store.lists.audit_log import audit_rows
from aemon.store.schema.tables import episodes
from tests.browser.conftest import MARKUP
from tests.browser.test_every_page import settled


def test_feedback_by_click_stands_in_the_table(visit, site):
    tab = visit()
    tab.open(f"/episodes/{site.episode}")
    tab.page.fill("#note", f"the valve {MARKUP}")
    tab.page.fill("#name", "Ann")
    tab.page.get_by_role("button", name="Confirmed").click()
    tab.page.wait_for_selector("text=The feedback is stored")
    given = read_feedback(site.store, "fans")
    assert {(each.verdict, each.note) for each in given} == {
        ("confirmed", f"the valve {MARKUP} (Ann)")
    }
    assert len(given) == 4
    (noted,) = audit_rows(site.store, ["fans"], limit=1)
    assert (noted.who, noted.origin) == ("ann", "page")
    # The name is remembered for the next time, and the page shows what was said
    assert tab.page.input_value("#name") == "Ann"
    assert "the valve <img" in tab.page.locator("aside").inner_text()


def test_forms_work_without_javascript(visit, site):
    tab = visit(java_script_enabled=False)
    tab.open("/")
    assert "critical episode" in tab.page.locator("main").inner_text()
    tab.open(f"/episodes/{site.episode}")
    tab.page.fill("#label", "loose belt")
    tab.page.get_by_role("button", name="Label").click()
    assert tab.page.locator("h1").inner_text().startswith(f"Episode {site.episode}: loose belt")


def test_the_chart_is_zoomed_by_drag_and_by_keys_and_reset(visit):
    tab = visit(viewport={"width": 1000, "height": 800})
    tab.open("/monitors/pumps")
    settled(tab.page)
    chart = tab.page.locator("#score-chart")
    asked = []
    tab.page.on("request", lambda request: asked.append(request.url))

    def after(action) -> str:
        asked.clear()
        with tab.page.expect_response(lambda answer: "/api/v1/series/" in answer.url):
            action()
        return asked[-1]

    box = tab.page.locator("#score-chart .u-over").bounding_box()

    def drag() -> None:
        middle = box["y"] + box["height"] / 2
        tab.page.mouse.move(box["x"] + box["width"] * 0.5, middle)
        tab.page.mouse.down()
        tab.page.mouse.move(box["x"] + box["width"] * 0.9, middle, steps=4)
        tab.page.mouse.up()

    zoomed = after(drag)
    chart.focus()
    assert after(lambda: tab.page.keyboard.press("ArrowLeft")) != zoomed
    after(lambda: tab.page.keyboard.press("+"))
    reset = after(lambda: tab.page.keyboard.press("0"))
    assert after(lambda: tab.page.get_by_role("button", name="Zoom out").click()) != reset


def test_every_flagged_record_is_drawn(visit, site):
    tab = visit()
    with tab.page.expect_response(lambda answer: "/api/v1/series/" in answer.url) as answer:
        tab.open("/monitors/fans")
    series = answer.value.json()
    assert sum(each["verdict"] == "anomaly" for each in series["points"]) == 4
    settled(tab.page)
    assert int(tab.page.get_attribute("#score-chart", "data-ready")) > 100
    assert tab.page.locator("#score-chart canvas").count() == 1
    assert tab.page.locator("[data-column] canvas").count() == 2


def test_one_needs_no_mouse(visit, site):
    tab = visit()
    tab.open("/")
    tab.page.keyboard.press("Tab")
    focus = tab.page.locator(":focus")
    assert focus.inner_text() == "Skip to the content"
    tab.page.keyboard.press("Enter")
    assert tab.page.evaluate("document.activeElement.id") == "main"
    for _ in range(30):  # on to the first monitor, which is seen to be chosen
        tab.page.keyboard.press("Tab")
        if (focus.get_attribute("href") or "").startswith("/monitors/"):
            break
    assert focus.evaluate("each => getComputedStyle(each).outlineStyle") == "solid"
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_url("**/monitors/fans")


def test_an_open_page_shows_what_happens(visit, site):
    tab = visit()
    tab.open("/")
    assert "3 episodes" not in tab.page.locator("main").inner_text()
    change = sa.update(episodes).where(episodes.c.id == site.episode)
    with site.store.writing() as connection:
        connection.execute(change.values(label="seen while open"))
    tab.page.wait_for_selector("text=seen while open")
    tab.page.wait_for_selector("time[data-local]")
