"""A daemon takes up a changed configuration beside its other work, whatever the store does."""

import os
import threading
import time
from contextlib import contextmanager
from datetime import timedelta

import pytest

from aemon.config.loading import load_config
from aemon.daemon.daemon import Daemon
from aemon.errors import ExitCode, ResourceError, StoreError
from aemon.store.fences import Fence


def text(database, *names, every="1s") -> str:
    source = f"{{kind: sql, url: 'sqlite:///{database}', table: readings, time: ts, key: id}}"
    monitors = "".join(f"  {name}: {{score_every: {every}, source: {source}}}\n" for name in names)
    return f"store: sqlite:///{database.parent}/aemon.db\nmonitors:\n{monitors}"


@pytest.fixture
def path(tmp_path, database):
    path = tmp_path / "aemon.yaml"
    path.write_text(text(database, "pumps", "fans"))
    return path


@pytest.fixture
def daemon(path):
    """Wired and not running: it holds both monitors."""
    with wired(path) as daemon:
        yield daemon


@contextmanager
def wired(path):
    config = load_config(path)
    config = config.model_copy(
        update={"http": config.http.model_copy(update={"listen": "127.0.0.1:0"})}
    )
    daemon = Daemon(config, path=path)
    for name in config.monitors:
        win(daemon, name)
    yield daemon
    daemon._socket.close()
    daemon._scheduler.slots.shutdown()
    for monitor in daemon._watching.monitors.values():
        monitor.close()
    daemon._leasing._store.close()
    daemon._store.close()


def win(daemon, name):
    fence = Fence(monitor=name, holder="me", token=1, lease=timedelta(seconds=30))
    daemon._leasing._held[name] = fence
    daemon._watching.begin(name, fence)


def reload(daemon):
    daemon._begin_reload()
    daemon._reload_thread.join(10)


def reloads(daemon, outcome) -> float | None:
    labels = {"outcome": outcome}
    return daemon._metrics.registry.get_sample_value("aemon_config_reloads_total", labels)


def test_a_store_that_hangs_holds_up_the_reload_and_nothing_else(
    daemon, path, database, monkeypatch
):
    # Given a store that does not answer
    release, asked = threading.Event(), []
    monkeypatch.setattr(
        daemon._store, "add_monitors", lambda _names: asked.append(1) or release.wait(10)
    )
    path.write_text(text(database, "pumps"))
    # When the configuration is read, then nobody waits, and one try is under way
    began = time.monotonic()
    daemon._begin_reload()
    daemon._begin_reload()
    assert time.monotonic() - began < 1
    assert list(daemon._watching.monitors) == ["pumps", "fans"]
    release.set()
    daemon._reload_thread.join(10)
    assert asked == [1]
    assert list(daemon._watching.monitors) == ["pumps"]


@pytest.mark.parametrize("error", [StoreError("away"), ValueError("nobody foresaw it")])
def test_what_could_not_be_taken_up_is_tried_again_and_not_called_taken_up(
    daemon, path, database, monkeypatch, error
):
    def refuse(_names):
        raise error

    path.write_text(text(database, "pumps"))
    with monkeypatch.context() as patch:
        patch.setattr(daemon._store, "add_monitors", refuse)
        reload(daemon)
        assert not daemon._asked_to_reload, "it waits for its turn"
    assert (reloads(daemon, "ok"), reloads(daemon, "refused")) == (0, 1)
    assert list(daemon._watching.monitors) == ["pumps", "fans"]
    reload(daemon)
    assert (reloads(daemon, "ok"), reloads(daemon, "refused")) == (1, 1)
    assert list(daemon._watching.monitors) == ["pumps"]
    reload(daemon)
    assert reloads(daemon, "ok") == 1


def test_one_removed_and_added_again_before_its_lease_was_given_back_is_watched(
    daemon, path, database
):
    path.write_text(text(database, "pumps"))
    reload(daemon)
    assert list(daemon._watching.monitors) == ["pumps"]
    path.write_text(text(database, "pumps", "fans", every="2s"))
    reload(daemon)
    assert sorted(daemon._watching.monitors) == ["fans", "pumps"]
    assert {one.settings.score_every for one in daemon._watching.monitors.values()} == {
        timedelta(seconds=2)
    }
    # Then winning it anew, by the same lease, changes nothing
    before = daemon._watching.monitors["fans"]
    win(daemon, "fans")
    assert daemon._watching.monitors["fans"] is before


def test_it_begins_as_many_trainings_at_once_as_configured(path):
    path.write_text(f"trainings_at_once: 2\n{path.read_text()}")
    both, release = threading.Barrier(2), threading.Event()
    with wired(path) as daemon:
        daemon._scheduler.start(lambda: None)
        begun = []

        def train(name):
            begun.append(name)
            both.wait(10)  # for the other
            release.wait(10)

        for name in ("pumps", "fans", "belts"):
            daemon._scheduler.once(name, lambda name=name: train(name))
        deadline = time.monotonic() + 5
        while len(begun) < 2 or both.n_waiting:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(0.2)
        assert len(begun) == 2, "the third waits for a worker"
        both.abort()
        release.set()
        daemon._scheduler.stop()


