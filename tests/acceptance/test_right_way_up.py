"""Two lessons of public detectors: one shipped upside down, another never learned.

Both passed hundreds of tests. Here every kind of detector goes through the service at default
settings, from a table to verdicts in the store.
"""

import sqlite3

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from aemon.clock import utc_now
from aemon.config.detector_settings import DetectorSettings
from aemon.config.schema import MonitorSettings
from aemon.daemon.once import score_monitors
from aemon.detection.autoencoders.kinds.detector_kinds import KINDS
from aemon.detection.autoencoders.training_set import TrainingSet, contiguous_folds
from aemon.detection.features.outputs import Outputs
from aemon.detection.scoring.residuals import residuals_of
from aemon.lifecycle.training_run import train_once
from aemon.records import Outcome
from aemon.store.engine import open_engine
from aemon.store.schema import revisions
from aemon.store.schema.tables import scores
from aemon.store.store import Store

LEARNED, NORMAL = 1_000, 300


def pump(count, seed):
    """A load that flow, pressure and current follow."""
    rng = np.random.default_rng(seed)
    load = rng.normal(size=count)
    return pd.DataFrame(
        {
            "flow": 40 + 4 * load + 0.4 * rng.normal(size=count),
            "pressure": 6 + 0.3 * load + 0.05 * rng.normal(size=count),
            "current": 12 + load + 0.1 * rng.normal(size=count),
        }
    )


def write(path, table, first):
    table = table.assign(
        id=np.arange(first, first + len(table)),
        ts=pd.date_range("2026-01-01", periods=first + len(table), freq="min")[first:].astype(str),
    )
    with sqlite3.connect(path) as connection:
        table.to_sql("readings", connection, if_exists="append", index=False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_up_and_a_drop_score_above_every_normal_record(kind, tmp_path):
    # Given a monitor of that kind, trained on normal records
    source = tmp_path / "plant.db"
    write(source, pump(LEARNED, seed=0), 0)
    settings = MonitorSettings.model_validate(
        {
            "source": {
                "kind": "sql",
                "url": f"sqlite:///{source}",
                "table": "readings",
                "time": "ts",
                "key": "id",
            },
            "detector": {"kind": kind},
            "score_every": "1m",
            "min_records": LEARNED,
        }
    )
    engine = open_engine(f"sqlite:///{tmp_path}/aemon.db")
    revisions.prepare(engine)
    store = Store(engine, utc_now)
    store.add_monitors(["plant"])
    train_once("plant", settings, store, utc_now)
    # When normal records come, and two in which one column is off by +80 % and by -80 %
    come = pump(NORMAL + 2, seed=1)
    come.loc[NORMAL, "flow"] *= 1.8
    come.loc[NORMAL + 1, "flow"] *= 0.2
    write(source, come, LEARNED)
    (report,) = score_monitors({"plant": settings}, store)
    assert report.outcome is Outcome.OK, report.reason
    query = sa.select(scores.c.record_key, scores.c.score)
    with store.reading() as connection:
        found = {int(key): score for key, score in connection.execute(query)}
    store.close()
    # Then both score above every normal record, those that were learned from too
    off = {LEARNED + NORMAL, LEARNED + NORMAL + 1}
    usual = max(score for key, score in found.items() if key not in off)
    assert all(found[key] > usual for key in off), (kind, usual, [found[key] for key in off])


@pytest.mark.parametrize("kind", KINDS)
def test_training_lowers_the_loss_and_moves_the_weights(kind):
    # Given records as features
    table = pump(600, seed=0)
    features = ((table - table.mean()) / table.std()).to_numpy(np.float32)
    features = np.column_stack([features, features @ [[0.5], [0.2], [0.3]]]).astype(np.float32)
    lesson = TrainingSet(
        features=features,
        mask=np.ones(features.shape, dtype=bool),
        weights=np.ones(4, dtype=np.float32),
        outputs=Outputs.linear(4),
        width=4,
        folds=contiguous_folds(len(features), 3),
        members=3,
    )
    # When a detector of that kind learns from hardly anything, and at length
    short = {} if KINDS[kind].at_once else {"steps": 1}
    one, other = (
        KINDS[kind].learn(lesson, DetectorSettings(kind=kind, members=3, **steps), 0, None)
        for steps in (short, {})
    )
    errors = [
        float((residuals_of(net, features, lesson.mask)[0] ** 2).mean()) for net in (one, other)
    ]
    # Then it reconstructs better than it did, and better than by the mean
    assert errors[1] < 0.5 * float((features**2).mean())
    if not KINDS[kind].at_once:
        assert errors[1] < 0.8 * errors[0]
        assert all(
            not np.array_equal(first, last)
            for first, last in zip(one.weights, other.weights, strict=True)
        )
