"""Hindsight verdicts on unusual records of the history that the first training left out."""

import logging
from dataclasses import replace

import sqlalchemy as sa

from aemon.clock import Clock
from aemon.lifecycle.training_records import bursts_standing_out
from aemon.logs import log
from aemon.monitoring.judging import Judge
from aemon.records import Job, Outcome
from aemon.run import Run
from aemon.sources.source import Replayable
from aemon.store.detectors import manifest_of
from aemon.store.ledger import save_run
from aemon.store.schema.tables import runs
from aemon.store.store import Mark

logger = logging.getLogger(__name__)


def look_back(judge: Judge, source: Replayable, mark: Mark, clock: Clock) -> Mark:
    """Judge the unusual records of the history with the first detector, once for each monitor.

    The training left these records out, so the detector did not learn from them. The ledger has a
    separate run for these records. The records do not count for the realised rate or as new
    anomalies.

    Args:
        judge: judge with the active detector.
        source: source of the records.
        mark: the monitor's watermark.
        clock: clock for the times in the ledger.

    Returns:
        The monitor's new mark.

    Raises:
        AemonError: the source, the records or the store fail.
    """
    if judge.stored.version != 1 or mark.watermark is None or _has_looked_back(judge):
        return mark
    manifest = manifest_of(judge.store, judge.stored.id) or {}
    bursts = bursts_standing_out(source, manifest, judge.settings.episodes.gap)
    if not bursts:
        return mark
    began = clock()
    run = Run(started_at=began)
    back = replace(judge, run=run, job=Job.HINDSIGHT, shadow=None, memory=None)
    for burst in bursts:
        mark = back.look_back(burst, mark)
    reason = (
        f"{sum(map(len, bursts))} unusual records of the history were left out of training; "
        f"{run.counts.anomalies} are anomalies"
    )
    report = run.report(judge.monitor, Job.HINDSIGHT, Outcome.OK, reason, (began, clock()))
    save_run(judge.store, report, run.id)
    log(logger, logging.INFO, f"{report.job}.{report.outcome}", reason, monitor=judge.monitor)
    return mark


def _has_looked_back(judge: Judge) -> bool:
    query = sa.select(runs.c.id).where(
        runs.c.monitor == judge.monitor, runs.c.job == Job.HINDSIGHT, runs.c.outcome == Outcome.OK
    )
    with judge.store.reading() as connection:
        return connection.execute(query.limit(1)).first() is not None