def test_its_status_says_of_each_monitor_whether_it_is_watched_here(daemon):
    page = daemon._status()
    assert {monitor.name: monitor.held for monitor in page.monitors} == {
        "pumps": True,
        "fans": True,
    }
    assert set(page.wanted) == set(page.sources) == {"pumps", "fans"}
    assert page.as_json()["health"] == "dead: no heartbeat yet"


def end_scheduler(daemon, monkeypatch):
    def dies():
        raise SystemExit

    monkeypatch.setattr(daemon._scheduler._scheduler, "_process_jobs", dies)
    daemon._scheduler._scheduler.wakeup()


def end_leases(daemon, monkeypatch):
    daemon._leasing.stop(5)


def end_web(daemon, monkeypatch):
    daemon._web.stop()


def end_slots(daemon, monkeypatch):
    daemon._scheduler.slots.shutdown()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("end", [end_scheduler, end_leases, end_web, end_slots])
def test_a_daemon_one_of_whose_threads_dies_says_so_at_once_and_ends_with_an_error(
    path, monkeypatch, end
):
    config = load_config(path)
    http = config.http.model_copy(update={"listen": "127.0.0.1:0"})
    daemon = Daemon(config.model_copy(update={"http": http}), path=path)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    health = []

    def kill():
        while not daemon._condition.health().alive:
            time.sleep(0.01)
        end(daemon, monkeypatch)
        while not daemon._dead_thread():
            time.sleep(0.01)
        health.append(daemon._condition.health())

    killer = threading.Thread(target=kill)
    killer.start()
    assert daemon.run() == ExitCode.FAILED
    killer.join(10)
    assert not health[0].alive
    assert "has ended" in health[0].summary


def test_a_monitor_that_could_not_be_begun_is_begun_by_the_next_beat(path, monkeypatch):
    def no_thread(*_):
        raise ResourceError("no thread for the inbox of pumps")

    with wired(path) as daemon:
        for name in list(daemon._watching.monitors):
            daemon._watching.end(name)
        daemon._leasing._held.clear()
        with monkeypatch.context() as patch:
            patch.setattr(daemon._scheduler, "every", no_thread)
            daemon._leasing.watch(["pumps", "fans"])
            daemon._leasing._beat()
        assert daemon._watching.monitors == {}
        daemon._leasing._beat()
        assert sorted(daemon._watching.monitors) == ["fans", "pumps"]


def test_a_reload_that_fails_half_way_keeps_all_monitors_and_is_tried_again(
    daemon, path, database, monkeypatch
):
    def fails(*_):
        raise OverflowError("nobody foresaw it")

    path.write_text(text(database, "pumps", "belts", every="2s"))
    with monkeypatch.context() as patch:
        patch.setattr(daemon._outbox, "adopt", fails)
        reload(daemon)
    daemon._leasing._begin_held()
    settings = {name: one.settings.score_every for name, one in daemon._watching.monitors.items()}
    assert settings == dict.fromkeys(("pumps", "fans"), timedelta(seconds=1))
    assert (reloads(daemon, "ok"), reloads(daemon, "refused")) == (0, 1)
    assert "nobody foresaw it" in daemon._reloading.refusal
    assert set(daemon._status().wanted) == {"pumps", "fans"}
    reload(daemon)
    assert (reloads(daemon, "ok"), reloads(daemon, "refused")) == (1, 1)
    assert daemon._watching.monitors["pumps"].settings.score_every == timedelta(seconds=2)


def test_a_reload_for_which_there_is_no_thread_is_tried_again(daemon, path, database, monkeypatch):
    def no_thread(_thread):
        raise RuntimeError("can't start new thread")

    path.write_text(text(database, "pumps"))
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        daemon._begin_reload()
    reload(daemon)
    assert list(daemon._watching.monitors) == ["pumps"]


@pytest.mark.parametrize("kind", ["fifo", "device", "folder", "gone"])
def test_a_configuration_that_is_no_plain_file_holds_up_no_reload(daemon, path, database, kind):
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    for _ in range(2):
        reload(daemon)
        assert not daemon._reload_thread.is_alive()
    assert (reloads(daemon, "ok"), reloads(daemon, "refused")) == (0, 1)
    assert str(path) in daemon._reloading.refusal
    if kind == "folder":
        path.rmdir()
    path.unlink(missing_ok=True)
    path.write_text(text(database, "pumps"))
    reload(daemon)
    assert list(daemon._watching.monitors) == ["pumps"]


def test_a_daemon_on_loopback_answers_under_few_names(daemon):
    hosts = daemon._limits().hosts
    assert hosts is not None
    assert "localhost" in hosts
    assert "evil.example" not in hosts
