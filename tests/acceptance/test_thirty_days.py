"""Thirty simulated days of one plant: the promise is kept, every fault is told, and told once.

The clock is simulated; store, source, runner, scoring and training are real.
"""

from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
import sqlalchemy as sa

from aemon.config.schema import MonitorSettings
from aemon.daemon.runner import Runner
from aemon.lifecycle.training_run import train_once
from aemon.metrics.metrics import Metrics
from aemon.monitoring.monitor import Monitor
from aemon.records import FeedbackVerdict, Job, Outcome
from aemon.run import Run, Stop
from aemon.store.drifts import DriftKind
from aemon.store.engine import open_engine
from aemon.store.feedback import add_feedback
from aemon.store.schema import revisions
from aemon.store.schema.tables import detectors, drifts, episodes, feedback, runs, scores
from aemon.store.store import Store
from aemon.testing.manual_clock import ManualClock
from tests import life
from tests.processes import insert, make_table

PROMISED = 0.002
HOUR = 60  # records
OUTAGE = range(22 * 24, 23 * 24)  # hours in which the source has another name


class Plant:
    """A monitor that is ticked every hour, trained when it asks for it, and told what was true."""

    def __init__(self, folder, seed, kind):
        self.plan, self.seed, self.clock = life.Plan(), seed, ManualClock(life.START)
        self.database = folder / "plant.db"
        make_table(self.database, "readings", ["ts TEXT", *(f"{n} REAL" for n in life.COLUMNS)])
        self.store = Store(open_engine(f"sqlite:///{folder}/aemon.db"), self.clock)
        revisions.prepare(self.store.engine)
        self.store.add_monitors(["plant"])
        self.settings = MonitorSettings.model_validate(
            {
                "source": {
                    "kind": "sql", "url": f"sqlite:///{self.database}", "table": "readings",
                    "time": "ts", "key": "id",
                },
                "score_every": "1h", "train_every": "1d",
                "min_records": life.DAY, "max_training_records": 7 * life.DAY,
                "detector": {"kind": kind, "steps": 150},
                "threshold": {"false_alarm_rate": PROMISED},
                "life": {"learn_shift_after": "8h", "trial_records": 400},
            }
        )  # fmt: skip
        self.monitor = Monitor("plant", self.settings, self.store, self.clock)
        self.runner = Runner(self.store, Metrics(_registry()), self.clock)

    def live(self):
        for hour in range(self.plan.days * 24):
            rows = list(life.records(self.plan, hour * HOUR, (hour + 1) * HOUR, self.seed))
            table = "elsewhere" if hour in OUTAGE else "readings"
            if hour in (OUTAGE.start, OUTAGE.stop):
                self._rename("elsewhere" if table == "readings" else "readings", table)
            if rows:
                insert(self.database, table, rows)
            self.clock.now = life.moment((hour + 1) * HOUR)
            self._tick()
            if hour % 24 == 23:
                self._speak()

    def _tick(self):
        report = self.runner.run("plant", Job.SCORE, self.monitor.score_once, timedelta(minutes=5))
        enough = (
            report.counts.records_wanted
            and report.counts.records_read >= report.counts.records_wanted
        )
        why = "first" if enough else self.monitor.wants_training(self.clock())
        if why:
            self.runner.run("plant", Job.TRAIN, self._training(why), timedelta(minutes=5))

    def _training(self, why):
        def train(tally: Run, _stop: Stop):
            made = train_once("plant", self.settings, self.store, self.clock, why=why, trial=True)
            tally.detector_id = made.id
            return Outcome.OK, made.sentence

        return train

    def _rename(self, old, new):
        with open_engine(f"sqlite:///{self.database}").begin() as connection:
            connection.execute(sa.text(f"ALTER TABLE {old} RENAME TO {new}"))

    def _speak(self):
        """What an operator says in the evening of the day's flagged records, three of each sort."""
        day = self.clock() - timedelta(days=1)
        with self.store.reading() as connection:
            query = sa.select(scores.c.record_key).where(
                scores.c.verdict == "anomaly", scores.c.event_time >= day
            )
            keys = [int(key) for key in connection.execute(query).scalars()]
        real = [key for key in keys if self.plan.fault_at(key)]
        wrong = [key for key in keys if not self.plan.fault_at(key) and key < self.plan.shift]
        verdicts = ((real, FeedbackVerdict.CONFIRMED), (wrong, FeedbackVerdict.FALSE_ALARM))
        for some, verdict in verdicts:
            for key in some[:3]:
                add_feedback(self.store, "plant", verdict, record_key=str(key))

    def rows(self, table):
        with self.store.reading() as connection:
            return connection.execute(sa.select(table).order_by(*table.primary_key)).all()


