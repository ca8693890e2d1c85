"""The tables of replicas, leases, snoozes, drifts, states of monitors, and trials of detectors."""

import sqlalchemy as sa

from aemon.store.schema.column_types import Identifier, Json, Number, UtcTime, Whole
from aemon.store.schema.table_parts import column, monitor, of_monitors, table

replicas = table(
    "replicas",
    column("name", sa.Text, "a daemon's own name", primary_key=True),
    column("address", sa.Text, "host:port it serves its metrics on"),
    column("version", sa.Text, "of aemon"),
    column("started_at", UtcTime, "when it started"),
    column("seen_at", UtcTime, "its last heartbeat, by the database's clock"),
    comment="the daemons that share this store",
)

leases = table(
    "leases",
    monitor(of_monitors(), primary_key=True),
    column("holder", sa.Text, "the replica that watches it; empty after the lease is released"),
    column(
        "token",
        Whole,
        "grows with every change of holder; a holder with an older token may not write",
    ),
    column("taken_at", UtcTime, "when its holder last changed"),
    column(
        "expires_at", UtcTime, "after this time other replicas may take it, by the database's clock"
    ),
    sa.Index(None, "holder"),
    comment="which replica watches which monitor",
)

snoozes = table(
    "snoozes",
    column("id", Whole, "identifies a snooze", primary_key=True),
    monitor(of_monitors()),
    column(
        "entity",
        Identifier,
        "entity whose anomalies are suppressed; null means all entities",
        nullable=True,
    ),
    column("since", UtcTime, "event time from which anomalies are suppressed"),
    column("until", UtcTime, "event time up to which anomalies are suppressed"),
    column("note", sa.Text, "why, in a person's words", server_default=""),
    column("created_at", UtcTime, "when it was entered"),
    column("author", sa.Text, "who entered it; empty if unknown", server_default=""),
    sa.Index(None, "monitor", "until"),
    comment="periods in which anomalies are stored as suppressed, at a person's request",
)

audit = table(
    "audit",
    column("id", Whole, "order of the changes", primary_key=True),
    column("at", UtcTime, "when the change was made"),
    column("who", sa.Text, "name of the user or token; empty if unknown"),
    column("origin", sa.Text, "by which way: api, page, or cli for the command line"),
    column("address", sa.Text, "network address of the client; empty for the command line"),
    column("action", sa.Text, "what was done, such as feedback or acknowledge"),
    column("monitor", sa.Text, "the monitor's name; empty if it concerns no single monitor"),
    column("details", Json, "what the request said, such as the episode and the note"),
    sa.Index(None, "at"),
    comment="every change that a person or program made, with who, when and from where",
)

drifts = table(
    "drifts",
    column("id", Whole, "identifies a drift", primary_key=True),
    monitor(of_monitors()),
    column("kind", sa.Text, "scores (all scores), column (one column) or shift (a new level)"),
    column("feature", sa.Text, "the column; empty if it is not a single column", server_default=""),
    column("entity", Identifier, "the entity; empty for all entities", server_default=""),
    column("state", sa.Text, "open, learned (a new level that is normal now) or closed"),
    column("started_at", UtcTime, "event time from which the data differ from normal data"),
    column("detected_at", UtcTime, "when the evidence sufficed to detect it"),
    column(
        "ended_at",
        UtcTime,
        "when it ended: by a new detector, or by a return to normal",
        nullable=True,
    ),
    column("measure", Number, "log10 of the evidence, PSI of the column, or records of the shift"),
    column("reason", sa.Text, "in plain words, what changed and how it ended"),
    column("detector_id", sa.Integer, "the detector whose training records it differs from"),
    sa.Index(None, "monitor", "state"),
    sa.Index(None, "monitor", "detected_at"),
    comment="changes of normal data: each requests a new detector, and no receiver is notified",
)

live_states = table(
    "live_states",
    monitor(of_monitors(), primary_key=True),
    column("detector_id", sa.Integer, "the detector the state belongs to"),
    column(
        "state",
        Json,
        "evidence of drift, counts of columns and newest records since the detector began to judge",
    ),
    column("updated_at", UtcTime, "when it was last written"),
    comment="state of a monitor from the records it judged, written with their verdicts",
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
    column("active_id", sa.Integer, "the active detector it is compared with"),
    column("began_at", UtcTime, "when it first judged"),
    column("updated_at", UtcTime, "when it last judged"),
    column("records", sa.Integer, "records that both detectors could judge"),
    column("flagged", sa.Integer, "records of these that the detector on trial flagged"),
    column("flagged_by_active", sa.Integer, "records that the active detector flagged"),
    column("flagged_by_both", sa.Integer, "records that both detectors flagged"),
    column("critical_by_active", sa.Integer, "records that the active detector judged critical"),
    column("critical_kept", sa.Integer, "critical records that the detector on trial also flagged"),
    comment="results of detectors on trial, compared with the active detector",
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
    column("exceedance", Number, "score divided by threshold, of the detector on trial"),
    column("active_exceedance", Number, "score divided by threshold, of the active detector"),
    comment="records that the detector on trial or the active one flagged",
)
