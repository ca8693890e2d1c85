"""The checks of monitors: their sources, detectors, runs and records."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from datetime import timedelta
from pathlib import PurePath

import pandas as pd

from aemon.clock import Clock, format_duration
from aemon.config.schema import Config, MonitorSettings
from aemon.doctor.finding import Finding, error, ok, warning
from aemon.errors import AemonError, ArtifactError
from aemon.lifecycle.loaded_detector import load
from aemon.reading.reader import LOOK_BACK, Reader
from aemon.reading.unreadable import rejections
from aemon.records import Outcome, Watermark
from aemon.sources.csv.files import PERMIT, Files, files_beside, files_of, listed, was_rotated
from aemon.sources.csv.packing import ends_open
from aemon.sources.csv.settings import CsvSource
from aemon.sources.file_systems.opening import close_path, open_path
from aemon.sources.readings.position import read_place
from aemon.sources.source_kinds import is_stream, open_replayable, open_stream
from aemon.sources.sql.missing_keys import LOOKED_FOR
from aemon.sources.sql.position import keys_given_up
from aemon.sources.sql.settings import SqlSource
from aemon.store.detectors import active_detector
from aemon.store.drifts import unusual_traffic
from aemon.store.ledger import bad_ends, lost_runs, unjudged
from aemon.store.queries import MonitorOverview, overview
from aemon.store.store import Store

LATELY = timedelta(days=1)
UNTOUCHED = timedelta(hours=1)
"""If a file has not changed for this time, its last line is not being written any more."""

REJECTED_SHARE = 0.01
"""The largest share of rejected records that is not reported, as in AemonRecordsRejected."""

LISTENED_SECONDS = 1.0  # time to listen to each stream; a refusal arrives within this time

_MINUTE = timedelta(minutes=1)
_BAD = (Outcome.FAILED, Outcome.TIMED_OUT, Outcome.MISFIRED)


def sources(config: Config, clock: Clock) -> Iterator[Finding]:
    """Check that each source can be read, and delivers records."""
    for name, settings in config.monitors.items():
        try:
            yield _source(name, settings, clock)
        except AemonError as broken:
            todo = broken.todo or f"aemon check {name} shows what aemon would read"
            yield error("source", f"{name}: {broken.message}", todo)


def _source(name: str, settings: MonitorSettings, clock: Clock) -> Finding:
    if is_stream(settings.source):
        with closing(open_stream(settings.source, clock=clock)) as stream:
            deadline = time.monotonic() + LISTENED_SECONDS
            while time.monotonic() < deadline:
                stream.take(1)  # raises the error that keeps records from arriving
                time.sleep(0.05)
            return ok("source", f"{name}: {stream.describe()}, a live source")
    source = open_replayable(settings.source, clock=clock)
    try:
        read = Reader(source).newest(None, 1)
        hides = settings.lateness is None and source.hides(read.watermark)
    finally:
        source.close()
    frame = read.frame
    if not len(frame) and read.fetched:
        reasons = "; ".join(rejections(frame.rejected, read.examples))
        todo = f"aemon check {name} shows whether any record can be judged"
        return warning("source", f"{name}: the newest record cannot be judged: {reasons}", todo)
    if not len(frame):
        todo = "no detector can be trained before records arrive"
        return warning("source", f"{name}: there are no records", todo)
    newest = pd.Timestamp(frame.times[-1]).tz_localize("UTC").to_pydatetime()
    age, stale = clock() - newest, settings.stale_age(clock())
    if stale is not None and age > stale:
        return warning(
            "source",
            f"{name}: the newest record is {_age(age)} old, and stale_after is "
            f"{format_duration(stale)}",
            "check whether records still arrive, and whether the time zone is right; if records "
            "are rare, raise stale_after",
        )
    what = f"{name}: the newest record is of {newest:%Y-%m-%d %H:%M:%S} UTC"
    if hides:
        what += (
            "; keys do not show which records are new: a new record is not found if it is more "
            f"than {format_duration(LOOK_BACK)} older than the newest record; set lateness to "
            "look further back"
        )
    return ok("source", what)


def unread_files(config: Config) -> Iterator[Finding]:
    """Find files in the watched folders that no monitor reads."""
    with ExitStack() as stack:
        found: dict[str, Files] = {}
        for name, settings in config.monitors.items():
            if isinstance(settings.source, CsvSource):
                with suppress(AemonError, OSError):  # the check of sources reports this
                    path = open_path(settings.source)
                    stack.callback(close_path, path)
                    found[name] = files_of(path)
        yield from _unread_of(config, found)


def _unread_of(config: Config, found: dict[str, Files]) -> Iterator[Finding]:
    read = {path.resolve() for files in found.values() for path in files.read.values()}
    for name, files in found.items():
        if files.closed:
            what = (
                f"{name}: aemon has no permission to list or enter "
                f"{listed(files.closed, files.base)}"
            )
            yield warning("files", what, PERMIT)
        if _is_one_file(config.monitors[name], files):
            continue
        left = [
            path
            for path in files_beside(files)
            if path.resolve() not in read and not was_rotated(path, read)
        ]
        if left:
            files_left = "other file" if len(left) == 1 else "other files"
            what = (
                f"{name}: no monitor reads {len(left)} {files_left} in the watched folders: "
                f"{listed(left, files.base)}"
            )
            todo = "set path to a pattern that fits the files to read, such as path: exports/*.txt"
            yield warning("files", what, todo)


def _is_one_file(settings: MonitorSettings, files: Files) -> bool:
    source = settings.source
    names = [*files.read]
    return isinstance(source, CsvSource) and names == [PurePath(source.path).name]


def open_ends(config: Config, clock: Clock) -> Iterator[Finding]:
    """Find finished files whose last line has no line end; aemon does not read this line."""
    since = (clock() - UNTOUCHED).timestamp()
    for name, settings in config.monitors.items():
        if not isinstance(settings.source, CsvSource):
            continue
        with suppress(AemonError, OSError):
            path = open_path(settings.source)
            try:
                files = files_of(path)
                quiet = [one for one in files.read.values() if one.stat().st_mtime < since]
                left = [one for one in quiet if ends_open(one)]
            finally:
                close_path(path)
            if left:
                what = f"{name}: the last line is not read, because it has no line end: "
                todo = "add a line end, unless the last line is incomplete"
                yield warning("files", what + listed(left, files.base), todo)


def detectors(store: Store, config: Config) -> Iterator[Finding]:
    """Check that each monitor has a detector that can be read and keeps its target rate."""
    known = overview(store, config.monitors, store.now() - LATELY)
    for name in sorted(set(config.monitors) - {monitor.name for monitor in known}):
        yield warning("detector", f"{name} has never run", "start the daemon: aemon run")
    for monitor in known:
        if monitor.detector_version is None:
            yield _none_yet(monitor)
            continue
        stored = active_detector(store, monitor.name)
        try:
            if stored is not None:
                load(store, stored)
        except ArtifactError as broken:
            what = f"{monitor.name}: detector {monitor.detector_version}: {broken.message}"
            yield error("detector", what, f"aemon train {monitor.name}")
        else:
            yield _promise(monitor, config.monitors[monitor.name])


def _promise(monitor: MonitorOverview, settings: MonitorSettings) -> Finding:
    """Check that the realised rate of a detector is near its target rate."""
    name, version = monitor.name, monitor.detector_version
    realised, rate = monitor.realised, monitor.false_alarm_rate or 0.0
    if not monitor.breaks_promise:
        return ok("detector", f"{name}: detector {version}")
    what = (
        f"{name}: detector {version} has flagged {realised.flagged} of {realised.judged} records, "
        f"{realised.flagged / realised.judged:.0%}, but its target rate is {rate:.2%} of normal "
        f"records: its {monitor.training_records} training records did not show all normal data"
    )
    todo = (
        "check first that the flagged records are not a lasting fault; if they are normal, "
        f"aemon train {name} uses them for training, too"
    )
    if settings.min_records is not None:
        todo += "; without min_records a first detector is trained on all present records"
    return warning("detector", what, todo)


def _none_yet(monitor: MonitorOverview) -> Finding:
    train, score, name = monitor.last_train, monitor.last_score, monitor.name
    if train is not None and train.outcome != Outcome.OK:
        what = f"{name} has no detector: the last training {train.outcome}: {train.reason}"
        return error("detector", what, f"aemon check {name}, then aemon train {name}")
    if score is None:
        return warning("detector", f"{name} has never run", "start the daemon: aemon run")
    todo = "aemon trains a detector once there are enough records; min_records sets their number"
    return warning("detector", f"{name} has no detector yet: {score.reason}", todo)


def runs(store: Store, config: Config) -> Iterator[Finding]:
    """Find runs of the last day that failed, timed out, did not start in time, or were lost."""
    since = store.now() - LATELY
    fine = True
    for bad in bad_ends(store, since, _BAD):
        if bad.monitor in config.monitors:
            fine = False
            what = f"{bad.monitor}: {bad.count} {bad.job} runs {bad.outcome} in the last day"
            todo = f"reason of the last run: {bad.reason}" if bad.reason else "see the table runs"
            yield warning("runs", what, todo)
    for name, settings in config.monitors.items():
        longest = max(settings.score_timeout, settings.train_timeout)
        count = lost_runs(store, name, since, store.now() - 2 * longest)
        if count:
            fine = False
            what = f"{name}: {count} runs were lost in the last day, because their daemon died"
            yield warning(
                "runs",
                what,
                "find out why the daemon died, for example of too little memory or a power cut",
            )
    if fine:
        yield ok("runs", "no run of the last day failed, timed out, started too late or was lost")


def records(store: Store, config: Config) -> Iterator[Finding]:
    """Find unusual traffic, and records of the last day that were read but got no verdict."""
    fine = True
    for one in unjudged(store, store.now() - LATELY):
        if one.monitor not in config.monitors:
            continue
        if one.too_late:
            fine = False
            what = (
                f"{one.monitor}: {one.too_late} records of the last day came too late to be judged"
            )
            todo = "raise lateness, so that records that arrive this late are judged"
            yield warning("records", what, todo)
        others = one.rejected - one.too_late
        if others > REJECTED_SHARE * one.read:
            fine = False
            what = f"{one.monitor}: {others} of {one.read} records of the last day were rejected"
            yield warning("records", what, f"aemon check {one.monitor} shows the reasons")
        if 0 < one.idle >= one.scored:
            fine = False
            what = (
                f"{one.monitor}: none of {one.scored} records of the last day was judged: "
                "columns.only_when does not hold"
            )
            todo = (
                f"if the machine was running, aemon check {one.monitor} shows the columns' values"
            )
            yield warning("records", what, todo)
    for name, settings in config.monitors.items():
        with store.reading() as connection:
            unusual = unusual_traffic(connection, name)
        for sentence in unusual:
            fine = False
            todo = (
                "check the device and its connection; silent_after and watch_rate set what is "
                "reported"
            )
            yield warning("records", f"{name}: {sentence}", todo)
        if isinstance(settings.source, SqlSource):
            with suppress(AemonError):  # the next run reports a position that cannot be read
                yield from _given_up(name, keys_given_up(_of_rows(store, name, settings.source)))
    if fine:
        yield ok("records", "of the last day's records, at most one in a hundred was not judged")


def _of_rows(store: Store, name: str, source: SqlSource) -> Watermark | None:
    """Return the watermark of the table; None if the table has no watermark yet.

    If a record is made from several table rows, the watermark of the monitor contains the watermark
    of the table.
    """
    mark = store.mark(name).watermark
    if not source.holds_readings:
        return mark
    place = read_place(mark)
    return place.start if place is not None else None


def _given_up(name: str, keys: int) -> Iterator[Finding]:
    if keys:
        yield ok(
            "records",
            f"{name}: {keys} keys below the newest key were missing, and did not arrive within "
            f"{format_duration(LOOKED_FOR)}: their rows were rolled back or deleted, or arrived "
            "later and are not judged; set lateness to look longer",
        )


def _age(age: timedelta) -> str:
    whole = _MINUTE if age >= _MINUTE else timedelta(seconds=1)
    return format_duration(age // whole * whole)


OF_STORE = (detectors, runs, records)