def _registry():
    from prometheus_client import CollectorRegistry

    return CollectorRegistry()


def assert_looked_after(plant):
    plan, found = plant.plan, plant.rows(scores)
    numbers = np.array([int(row.record_key) for row in found])
    flagged = np.array([row.verdict == "anomaly" for row in found])
    there = np.array([row.verdict != "absent" for row in found])
    in_fault = np.array([bool(plan.fault_at(number)) for number in numbers])
    told = [episode for episode in plant.rows(episodes) if episode.opened_at is not None]
    (shift,) = [drift for drift in plant.rows(drifts) if drift.kind == DriftKind.SHIFT]

    # Every record after those learned from was judged, once, whoever judged it
    came = [row[0] for row in life.records(plan, 0, plan.days * life.DAY, plant.seed)]
    assert sorted(numbers) == came[life.DAY :]
    ledger = [run for run in plant.rows(runs) if run.job == Job.SCORE]
    assert len(ledger) == plan.days * 24
    assert sum(run.outcome == Outcome.FAILED for run in ledger) == len(OUTAGE)

    # The promise is kept: the new level is told once, and is no false alarm until it is
    found_out = int((shift.detected_at - life.START) / timedelta(minutes=1))
    as_shift = (numbers >= plan.shift) & (numbers < found_out)
    normal = there & ~in_fault & ~as_shift
    ratio = flagged[normal].mean() / PROMISED
    thirds = [
        round(float(flagged[normal & (numbers // (10 * life.DAY) == part)].mean()) / PROMISED, 2)
        for part in range(3)
    ]
    pages = sum(
        not any(fault.overlaps(e.started_at, e.ended_at) for fault in plan.faults)
        and not e.started_at <= shift.started_at <= e.ended_at
        for e in told
    )
    print(
        f"\nrealised over promised {ratio:.2f} (by ten days {thirds}), "
        f"recall of fault records {flagged[in_fault].mean():.3f}, false pages {pages}, "
        f"detectors {len(plant.rows(detectors))}, feedback {len(plant.rows(feedback))}"
    )
    assert ratio < 2
    assert flagged[in_fault].mean() > 0.9

    # Every fault is in an episode, and in one alone; so is the new level
    for fault in plan.faults:
        own = [e for e in told if fault.overlaps(e.started_at, e.ended_at)]
        assert len(own) == 1, (fault, own)
    level = life.Planted("shift", plan.shift, found_out)
    assert len([e for e in told if level.overlaps(e.started_at, e.ended_at)]) == 1
    assert shift.state == "learned"
    assert abs(shift.started_at - life.moment(plan.shift)) < timedelta(minutes=10)

    # Detectors followed each other, each promoted by its trial, and none was missing in between
    made = plant.rows(detectors)
    active = [one for one in made if one.state in {"active", "retired"}]
    assert len(active) >= 10
    assert all(one.state_reason for one in made)
    assert all(row.provisional is not None for row in found)
    judges = {row.detector_id for row in found}
    assert judges <= {one.id for one in active}
    by_time = sorted(found, key=lambda row: row.event_time)
    handovers = sum(a.detector_id != b.detector_id for a, b in pairwise(by_time))
    assert handovers == len(judges) - 1


@pytest.mark.acceptance
@pytest.mark.timeout(900)  # seven hundred hours, on a busy machine
def test_a_month_goes_by_and_nobody_has_to_look_after_it(tmp_path):
    plant = Plant(tmp_path, seed=0, kind="linear")
    plant.live()
    assert_looked_after(plant)


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["auto", "undercomplete"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_other_months_go_by_as_well(tmp_path, seed, kind):
    plant = Plant(tmp_path, seed, kind)
    plant.live()
    assert_looked_after(plant)
