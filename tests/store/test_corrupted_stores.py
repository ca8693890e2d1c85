"""Stores with values that aemon never wrote: each run ends well or with an error of ours."""

import gc
import random
import traceback
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from aemon.config.schema import Config
from aemon.config.service_settings import RetentionSettings
from aemon.doctor import store_checks
from aemon.doctor.finding import Finding
from aemon.errors import AemonError
from aemon.lifecycle.training_run import train_once
from aemon.monitoring.monitor import Monitor
from aemon.notify.composing import Words, message_of
from aemon.operations.installation import Installation
from aemon.operations.status_report import stored_status
from aemon.records import Outcome
from aemon.run import Run, Stop
from aemon.store import outbox, retention
from aemon.store.detectors import detector_rows
from aemon.store.engine import open_engine
from aemon.store.episode_queries import episode_summaries
from aemon.store.feedback import add_feedback, read_feedback
from aemon.store.leases import Knowledge, Replica, hold
from aemon.store.queries import flagged_records
from aemon.store.schema import revisions
from aemon.store.store import Store
from aemon.store.transfer.moving import export
from tests import readings
from tests.processes import insert, make_table
from tests.store.corrupting import Corruptible, InPostgresql, InSqlite
from tests.streams import Said

LEARNED = 60
SHORT, SHORT_IN_POSTGRESQL, LONG = 500, 60, 5_000
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ME = Replica(name="a", address="", version="", started_at=NOW)
RULES = outbox.Rules(
    receiver="chat", since=NOW - timedelta(days=900), oldest=None, least="warning", resolved=True
)


USES = {
    "score": 8, "score the inbox": 4, "status": 2, "detectors": 1, "episodes": 1, "flagged": 1,
    "feedback": 1, "notify": 2, "lease": 2, "prune": 1, "doctor": 1, "export": 1, "train": 1,
}  # fmt: skip
"""What is done with a store, and how often of 26 times where one is drawn."""


def settings(folder) -> dict:
    learning = {
        "score_every": "1s", "min_records": LEARNED, "chunk_records": 40,
        "detector": {"steps": 20, "members": 1}, "threshold": {"false_alarm_rate": 0.02},
    }  # fmt: skip
    plant = f"sqlite:///{folder}/plant.db"
    table = {"kind": "sql", "url": plant, "table": "readings", "time": "ts", "key": "id"}
    return {
        "pumps": {"source": table, **learning},
        "levels": {"source": {"kind": "host"}, **learning},
    }


