"""A page is rendered once for all who wait for it, and never for more than a share of the time."""

import asyncio
import itertools
import threading
import time

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from aemon.errors import StoreError
from aemon.operations.status_report import Health
from aemon.web import app as web_app
from aemon.web.app import Page, build_app


def counting(seconds: float = 0.0):
    """A renderer that tells how often it was asked, and fails where it is asked twice at once."""
    numbers, alone = itertools.count(1), threading.Lock()

    def render() -> PlainTextResponse:
        assert alone.acquire(blocking=False)
        with_number = PlainTextResponse(str(next(numbers)))
        time.sleep(seconds)
        alone.release()
        return with_number

    return render


def test_those_who_wait_share_a_page_that_was_begun_after_they_asked():
    async def ask() -> list[bytes]:
        page = Page(counting(0.05))
        first = asyncio.create_task(page.get())
        await asyncio.sleep(0.02)  # it is being rendered: what is asked for now may be newer
        later = [asyncio.create_task(page.get()) for _ in range(50)]
        return [answer.body for answer in await asyncio.gather(first, *later)]

    assert asyncio.run(ask()) == [b"1", *50 * [b"2"]]


def test_a_page_that_all_ask_for_all_the_time_costs_a_quarter_of_it():
    async def ask() -> int:
        page = Page(counting(0.02))

        async def often() -> None:
            while time.monotonic() < until:
                await page.get()

        until = time.monotonic() + 1
        await asyncio.gather(*(often() for _ in range(20)))
        return int((await page.get()).body)

    assert 5 <= asyncio.run(ask()) <= 15


def test_who_goes_away_takes_the_page_from_nobody():
    async def ask() -> bytes:
        page = Page(counting(0.05))
        gone, stays = asyncio.create_task(page.get()), asyncio.create_task(page.get())
        await asyncio.sleep(0.01)
        gone.cancel()
        return (await stays).body

    assert asyncio.run(ask()) == b"1"


def test_a_store_that_hangs_is_told_and_keeps_nobody_from_the_rest(monkeypatch):
    monkeypatch.setattr(web_app, "PATIENCE_SECONDS", 0.1)
    over = threading.Event()

    def hang():
        over.wait(10)
        raise StoreError("it came back as an error")

    health = Health(started=True, alive=True, heartbeat_age_seconds=1)
    app = build_app(hang, lambda: health, bytes)
    with TestClient(app) as client:
        hung = client.get("/status.json")
        assert (hung.status_code, hung.text) == (503, "this takes too long; the store may hang\n")
        assert client.get("/metrics").status_code == 200
        assert client.get("/healthz").status_code == 200
        over.set()


def test_a_page_that_fails_is_tried_again():
    failing = iter([RuntimeError("nobody foresaw this"), None])

    def render() -> PlainTextResponse:
        if error := next(failing):
            raise error
        return PlainTextResponse("well")

    async def ask() -> bytes:
        page = Page(render)
        with pytest.raises(RuntimeError):
            await page.get()
        return (await page.get()).body

    assert asyncio.run(ask()) == b"well"
