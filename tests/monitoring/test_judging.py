"""A run needs little of a detector: to look at a frame. Whatever can, judges."""

from types import SimpleNamespace

import numpy as np
import pytest
import sqlalchemy as sa

from aemon.detection.judgement import Contribution, Explanation, Judgement
from aemon.lifecycle.training_run import train_once
from aemon.monitoring.judging import Judge
from aemon.monitoring.suppression import Suppression
from aemon.reading.monitor_source import open_records
from aemon.reading.reader import Reader
from aemon.run import AbandonedError, Run, Stop
from aemon.store.detectors import active_detector
from aemon.store.schema.tables import anomalies, episodes, runs, scores
from tests import readings
from tests.processes import insert
from tests.readings import LEARNED

ODD = str(LEARNED + 3)


class OneIsOdd:
    """Flags the record of one key; looks at each frame once."""

    def __init__(self) -> None:
        self.looks = []

    def look(self, frame, before=None):
        self.looks.append(frame)
        judged = frame.without_context()
        odd = judged.keys == ODD
        n = len(judged)
        judgement = Judgement(
            scores=np.where(odd, 9.0, 1.0), p_values=np.where(odd, 1e-9, 0.5),
            exceedances=np.where(odd, 3.0, 0.3), anomalous=odd, absent=np.zeros(n, dtype=bool),
            critical=np.zeros(n, dtype=bool), imputed_shares=np.zeros(n), cells_imputed=0,
        )  # fmt: skip
        part = Contribution(
            column="flow", observed=1.0, reconstructed=2.0, error=1.0, share=1.0, rank=1
        )
        why = Explanation(
            observed={"flow": 1.0}, reconstructed={"flow": 2.0}, contributions=(part,), reason="odd"
        )
        return SimpleNamespace(
            frame=judged, judgement=judgement, explain=lambda rows, _units=None: [why] * len(rows)
        )

    def judge(self, frame):
        return self.look(frame).judgement


@pytest.fixture
def judge(settings, store, clock):
    train_once("pumps", settings, store, clock)
    return Judge(
        monitor="pumps",
        settings=settings,
        store=store,
        clock=clock,
        stored=active_detector(store, "pumps"),
        detector=OneIsOdd(),
        run=Run(started_at=clock()),
        stop=Stop(),
        suppression=Suppression(monitor="pumps", settings=settings.quiet, snoozes=(), store=store),
    )


@pytest.fixture
def reader(settings, store, clock, database):
    insert(database, "readings", readings.rows(10, first=LEARNED))
    return Reader(open_records("pumps", settings, store, clock), context_rows=5)


def count(store, table) -> int:
    with store.reading() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def test_whatever_looks_at_frames_judges(judge, reader, store):
    mark = store.mark("pumps")
    read = reader.after(mark.watermark, 100)
    judge.read(read, mark, read.watermark)
    with store.reading() as connection:
        (flagged,) = connection.execute(sa.select(anomalies)).mappings()
    assert (flagged["record_key"], flagged["reason"]) == (ODD, "odd")
    assert (judge.run.counts.records_scored, judge.run.counts.anomalies) == (10, 1)
    assert count(store, episodes) == count(store, runs) == 1


def test_context_rows_are_looked_at_and_get_no_verdict(judge, reader, store):
    mark = store.mark("pumps")
    read = reader.after(mark.watermark, 100)
    assert len(read.frame) == 15
    judge.read(read, mark, read.watermark)
    (frame,) = judge.detector.looks
    assert len(frame) == 15
    assert count(store, scores) == 10
    assert judge.run.counts.rejected == {}


def test_a_run_that_was_asked_to_end_leaves_no_trace(judge, reader, store):
    mark = store.mark("pumps")
    read = reader.after(mark.watermark, 100)
    judge.stop.ask("it takes too long")
    with pytest.raises(AbandonedError):
        judge.read(read, mark, read.watermark)
    assert store.mark("pumps") == mark
    assert [count(store, table) for table in (scores, anomalies, episodes, runs)] == [0, 0, 0, 0]
    assert (judge.run.id, judge.run.counts.records_scored) == (None, 0)