class Life:
    """A store that has a bit of everything, and what a daemon and people do with it.

    The monitor `pumps` reads a table, `levels` a stream.
    """

    def __init__(self, store: Store, folder, stream: Said) -> None:
        self.store, self._folder, self._stream = store, folder, stream
        self.config = Config.model_validate({"monitors": settings(folder)})
        self.uses = {
            "score": lambda: self.score("pumps"), "score the inbox": lambda: self.score("levels"),
            "status": lambda: stored_status(Installation(self.config, store, lambda: NOW)),
            "detectors": lambda: detector_rows(store, "pumps"),
            "episodes": lambda: [one.like for one in episode_summaries(store, ["pumps"])],
            "flagged": lambda: flagged_records(store, monitor="pumps", limit=9),
            "feedback": lambda: read_feedback(store, "pumps"),
            "notify": self.notify, "lease": self.lease, "prune": self.prune, "doctor": self.doctor,
            "export": lambda: export(store, folder / "results.zip", force=True),
            "train": lambda: train_once("pumps", self.config.monitors["pumps"], store, lambda: NOW),
        }  # fmt: skip

    def begin(self) -> None:
        plant = self._folder / "plant.db"
        make_table(plant, "readings", ["ts TEXT", *readings.COLUMNS])
        insert(plant, "readings", readings.rows(LEARNED))
        self.say(readings.rows(LEARNED))
        self.store.add_monitors(self.config.monitors)
        self.score("levels")
        for name, monitor in self.config.monitors.items():
            train_once(name, monitor, self.store, lambda: NOW)
        late = [
            (n, ts, *((9.0, 2.2, 0.8) if n % 9 < 3 else rest))
            for n, ts, *rest in readings.rows(30, first=LEARNED)
        ]
        insert(plant, "readings", late)
        self.say(late)
        assert [self.score(name) for name in self.config.monitors] == [Outcome.OK, Outcome.OK]
        self.lease()
        self.notify()
        add_feedback(self.store, "pumps", "false_alarm", record_key=str(LEARNED + 3))
        add_feedback(self.store, "pumps", "ignore_until", until=NOW)
        train_once("pumps", self.config.monitors["pumps"], self.store, lambda: NOW, trial=True)
        insert(plant, "readings", readings.rows(5, first=LEARNED + 30))

    def say(self, rows) -> None:
        for key, time, flow, pressure, current in rows:
            self._stream.say(key, "", time, flow=flow, pressure=pressure, current=current)

    def score(self, name: str) -> Outcome:
        self.say(readings.rows(1, first=LEARNED + 30))  # read by the inbox alone
        monitor = Monitor(name, self.config.monitors[name], self.store, lambda: NOW)
        try:
            return monitor.score_once(Run(), Stop())[0]
        finally:
            monitor.close()

    def notify(self) -> None:
        outbox.plan(self.store, RULES, ["pumps"])
        for one in outbox.waiting(self.store, "chat", ["pumps"]):
            message_of(self.store, one, Words(), "http://aemon.example")
        outbox.counted(self.store, "chat", ["pumps"])

    def lease(self) -> None:
        names = [*self.config.monitors]
        hold(self.store, ME, names, timedelta(seconds=30), Knowledge(known={}))

    def prune(self) -> None:
        keep = RetentionSettings.model_validate({"scores": "1d", "runs": "1d"})
        retention.due_monitors(self.store, keep, NOW)
        for _ in retention.removals(self.store, "pumps", keep, NOW, rest=lambda _seconds: None):
            pass

    def doctor(self) -> None:
        for check in (store_checks.watched, store_checks.clocks):
            found = check(self.store, self.config)
            assert isinstance(found, Finding) or [*found]

    def unforeseen(self, names) -> list[str]:
        """Do some of it; what is no error of ours."""
        wrong = []
        for name in names:
            try:
                self.uses[name]()
            except AemonError:
                continue
            except Exception as error:  # noqa: BLE001 -- that there is none is what is tested
                wrong.append(f"{name}: {error!r} {traceback.extract_tb(error.__traceback__)[-1]}")
        return wrong


@contextmanager
def life(url, folder):
    """A life in a store of its own, and what corrupts the store."""
    stream = Said()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aemon.sources.host.source.open_host", lambda *_: stream)
        store = Store(open_engine(url), lambda: NOW)
        revisions.prepare(store.engine)
        one = Life(store, folder, stream)
        one.begin()
        where = (
            InPostgresql(url)
            if url.startswith("postgresql")
            else InSqlite(store.engine.url.database)
        )
        # What is there now is looked through by no collection of garbage any more.
        gc.collect()
        gc.freeze()
        with closing(store), closing(where):
            yield one, Corruptible(where)
        gc.unfreeze()


def check(url, folder, seeds, *, all_uses: bool = False) -> None:
    found = []
    with life(url, folder) as (one, store):
        for seed in seeds:
            rng = random.Random(seed)
            done = store.corrupt(rng)
            uses = [*one.uses] if all_uses else rng.choices([*USES], [*USES.values()])
            wrong = one.unforeseen(uses)
            if wrong:
                found.append(f"seed {seed}: {str(done)[:90]}: {wrong}")
    assert not found, "\n".join(found)


def test_a_corrupted_store_ends_no_run_in_an_unforeseen_way(tmp_path):
    check(f"sqlite:///{tmp_path}/aemon.db", tmp_path, range(SHORT))


@pytest.mark.postgresql
def test_a_corrupted_postgresql_store_ends_no_run_in_an_unforeseen_way(postgres_url, tmp_path):
    check(postgres_url, tmp_path, range(SHORT_IN_POSTGRESQL))


@pytest.mark.soak
def test_many_corrupted_stores_end_no_run_in_an_unforeseen_way(store_url, tmp_path):
    check(store_url, tmp_path, range(SHORT, SHORT + LONG), all_uses=True)
