"""Windows over a source: a record is judged beside those before it, whatever came between."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from aemon.config.column_settings import ColumnSettings
from aemon.config.detector_settings import DetectorSettings
from aemon.config.lifecycle_settings import LifecycleSettings
from aemon.detection.past import Past
from aemon.frame import Frame
from aemon.lifecycle.loaded_detector import load
from aemon.lifecycle.training_run import train_once
from aemon.monitoring.monitor import Monitor
from aemon.records import Outcome
from aemon.run import Run, Stop
from aemon.store.detectors import active_detector
from aemon.store.schema.tables import live_states, scores
from tests import readings
from tests.processes import insert, make_table
from tests.readings import LEARNED

CAME = (1, 3, 40, 2, 57, 1, 16)


@pytest.fixture
def settings(settings):
    detector = DetectorSettings(steps=60, members=2, window=4)
    return settings.model_copy(
        update={"detector": detector, "life": LifecycleSettings(trial=False, recalibrate=False)}
    )


def come(
    database, settings, store, clock, *, junk: object = "", part: str = "tails"
) -> list[float]:
    """Scores of records that came in pieces, each judged by a monitor that was just started."""
    first = LEARNED
    for place, count in enumerate(CAME):
        insert(database, "readings", readings.rows(count, first=first))
        first += count
        monitor = Monitor("pumps", settings, store, clock)
        run = Run()
        assert monitor.score_once(run, Stop())[0] is Outcome.OK
        assert run.counts.records_scored == count
        monitor.close()
        if junk and not place:
            with store.writing() as connection:
                state = connection.execute(sa.select(live_states.c.state)).scalar_one()
                connection.execute(sa.update(live_states).values(state={**state, part: junk}))
    with store.reading() as connection:
        query = sa.select(scores.c.score).order_by(scores.c.event_time)
        return list(connection.execute(query).scalars())


def at_once(store, count: int) -> np.ndarray:
    """The scores of the same records, looked at in one piece."""
    stored = active_detector(store, "pumps")
    values = readings.table(count, first=LEARNED)
    frame = Frame(
        times=pd.to_datetime(values["ts"]).dt.tz_localize(None).to_numpy("datetime64[us]"), keys=values["id"].astype(str).to_numpy(object),
        entities=np.full(count, "", dtype=object), values=values[["flow", "pressure", "current"]],
    )  # fmt: skip
    detector = load(store, stored).detector
    if detector.derivation is not None:
        return detector.look(frame, Past(latest=detector.derivation.latest)).judgement.scores
    assert detector.series is not None
    return detector.look(frame, Past(tails=detector.series.training_tails)).judgement.scores


def test_restarts_between_records_change_no_score(settings, store, clock, database):
    train_once("pumps", settings, store, clock)
    found = come(database, settings, store, clock)
    np.testing.assert_allclose(found, at_once(store, sum(CAME)), rtol=1e-4)


@pytest.fixture
def deriving(settings):
    """Each record alone, with columns derived from the records before it."""
    ways = {"change": {"difference": "flow"}, "noise": {"spread": "pressure", "records": 6}}
    return settings.model_copy(
        update={
            "detector": settings.detector.model_copy(update={"window": 1, "series": False}),
            "columns": ColumnSettings(derived=ways),
        }
    )


def test_restarts_change_no_derived_column(deriving, store, clock, database):
    train_once("pumps", deriving, store, clock)
    assert load(store, active_detector(store, "pumps")).detector.context_rows == 5
    found = come(database, deriving, store, clock)
    np.testing.assert_allclose(found, at_once(store, sum(CAME)), rtol=1e-6)
    with store.reading() as connection:
        sources, latest = connection.execute(sa.select(live_states.c.state)).scalar_one()["latest"]
    assert sources == ["flow", "pressure"]
    assert len(latest[""][1]) == 5


def test_junk_in_place_of_the_latest_numbers(deriving, store, clock, database):
    junk = [["flow", "pressure"], {"": ["x", 1]}]
    train_once("pumps", deriving, store, clock)
    assert np.isfinite(come(database, deriving, store, clock, junk=junk, part="latest")).all()


def test_derived_columns_are_the_same_when_judged_again(deriving, store, clock, database):
    train_once("pumps", deriving, store, clock)
    come(database, deriving, store, clock)
    run = Run()
    Monitor("pumps", deriving, store, clock).score_again(run, Stop())
    assert (run.counts.records_revised, run.counts.records_reviewed) == (0, sum(CAME))


def test_junk_in_the_store_is_no_past_and_stops_nothing(settings, store, clock, database):
    train_once("pumps", settings, store, clock)
    found = come(database, settings, store, clock, junk="?")
    assert np.isfinite(found).all()


def test_judged_again_all_verdicts_are_the_same(settings, store, clock, database):
    train_once("pumps", settings, store, clock)
    insert(database, "readings", readings.rows(400, first=LEARNED))
    monitor = Monitor("pumps", settings, store, clock)
    run = Run()
    assert monitor.score_once(run, Stop())[0] is Outcome.OK
    assert run.counts.records_scored == 400
    again = Run()
    monitor.score_again(again, Stop())
    monitor.close()
    assert again.counts.records_revised == 0
    assert again.counts.records_revised + again.counts.records_reviewed == 400


@pytest.mark.parametrize("gap", [5, 100, 180])
def test_a_late_record_is_judged_beside_those_before_it(settings, store, clock, database, gap):
    # Given records under keys that do not grow, of which one did not come, and later ones did
    make_table(database, "named", ["name TEXT", "ts TEXT", *readings.COLUMNS])
    source = settings.source.model_copy(update={"table": "named", "key": "name"})
    columns, lateness = ColumnSettings(exclude=("id",)), timedelta(hours=1)
    settings = settings.model_copy(
        update={"source": source, "columns": columns, "lateness": lateness}
    )

    def add(rows):
        insert(database, "named", [(None, f"r{number}", *row) for number, *row in rows])

    add(readings.rows(LEARNED))
    train_once("pumps", settings, store, clock)
    rows = list(readings.rows(200, first=LEARNED))
    missing = rows.pop(gap)
    add(rows)
    monitor = Monitor("pumps", settings, store, clock)
    assert monitor.score_once(Run(), Stop())[0] is Outcome.OK
    # When it comes
    add([missing])
    run = Run()
    monitor._review._next_at = 0.0
    monitor.score_once(run, Stop())
    monitor.close()
    assert run.counts.records_scored == 1
    # Then it has the score of one that came in time
    with store.reading() as connection:
        query = sa.select(scores.c.score, scores.c.late)
        found = connection.execute(query.where(scores.c.record_key == f"r{missing[0]}")).one()
    assert found.late
    expected = at_once(store, 200)[gap]
    np.testing.assert_allclose(found.score, expected, rtol=1e-4)
