"""Searches for better detector settings on a monitor's newest records, without labels."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from aemon.detection.search.tuning import Trial, tune
from aemon.operations.installation import Installation
from aemon.operations.newest_records import newest_records


@dataclass(frozen=True, kw_only=True, slots=True)
class TunedDetector:
    """The trials of detector settings, and the changes that aemon advises.

    Attributes:
        records: number of records on which the settings were tried.
        finished: whether all planned trials ended; False if the time ended first.
        changes: key of `detector` -> advised value; empty if the present settings are within one
            standard error of the best settings.
        trials: all trials, the present settings first.
        best: the trial with the largest criterion.
        advised: the trial whose settings are advised.
        snippet: the monitor's whole `detector` part with the advised settings, in YAML.
    """

    monitor: str
    records: int
    finished: bool
    changes: Mapping[str, Any]
    trials: tuple[Trial, ...]
    best: Trial
    advised: Trial
    snippet: str


def tune_detector(
    installation: Installation,
    monitor: str,
    *,
    records: int = 3000,
    seed: int = 0,
    seconds: float = 120.0,
    report: Callable[[Trial], None] | None = None,
) -> TunedDetector:
    """Try detector settings on a monitor's newest records, and return the advised changes.

    Args:
        installation: the installation, which is not changed.
        monitor: the monitor whose records are used.
        records: largest number of records to use.
        seed: seed of the search; the same seed gives the same search.
        seconds: time after which no new trial begins.
        report: called with each trial after the trial has ended; None for no calls.

    Raises:
        ConfigError: there is no such monitor.
        TrainingError: there are too few records.
        AemonError: the source or the store cannot be read.
    """
    name = installation.monitor(monitor)
    present = installation.config.monitors[name]
    frame = newest_records(installation, name, records)
    found = tune(frame, present.learning, seed=seed, seconds=seconds, on_trial=report)
    advised = found.advice
    detector = present.detector.model_copy(update=advised.changes)
    part = {"detector": detector.model_dump(mode="json", exclude_defaults=True)}
    return TunedDetector(
        monitor=name,
        records=len(frame),
        finished=found.finished,
        changes=advised.changes,
        trials=found.trials,
        best=found.best,
        advised=advised,
        snippet=yaml.safe_dump(
            {"monitors": {name: part}}, sort_keys=False, default_flow_style=None
        ),
    )
