"""The tables of a monitor's life: who watches it, what was tried, what has drifted, what is quiet."""

import sqlalchemy as sa

from aemon.store.schema.column_types import Identifier, Json, Number, UtcTime, Whole
from aemon.store.schema.table_parts import column, monitor, of_monitors, table

replicas = table(
    "replicas",
    column("name", sa.Text, "a daemon's own name", primary_key=True),
    column("address", sa.Text, "host:port it serves its metrics on"),
    column("version", sa.Text, "of aemon"),
    column("started_at", UtcTime, "when it started"),
    column("seen_at", UtcTime, "when it last said that it lives, by the database's clock"),
    comment="the daemons that share this store",
)

leases = table(
    "leases",
    monitor(of_monitors(), primary_key=True),
    column("holder", sa.Text, "the replica that watches it; empty once given back"),
    column("token", Whole, "grows with every change of hands; an older one may not write"),
    column("taken_at", UtcTime, "when it changed hands last"),
    column("expires_at", UtcTime, "free for others from then on, by the database's clock"),
    sa.Index(None, "holder"),
    comment="which replica watches which monitor",
)

snoozes = table(
    "snoozes",
    column("id", Whole, "identifies a snooze", primary_key=True),
    monitor(of_monitors()),
    column("entity", Identifier, "whose anomalies; null means all", nullable=True),
    column("since", UtcTime, "event time from which anomalies are suppressed"),
    column("until", UtcTime, "event time up to which they are"),
    column("note", sa.Text, "why, in a person's words", server_default=""),
    column("created_at", UtcTime, "when it was said"),
    sa.Index(None, "monitor", "until"),
    comment="stretches in which anomalies are stored as suppressed, because somebody said so",
)

drifts = table(
    "drifts",
    column("id", Whole, "identifies a drift", primary_key=True),
    monitor(of_monitors()),
    column("kind", sa.Text, "scores (all of them), column (one of them) or shift (a new level)"),
    column("feature", sa.Text, "the column; empty where it is no single one", server_default=""),
    column("entity", Identifier, "the entity; empty where it is all of them", server_default=""),
    column("state", sa.Text, "open, learned (a new level that is normal now) or closed"),
    column("started_at", UtcTime, "event time from which life was another"),
    column("detected_at", UtcTime, "when aemon was sure of it"),
    column(
        "ended_at", UtcTime, "when it was over: a new detector, or back to normal", nullable=True
    ),
    column("measure", Number, "log10 of the evidence, PSI of the column, or records of the shift"),
    column("reason", sa.Text, "in plain words, what moved and how it ended"),
    column("detector_id", sa.Integer, "whose normal life it has moved away from"),
    sa.Index(None, "monitor", "state"),
    sa.Index(None, "monitor", "detected_at"),
    comment="changes of normal life: each asks for a new detector, and pages nobody",
)

live_states = table(
    "live_states",
    monitor(of_monitors(), primary_key=True),
    column("detector_id", sa.Integer, "the detector it is about"),
    column(
        "state",
        Json,
        "evidence of drift, counts of columns, the newest records since that began to judge",
    ),
    column("updated_at", UtcTime, "when it was written last"),
    comment="what a monitor remembers of the records it judged, written with their verdicts",
)

trials = table(
    "trials",
    column(
        "detector_id",
        sa.Integer,
        "the detector on trial",
        sa.ForeignKey("detectors.id"),
        primary_key=True,
        autoincrement=False,
    ),
    column("active_id", sa.Integer, "the active one it is held against"),
    column("began_at", UtcTime, "when it judged first"),
    column("updated_at", UtcTime, "when it judged last"),
    column("records", sa.Integer, "records that both could judge"),
    column("flagged", sa.Integer, "of those, flagged by the one on trial"),
    column("flagged_by_active", sa.Integer, "flagged by the active one"),
    column("flagged_by_both", sa.Integer, "flagged by both"),
    column("critical_by_active", sa.Integer, "critical by the active one"),
    column("critical_kept", sa.Integer, "of those, flagged by the one on trial, too"),
    comment="how detectors in the shadow did beside the active one",
)

trial_verdicts = table(
    "trial_verdicts",
    column(
        "detector_id",
        sa.Integer,
        "the detector on trial",
        sa.ForeignKey("detectors.id"),
        primary_key=True,
        autoincrement=False,
    ),
    column("record_key", Identifier, "the record's key", primary_key=True),
    column("entity", Identifier, "the thing it belongs to; empty if none", primary_key=True),
    column("event_time", UtcTime, "when the record happened"),
    column("exceedance", Number, "score over threshold, by the one on trial"),
    column("active_exceedance", Number, "by the active one"),
    comment="records that the detector on trial or the active one flagged",
)
