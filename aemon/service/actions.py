"""The vocabulary of the logs: every `action`, and what it says.

A run's end is told as `job.outcome`, such as `score.ok` or `train.timed_out`.
"""

from collections.abc import Mapping

from aemon.records import Job, Outcome

ACTIONS: Mapping[str, str] = {
    "started": "the daemon watches",
    "stopping": "it was told to end",
    "stopped": "it has ended; `clean` if every run had",
    "clock.set": "the clock was set by some seconds: all jobs tick now",
    "anomaly": "a record was flagged, with its reason",
    "episode.opened": "anomalies in a row have become an episode",
    "episode.closed": "an episode is over: enough calm records followed",
    "notify.sent": "a receiver was told of an episode",
    "notify.failed": "a receiver could not be told; it is tried again",
    "notify.dead": "a receiver will not be told: see `aemon notify list --dead`",
    "notify.crashed": "telling failed in a way that nobody foresaw; the traceback follows",
    "run.crashed": "a run failed in a way that nobody foresaw; the traceback follows",
    "runs.lost": "runs that ended with an earlier daemon are called abandoned in the ledger",
    "train.started": "a worker trains a detector, for the reason told",
    "detector.promoted": "the detector on trial became the active one",
    "detector.rejected": "the detector on trial was no better",
    "detector.unreadable": "a stored detector cannot be read",
    "threshold.moved": "the lines of a detector were drawn anew",
    "drift.found": "normal life has moved",
    "drift.over": "it came back by itself",
    "config.reloaded": "the configuration was read again, and what of it is another",
    "config.refused": "the configuration is wrong: nothing was changed",
    "lease.taken": "monitors are watched here from now on",
    "lease.lost": "another replica took monitors, for this one had not said that it lives",
    "lease.returned": "monitors were given back, for others to watch",
    "lease.failed": "the store was not reached to say that this replica lives",
    "store.back": "the store can be written again",
    "ledger.failed": "an ended run cannot be written into the ledger; it waits",
    "ledger.dropped": "an ended run will never be in the ledger",
    "prune.failed": "old results were not removed; the next round tries again",
}

RUN_ENDS = tuple(f"{job}.{outcome}" for job in Job for outcome in Outcome if outcome != "running")
"""What a run's end is called in the logs."""
