"""A running daemon takes up its changed configuration, and nothing of one that is wrong."""

import json
import signal

import pytest

from tests import readings
from tests.processes import Daemon, insert, make_table, sql_source

pytestmark = pytest.mark.acceptance
LEARNED = 300


@pytest.fixture
def database(tmp_path):
    database = tmp_path / "plant.db"
    make_table(database, "readings", ["ts TEXT", *readings.COLUMNS])
    insert(database, "readings", readings.rows(LEARNED))
    return database


def monitor(database, *, name="plant", rate=0.01, more="") -> str:
    return (
        f"  {name}:\n    source: {sql_source(database)}\n    score_every: 200ms\n"
        f"    min_records: {LEARNED}\n    threshold: {{false_alarm_rate: {rate}}}\n"
        f"    detector: {{steps: 60, members: 1}}\n    life: {{trial: false}}\n{more}"
    )


@pytest.fixture
def daemon(tmp_path, database):
    with Daemon(tmp_path, monitor(database), settings="reload_every: 300ms") as daemon:
        daemon.wait(lambda: daemon.query("SELECT 1 FROM detectors") != [], "the first detector")
        yield daemon


def rewrite(daemon, monitors: str) -> None:
    """As an editor does: a new file takes the old one's place."""
    text = daemon.config.read_text()
    new = daemon.config.with_suffix(".new")
    new.write_text(text[: text.index("monitors:\n")] + "monitors:\n" + monitors)
    new.replace(daemon.config)


def said(daemon, action: str) -> list[dict]:
    lines = (json.loads(line) for line in daemon.log.read_text().splitlines() if line[:1] == "{")
    return [line for line in lines if line.get("action") == action]


def detectors(daemon) -> list[tuple]:
    return daemon.query("SELECT monitor, version, asked_by FROM detectors ORDER BY id")


def lines(daemon) -> list[tuple]:
    return daemon.query("SELECT false_alarm_rate, reason FROM thresholds ORDER BY id")


def test_monitors_come_and_go_and_leave_no_series_behind(daemon, database):
    rewrite(daemon, monitor(database) + monitor(database, name="second"))
    daemon.wait(lambda: len(detectors(daemon)) == 2, "the second monitor's detector")
    assert daemon.metric('aemon_config_reloads_total{outcome="ok"}') == 1
    rewrite(daemon, monitor(database, name="second"))
    daemon.wait(lambda: 'monitor="plant"' not in (daemon.get("/metrics") or ""), "it to be gone")
    insert(database, "readings", readings.rows(50, first=LEARNED))
    query = "SELECT monitor, count(*) FROM scores GROUP BY monitor"
    daemon.wait(lambda: daemon.query(query) == [("second", 50)], "the other to go on alone")
    assert [line["message"] for line in said(daemon, "config.reloaded")] == [
        "second added", "plant removed",
    ]  # fmt: skip


def test_an_invalid_file_changes_nothing_and_says_so_once(daemon, database):
    rewrite(daemon, monitor(database, rate=7))
    failed = "aemon_config_last_reload_successful"
    daemon.wait(lambda: daemon.metric(failed) == 0, "the file to be refused")
    (line,) = said(daemon, "config.refused")
    assert "aemon.yaml" in line["message"]
    assert "monitors.plant.threshold.false_alarm_rate" in line["message"]
    assert "monitors.plant.threshold.false_alarm_rate" in daemon.get("/")
    assert "monitors.plant.threshold.false_alarm_rate" in daemon.get("/status.json")
    insert(database, "readings", readings.rows(20, first=LEARNED))
    daemon.wait(lambda: daemon.query("SELECT count(*) FROM scores") == [(20,)], "it to go on")
    assert len(said(daemon, "config.refused")) == 1
    rewrite(daemon, monitor(database))
    daemon.wait(lambda: daemon.metric(failed) == 1, "the mended file to be taken up")
    # Requests of a short time share a status
    daemon.wait(lambda: "was refused" not in daemon.get("/"), "the page to follow")
    assert len(detectors(daemon)) == 1


def test_only_what_changes_what_is_learned_is_trained_again(daemon, database):
    # When but the promise is another one, a line is drawn and nothing is trained
    rewrite(daemon, monitor(database, rate=0.05))
    daemon.wait(lambda: len(lines(daemon)) == 2, "a new line")
    assert lines(daemon)[1] == (0.05, "threshold settings changed")
    assert len(detectors(daemon)) == 1
    # When words and pauses are others, neither is
    units = "    columns: {units: {flow: l/min}}\n    score_timeout: 1m\n"
    rewrite(daemon, monitor(database, rate=0.05, more=units))
    daemon.wait(lambda: len(said(daemon, "config.reloaded")) == 2, "it to be taken up")
    insert(database, "readings", readings.rows(20, first=LEARNED))
    daemon.wait(lambda: daemon.query("SELECT count(*) FROM scores") == [(20,)], "it to go on")
    assert (len(detectors(daemon)), len(lines(daemon))) == (1, 2)
    # When a column is left out, a detector is trained, and says why
    rewrite(daemon, monitor(database, rate=0.05, more="    columns: {exclude: [current]}\n"))
    daemon.wait(lambda: len(detectors(daemon)) == 2, "a new detector")
    assert detectors(daemon)[1][2] == "settings: they changed since the last training"


def test_a_signal_has_it_read_at_once_and_a_swapped_link_is_seen(daemon, database, tmp_path):
    """As Kubernetes mounts a ConfigMap: a link into a folder that is swapped as a whole."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    daemon.config.rename(tmp_path / "one" / "aemon.yaml")
    (tmp_path / "..data").symlink_to("one")
    daemon.config.symlink_to("..data/aemon.yaml")
    text = (tmp_path / "one" / "aemon.yaml").read_text()
    two = tmp_path / "two" / "aemon.yaml"
    two.write_text(text.replace("reload_every: 300ms", "reload_every: 1h"))
    (tmp_path / "..new").symlink_to("two")
    (tmp_path / "..new").replace(tmp_path / "..data")
    daemon.wait(lambda: len(said(daemon, "config.reloaded")) == 1, "the swap to be seen")
    assert said(daemon, "config.reloaded")[0]["message"] == "reload_every changed"
    two.write_text(two.read_text().replace("score_every: 200ms", "score_every: 100ms"))
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait(lambda: len(said(daemon, "config.reloaded")) == 2, "the signal to be heard", 5)
    assert said(daemon, "config.reloaded")[1]["message"] == "plant changed"
    assert daemon.stop() < 10


def test_what_takes_a_restart_is_told_and_the_rest_is_taken_up(daemon, database):
    text = daemon.config.read_text()
    daemon.config.write_text(text.replace("127.0.0.1:", "127.0.0.2:").replace("0.01", "0.02"))
    daemon.wait(lambda: len(lines(daemon)) == 2, "the new line")
    (line,) = said(daemon, "config.reloaded")
    assert line["level"] == "warning"
    assert line["message"] == "plant changed; http changed, which needs a restart"
    assert daemon.get("/healthz") is not None
