"""Comments of tables, columns and views in plain words."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLES = {
    "anomalies": (
        "every record judged anomalous, with what was expected instead",
        "every anomalous or suppressed record, with the values expected",
    ),
    "contributions": (
        "the columns to blame for every anomaly",
        "the columns that explain each anomaly",
    ),
    "detectors": (
        "every detector ever trained, and on what",
        "every detector ever trained, and the records it was trained on",
    ),
    "drifts": (
        "changes of normal life: each asks for a new detector, and pages nobody",
        "changes of normal data: each requests a new detector, and no receiver is notified",
    ),
    "feedback": (
        "what people say of records; taken up at the next training",
        "feedback of people on records; the next training uses it",
    ),
    "history": (
        "the inbox: records of streams, which cannot be read twice, kept to judge and to learn from",
        "the inbox: records of streams, which cannot be read twice, kept for scoring and training",
    ),
    "live_states": (
        "what a monitor remembers of the records it judged, written with their verdicts",
        "state of a monitor from the records it judged, written with their verdicts",
    ),
    "notifications": (
        "what receivers are told of episodes: each event once",
        "notifications of episodes to receivers: each event once",
    ),
    "receivers": (
        "who is told of episodes by aemon itself",
        "the receivers that aemon notifies of episodes itself",
    ),
    "rejected_records": (
        "records that could not be judged, with the reason; the newest of every monitor",
        "records that could not be judged, with the reason; the newest of each monitor",
    ),
    "runs": (
        "the ledger: one row for every tick, whatever became of it",
        "the ledger: one row for every tick, with its outcome and reason",
    ),
    "snoozes": (
        "stretches in which anomalies are stored as suppressed, because somebody said so",
        "periods in which anomalies are stored as suppressed, at a person's request",
    ),
    "stream_notes": (
        "by which streams know what comes again after a restart; the newest of every monitor",
        "notes by which streams recognise repeated messages after a restart; the newest of each monitor",
    ),
    "thresholds": ("every decision line ever drawn", "every threshold ever computed"),
    "trials": (
        "how detectors in the shadow did beside the active one",
        "results of detectors on trial, compared with the active detector",
    ),
    "unfinished_records": (
        "records of streams that are still joined from values that come one by one",
        "records of streams that are still being joined from values that arrive one by one",
    ),
}
COLUMNS = {
    "anomalies.reason": (
        "one sentence: what was seen and what was expected",
        "one sentence: what was observed and what was expected",
    ),
    "anomalies.reconstructed": (
        "what it should have been, in original units",
        "the values expected, in original units",
    ),
    "anomalies.severity": (
        "warning, or critical above the critical line, which normal records cross more seldom",
        "warning, or critical above the critical threshold, which normal records exceed less often",
    ),
    "contributions.error": (
        "its squared gap from what is expected, in usual gaps",
        "squared difference from the value expected, relative to usual differences",
    ),
    "contributions.observed": (
        "its value; null where it is no number",
        "its value; null if it is not a number",
    ),
    "contributions.rank": (
        "1 is the column most to blame",
        "1 is the column with the largest share",
    ),
    "contributions.reconstructed": (
        "the value expected; null if no number",
        "the value expected; null if it is not a number",
    ),
    "contributions.share": (
        "its part of the blame; the shares of a record sum to 1",
        "its share of the explanation; the shares of a record sum to 1",
    ),
    "detectors.artifact_sha256": (
        "its artifact; null once retention has removed it",
        "its artifact; null after retention has removed it",
    ),
    "detectors.asked_by": (
        "what asked for its training, and why",
        "what requested its training, and the reason",
    ),
    "detectors.data_hash": (
        "sha256 of the records it learned from",
        "sha256 of its training records",
    ),
    "detectors.manifest": (
        "the settings, what was read from the source, and what was left out or brought back",
        "settings, what was read from the source, and which records were left out or restored",
    ),
    "detectors.state_at": ("when its state changed last", "when its state last changed"),
    "detectors.state_reason": ("why it is in that state", "the reason for its state"),
    "detectors.trained_from": (
        "event time of the oldest record it learned from",
        "event time of its oldest training record",
    ),
    "detectors.trained_until": (
        "event time of the newest record it learned from",
        "event time of its newest training record",
    ),
    "detectors.training_records": (
        "records that shaped the weights",
        "records that trained the weights",
    ),
    "detectors.validation_records": (
        "records it was tried on by members that never saw them",
        "records that validated it, by members that were not trained on them",
    ),
    "drifts.detected_at": ("when aemon was sure of it", "when the evidence sufficed to detect it"),
    "drifts.detector_id": (
        "whose normal life it has moved away from",
        "the detector whose training records it differs from",
    ),
    "drifts.ended_at": (
        "when it was over: a new detector, or back to normal",
        "when it ended: by a new detector, or by a return to normal",
    ),
    "drifts.entity": (
        "the entity; empty where it is all of them",
        "the entity; empty for all entities",
    ),
    "drifts.feature": (
        "the column; empty where it is no single one",
        "the column; empty if it is not a single column",
    ),
    "drifts.kind": (
        "scores (all of them), column (one of them) or shift (a new level)",
        "scores (all scores), column (one column) or shift (a new level)",
    ),
    "drifts.reason": (
        "in plain words, what moved and how it ended",
        "in plain words, what changed and how it ended",
    ),
    "drifts.started_at": (
        "event time from which life was another",
        "event time from which the data differ from normal data",
    ),
    "episodes.acknowledged_at": ("when a person took it up", "when a person acknowledged it"),
    "episodes.blame": (
        "each column's shares of the blame, summed over its anomalies",
        "contribution of each column, summed over its anomalies",
    ),
    "episodes.feature": (
        "the column most to blame over the whole of it",
        "the column with the largest contribution over the whole episode",
    ),
    "episodes.label": (
        "what a person calls it: stuck sensor",
        "a person's name for it, such as stuck sensor",
    ),
    "episodes.like_id": (
        "an earlier episode that looked the same",
        "an earlier episode that is similar",
    ),
    "episodes.likeness": (
        "how much it looked so; 1 is the same",
        "how similar it is; 1 is identical",
    ),
    "episodes.note": ("what a person said of it", "a person's note"),
    "episodes.opened_at": (
        "when it was long enough to be told; null if it never was",
        "when it was long enough to be notified; null if it never was",
    ),
    "episodes.pattern": (
        "each column's shares of the blame, those below expectation negative, summed",
        "contribution of each column, summed; negative where the value was below the expected",
    ),
    "episodes.peak_exceedance": (
        "largest score over threshold in it",
        "largest exceedance in it: score divided by threshold",
    ),
    "episodes.peak_record_key": (
        "the anomaly with that",
        "key of the anomaly with the largest exceedance",
    ),
    "episodes.records": (
        "anomalies told in it, also those corrected since",
        "anomalies counted in it, also those corrected since",
    ),
    "episodes.severity": ("that of its severest anomaly", "the highest severity of its anomalies"),
    "episodes.state": (
        "forming (too short to be told), open, acknowledged, or closed once enough calm records followed",
        "forming (too short to be notified), open, acknowledged, or closed after enough calm records",
    ),
    "episodes.updated_at": ("when it was written last", "when it was last written"),
    "feedback.created_at": ("when it was said", "when it was given"),
    "feedback.detector_id": (
        "the first detector whose training took it up; null until then",
        "the first detector whose training used it; null until then",
    ),
    "feedback.entity": (
        "whose record; null means all with this key, or all",
        "entity of the record; null means all records with this key, or all entities",
    ),
    "feedback.id": ("identifies what was said", "identifies the feedback"),
    "feedback.until": (
        "ignore_until: nothing is learned up to this event time",
        "ignore_until: records up to this event time are left out of training",
    ),
    "leases.expires_at": (
        "free for others from then on, by the database's clock",
        "after this time other replicas may take it, by the database's clock",
    ),
    "leases.holder": (
        "the replica that watches it; empty once given back",
        "the replica that watches it; empty after the lease is released",
    ),
    "leases.taken_at": ("when it changed hands last", "when its holder last changed"),
    "leases.token": (
        "grows with every change of hands; an older one may not write",
        "grows with every change of holder; a holder with an older token may not write",
    ),
    "live_states.detector_id": ("the detector it is about", "the detector the state belongs to"),
    "live_states.state": (
        "evidence of drift, counts of columns, the newest records since that began to judge",
        "evidence of drift, counts of columns and newest records since the detector began to judge",
    ),
    "live_states.updated_at": ("when it was written last", "when it was last written"),
    "notifications.created_at": (
        "when it was known that it would have to be told",
        "when its event became known; for a backlog, when its last episode was found",
    ),
    "notifications.due_at": (
        "when there was something to tell; null while expected",
        "when it became ready to be sent; null while expected",
    ),
    "notifications.episode_id": ("the episode it tells of", "the episode it is about"),
    "notifications.last_error": (
        "why the last try failed; empty if it did not",
        "why the last try failed; empty if it did not fail",
    ),
    "notifications.next_try_at": (
        "when it is tried next; null if it is not",
        "when it is tried next; null if it is not tried again",
    ),
    "notifications.receiver": ("who is told", "the receiver that is notified"),
    "notifications.sent_at": ("when the receiver took it", "when the receiver accepted it"),
    "notifications.severity": (
        "the episode's, as it was told last",
        "the severity of the episode that was last notified",
    ),
    "notifications.state": (
        "expected (the episode goes on), waiting (to be sent), sent, or dead: given up",
        "expected (the episode continues), waiting (to be sent), sent, or dead: given up",
    ),
    "receivers.known_at": (
        "since when it is told of episodes; of none that were over by then",
        "since when it is notified; episodes that had ended by then are not reported to it",
    ),
    "rejected_records.received_at": ("when it was to be kept", "when it was rejected"),
    "replicas.seen_at": (
        "when it last said that it lives, by the database's clock",
        "its last heartbeat, by the database's clock",
    ),
    "runs.detector_id": (
        "the detector that judged in it, or was trained by it",
        "the detector that judged in the run, or was trained by it",
    ),
    "runs.finished_at": ("when it ended, or committed last", "when it ended, or last committed"),
    "runs.reason": (
        "why it ended so, in plain words",
        "the reason for the outcome, in plain words",
    ),
    "runs.records_absent": (
        "scored records with too little there to judge",
        "scored records with too few values to judge",
    ),
    "runs.records_idle": (
        "scored records that were not judged, for the machine was not at work",
        "scored records that were not judged because the machine was not at work",
    ),
    "runs.records_late": (
        "scored records older than one already read",
        "scored records older than a record read before",
    ),
    "runs.records_read": (
        "records the source returned that were not known",
        "new records that the source returned",
    ),
    "runs.records_reviewed": (
        "known records read again to look for late and corrected ones",
        "known records read again to find late and corrected records",
    ),
    "runs.records_revised": (
        "records judged again, for they changed",
        "records judged again because they changed",
    ),
    "runs.records_suppressed": (
        "records over the line that were to be kept quiet",
        "records above the threshold that were suppressed",
    ),
    "runs.records_too_late": (
        "records that came later than lateness allows; not judged",
        "records that arrived later than lateness allows; not judged",
    ),
    "runs.threshold_id": ("the line it judged by", "the threshold that the run judged with"),
    "scores.detector_id": ("who judged", "the detector that judged it"),
    "scores.exceedance": (
        "score over threshold; 1.0 is the line",
        "score divided by threshold; 1.0 is the threshold",
    ),
    "scores.p_value": (
        "chance that a normal record scores this high",
        "share of normal records with a score as high or higher",
    ),
    "scores.provisional": (
        "judged before there were enough records to show the promised rate",
        "judged with too few calibration records to show the target rate",
    ),
    "scores.raw_score": (
        "the score before smoothing over the records before it; null where nothing is smoothed",
        "the score before smoothing over earlier records; null if scores are not smoothed",
    ),
    "scores.record_hash": (
        "fingerprint of the record's values; null if not taken",
        "fingerprint of the record's values; null if not computed",
    ),
    "scores.run_id": (
        "the run of the ledger it was judged in",
        "the run of the ledger that judged it",
    ),
    "scores.score": (
        "how odd it is; higher is odder",
        "how unusual it is; a higher score is more unusual",
    ),
    "scores.superseded_at": (
        "when a newer revision took its place; null while it is what we know",
        "when a newer revision replaced it; null for the newest revision",
    ),
    "scores.threshold_id": ("by which line", "the threshold it was judged with"),
    "scores.verdict": (
        "normal, anomaly, suppressed (over the line, but to be kept quiet), absent (too little was there to judge) or idle (not judged, for the machine was not at work)",
        "normal, anomaly, suppressed (above the threshold, not notified), absent (too few values to judge) or idle (not judged because the machine was not at work)",
    ),
    "snoozes.created_at": ("when it was said", "when it was entered"),
    "snoozes.entity": (
        "whose anomalies; null means all",
        "entity whose anomalies are suppressed; null means all entities",
    ),
    "snoozes.until": (
        "event time up to which they are",
        "event time up to which anomalies are suppressed",
    ),
    "stream_notes.note": (
        "what the stream must know of what it handed over, as JSON",
        "what the stream must remember about the records it delivered, as JSON",
    ),
    "stream_notes.noted_at": ("when it was kept", "when it was stored"),
    "thresholds.artifact_sha256": (
        "the lines, where they were drawn after the training; null for those of the training",
        "the thresholds, if computed after the training; null for those of the training",
    ),
    "thresholds.calibration_records": (
        "held-out normal records it was learned from",
        "held-out normal records it was computed from",
    ),
    "thresholds.created_at": ("when it was learned", "when it was computed"),
    "thresholds.detector_id": ("the detector it judges for", "the detector it belongs to"),
    "thresholds.false_alarm_rate": (
        "promised share of normal records flagged",
        "target rate: the share of normal records that may be flagged",
    ),
    "thresholds.method": (
        "how it was drawn: conformal, evt (fitted tail), quantile, sigma or fixed",
        "how it was computed: conformal, evt (fitted tail), quantile, sigma or fixed",
    ),
    "thresholds.reason": ("why it was drawn", "why it was computed"),
    "trial_verdicts.active_exceedance": (
        "by the active one",
        "score divided by threshold, of the active detector",
    ),
    "trial_verdicts.exceedance": (
        "score over threshold, by the one on trial",
        "score divided by threshold, of the detector on trial",
    ),
    "trials.active_id": (
        "the active one it is held against",
        "the active detector it is compared with",
    ),
    "trials.began_at": ("when it judged first", "when it first judged"),
    "trials.critical_by_active": (
        "critical by the active one",
        "records that the active detector judged critical",
    ),
    "trials.critical_kept": (
        "of those, flagged by the one on trial, too",
        "critical records that the detector on trial also flagged",
    ),
    "trials.flagged": (
        "of those, flagged by the one on trial",
        "records of these that the detector on trial flagged",
    ),
    "trials.flagged_by_active": (
        "flagged by the active one",
        "records that the active detector flagged",
    ),
    "trials.flagged_by_both": ("flagged by both", "records that both detectors flagged"),
    "trials.records": ("records that both could judge", "records that both detectors could judge"),
    "trials.updated_at": ("when it judged last", "when it last judged"),
    "unfinished_records.received_at": (
        "when the first of its values came",
        "when the first of its values arrived",
    ),
    "unfinished_records.record": (
        "the columns and values that have come so far",
        "the columns and values that have arrived so far",
    ),
    "watermarks.generation": (
        "grows by one at every move; a stale writer is refused",
        "grows by one at every move; a writer with an older generation is refused",
    ),
    "watermarks.position": (
        "the source's own note of where it is",
        "the source's position, in its own format",
    ),
    "watermarks.settled": (
        "up to here no record is looked for any more",
        "up to here aemon no longer looks for late or corrected records",
    ),
    "watermarks.source": (
        "what is read, so that a position is not used for another source",
        "identity of the source, so that a position is not used for another source",
    ),
    "watermarks.updated_at": ("when it moved last", "when it last moved"),
}
VIEWS = {
    "alarm_budget": (
        "by day: how many records may be flagged as promised, and how many were",
        "by day: how many records may be flagged at the target rate, and how many were flagged",
    ),
    "alarms_by_event_day": (
        "by day of the records and day of their scoring: how many of the stored verdicts are anomalies, and how many were promised; a backlog is many event days scored on one",
        "by day of the records and day of their scoring: how many of the stored verdicts are anomalies, and how many the target rate allows; a backlog is many event days scored on one day",
    ),
    "coverage": (
        "by day: how the scoring runs ended and what became of every record the source returned",
        "by day: outcomes of the scoring runs, and of every record the source returned",
    ),
    "coverage_by_event_day": (
        "by day of the records and day of their scoring: what became of the records with a verdict",
        "by day of the records and day of their scoring: counts of the verdicts",
    ),
    "dead_letters": (
        "one row for every notification that was given up, and why; `aemon notify retry` tries again",
        "one row for every dead letter, with the reason; `aemon notify retry` tries again",
    ),
    "detector_precision": (
        "for every detector: what it flagged, and what people said of that",
        "for every detector: how many records it flagged, and the feedback on them",
    ),
    "episodes_told": (
        "one row for every episode that was long enough to be told",
        "one row for every episode that was long enough to be notified",
    ),
    "flagged_records": (
        "one row for every record that is flagged as far as we know now, with its three top columns",
        "one row for every record that is flagged now, with its three top columns",
    ),
    "suppressed_records": (
        "one row for every record over the line that was to be kept quiet, and why",
        "one row for every suppressed record above the threshold, with the reason",
    ),
    "top_features": (
        "how often, and how much, each column is to blame for flagged records, by day of event time",
        "how often, and how much, each column contributes to flagged records, by day of event time",
    ),
}


def upgrade() -> None:
    _comment(1)


def downgrade() -> None:
    _comment(0)


def _comment(which: int) -> None:
    if op.get_bind().dialect.name != "postgresql":
        return  # SQLite keeps none
    for kind, comments in (("TABLE", TABLES), ("COLUMN", COLUMNS), ("VIEW", VIEWS)):
        for name, texts in comments.items():
            quoted = texts[which].replace("'", "''")
            op.execute(f"COMMENT ON {kind} {name} IS '{quoted}'")
