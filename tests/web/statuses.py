"""Made-up states of monitors, for the pages and for programs."""

from datetime import UTC, datetime, timedelta

from aemon.operations.status_report import MonitorStatus, StatusPage
from aemon.store.episode_queries import EpisodeSummary
from aemon.store.queries import BlamedColumn, Flagged, FlaggedRecord, LastRun

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def run(outcome="ok", reason="", records=0) -> LastRun:
    return LastRun(outcome=outcome, reason=reason, finished_at=NOW, records_read=records)


def monitor(name: str, **changes) -> MonitorStatus:
    known = {
        "name": name,
        "detector_version": 2,
        "trained_at": NOW - timedelta(hours=3),
        "first_trained_at": NOW - timedelta(days=3),
        "training_records": 640,
        "threshold": 2.5,
        "false_alarm_rate": 0.001,
        "calibration_records": 640,
        "on_trial": None,
        "drifts": (),
        "episodes_open": 0,
        "realised": Flagged(judged=2000, flagged=5),
        "read_until": NOW,
        "records_scored": 1234,
        "anomalies": 5,
        "last_score": run(),
        "last_train": run(),
    }
    return MonitorStatus(**{**known, **changes})


def status_page_of(monitors=(), flagged=(), **more) -> StatusPage:
    return StatusPage(
        version="0.1.0",
        now=NOW,
        started_at=NOW - timedelta(days=1),
        wanted={entry.name: 1000 for entry in monitors},
        sources={entry.name: "sql" for entry in monitors},
        monitors=monitors,
        flagged=flagged,
        **more,
    )


FLAGGED = FlaggedRecord(
    monitor="pumps",
    entity="<script>alert(1)</script>",
    record_key="17",
    event_time=NOW,
    scored_at=NOW,
    severity="critical",
    score=9.0,
    exceedance=3.6,
    p_value=0.0001,
    reason="pressure 2.1 where 4 was expected",
    detector_version=2,
    threshold=2.5,
    observed={},
    reconstructed={},
    columns=(
        BlamedColumn(rank=1, column="pressure", observed="2.1", expected="4", error=9, share=1),
    ),
)


EPISODE = EpisodeSummary(
    id=41,
    monitor="pumps",
    entity="p2",
    state="open",
    severity="critical",
    started_at=NOW - timedelta(hours=1),
    ended_at=NOW,
    opened_at=NOW - timedelta(hours=1),
    acknowledged_at=None,
    records=12,
    peak_exceedance=5.2,
    peak_record_key="17",
    feature="temperature",
    blame={"temperature": 12.0},
    label="",
    note="",
    like_id=7,
    like_label="stuck sensor",
    likeness=0.97,
)
