"""Trains a detector at a person's request, at once and in this process."""

from aemon.errors import AemonError
from aemon.lifecycle.training_run import Trained, train_once
from aemon.operations.installation import Installation
from aemon.records import Job, Outcome
from aemon.run import Run
from aemon.store.ledger import save_run


def train_detector(installation: Installation, monitor: str) -> Trained:
    """Train a detector for a monitor; write the run to the ledger, even if the training fails.

    A missing results database is made.

    Raises:
        ConfigError: there is no such monitor.
        TrainingError: there are too few records, or a detector cannot be trained on them.
        AemonError: the source or the store cannot be read.
    """
    name = installation.monitor(monitor)
    store, clock = installation.prepare(), installation.clock
    store.add_monitors(installation.config.monitors)
    run, began = Run(), clock()

    def note(outcome: Outcome, reason: str) -> None:
        save_run(store, run.report(name, Job.TRAIN, outcome, reason, (began, clock())))

    try:
        trained = train_once(name, installation.config.monitors[name], store, clock)
    except AemonError as error:
        note(Outcome.FAILED, str(error))
        raise
    run.count(records_read=trained.records)
    run.detector_id, run.threshold_id = trained.id, trained.threshold_id
    note(Outcome.OK, trained.sentence)
    return trained
