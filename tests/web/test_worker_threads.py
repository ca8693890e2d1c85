"""A machine without a thread to answer in is told, and the server goes on."""

import threading

import pytest
from starlette.testclient import TestClient

from aemon.errors import AemonError
from aemon.operations.status_report import Health
from aemon.web.app import build_app

HEALTH = Health(started=True, alive=True, heartbeat_age_seconds=1)


def test_a_page_for_which_there_is_no_thread_is_answered_with_503_and_later_with_200(monkeypatch):
    start = threading.Thread.start

    def no_thread(thread):
        if "AnyIO" in thread.name:
            raise RuntimeError("can't start new thread")
        start(thread)

    with TestClient(build_app(lambda: None, lambda: HEALTH, lambda: b"all")) as client:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", no_thread)
            refused = client.get("/metrics")
            assert client.get("/healthz").status_code == 200
        assert (refused.status_code, "no thread" in refused.text) == (503, True)
        assert client.get("/metrics").text == "all"


def test_an_error_of_the_page_itself_is_not_taken_for_a_lack_of_threads():
    def fails():
        raise RuntimeError("oops")

    assert not issubclass(RuntimeError, AemonError)
    with (
        TestClient(build_app(lambda: None, lambda: HEALTH, fails)) as client,
        pytest.raises(RuntimeError, match="oops"),
    ):
        client.get("/metrics")
