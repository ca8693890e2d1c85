"""Results databases with made-up results, for pages and their measurements."""

import math
import random
from datetime import datetime, timedelta

import sqlalchemy as sa

from aemon.store.schema import tables
from aemon.store.store import Store

COLUMNS = ("flow", "pressure", "temperature")
THRESHOLD = 2.0
MINUTE = timedelta(minutes=1)


def fill(
    store: Store,
    monitor: str,
    now: datetime,
    *,
    records: int = 300,
    anomalies: tuple[int, ...] = (),
    entities: tuple[str, ...] = ("p1",),
    critical: bool = False,
    state: str = "open",
    step: timedelta = MINUTE,
    seed: int = 1,
    runs: int = 1,
) -> int | None:
    """Give a monitor a detector, `records` scores up to now, and one episode; its number.

    Args:
        anomalies: numbers of the records that are anomalous, all of the first entity.
        step: between two records.
        runs: rows of the ledger among which the records are divided.
    """
    chance = random.Random(seed)
    begin = now - records * step
    with store.writing() as connection:
        detector, threshold = _detector(connection, monitor, begin)
        run_ids = _runs(connection, monitor, (begin, now), (detector, threshold), (records, runs))
        rows = []
        for number in range(records):
            odd = number in anomalies
            over = 1.5 + chance.random() if odd else abs(chance.gauss(0.35, 0.12))
            over += 0 if odd else 0.15 * math.sin(number / 200)
            rows.append(
                _score(monitor, number, begin + (number + 1) * step, over, odd)
                | {"entity": entities[0 if odd else number % len(entities)]}
                | {"detector_id": detector, "threshold_id": threshold}
                | {"run_id": run_ids[number * runs // records]}
            )
        for start in range(0, len(rows), 20_000):
            connection.execute(sa.insert(tables.scores), rows[start : start + 20_000])
        if not anomalies:
            return None
        odd = [rows[number] for number in anomalies]
        severity = "critical" if critical else "warning"
        episode = _episode(connection, odd, severity, state)
        _explain(connection, odd, severity, episode)
    return episode


def _score(monitor, number, time, over, odd):
    return {
        "monitor": monitor, "record_key": f"{number:07d}", "revision": 1, "event_time": time,
        "scored_at": time + timedelta(seconds=20), "score": over * THRESHOLD, "p_value": 0.001,
        "exceedance": over, "verdict": "anomaly" if odd else "normal", "late": False,
        "imputed_share": 0.0, "provisional": False,
    }  # fmt: skip


def _detector(connection, monitor, at):
    made = connection.execute(
        sa.insert(tables.detectors).values(
            monitor=monitor, version=1, state="active", trained_at=at, state_at=at,
            trained_from=at - timedelta(days=7), trained_until=at, training_records=640,
            validation_records=160, calibration_records=2000, seed=0, validation_error=0.12,
            settings_hash="s", feature_map_hash="f", data_hash="d", versions={"aemon": "0.1.0"},
            state_reason="the first detector", asked_by="cold start",
        )
    ).inserted_primary_key[0]  # fmt: skip
    threshold = connection.execute(
        sa.insert(tables.thresholds).values(
            detector_id=made, value=THRESHOLD, method="conformal", false_alarm_rate=0.01,
            calibration_records=2000, created_at=at, reason="training",
        )
    ).inserted_primary_key[0]  # fmt: skip
    return made, threshold


def _runs(connection, monitor, span, judges, counts):
    (begin, now), (records, runs) = span, counts
    ids = []
    for number in range(runs):
        at = begin + (number + 1) * (now - begin) / runs
        ids.append(
            connection.execute(
                sa.insert(tables.runs).values(
                    monitor=monitor, job="score", outcome="ok", reason="", started_at=at,
                    finished_at=at, detector_id=judges[0], threshold_id=judges[1],
                    records_read=records // runs, records_scored=records // runs,
                    records_late=0, records_rejected=0, anomalies=0, cells_imputed=0,
                )
            ).inserted_primary_key[0]
        )  # fmt: skip
    connection.execute(
        sa.insert(tables.watermarks).values(
            monitor=monitor, event_time=now, record_key="x", position="", source="", generation=1,
            updated_at=now,
        )
    )  # fmt: skip
    return ids


def _episode(connection, odd, severity, state):
    first, last = odd[0], odd[-1]
    peak = max(odd, key=lambda row: row["exceedance"])
    return connection.execute(
        sa.insert(tables.episodes).values(
            monitor=first["monitor"], entity=first["entity"], state=state,
            started_at=first["event_time"], ended_at=last["event_time"], records=len(odd),
            severity=severity, peak_exceedance=peak["exceedance"],
            peak_record_key=peak["record_key"], feature="flow",
            blame={"flow": 0.7 * len(odd), "pressure": 0.3 * len(odd)}, calm_records=0,
            updated_at=last["event_time"], opened_at=first["event_time"],
        )
    ).inserted_primary_key[0]  # fmt: skip


def _explain(connection, odd, severity, episode):
    kept = ("monitor", "record_key", "entity", "revision", "event_time")
    for row in odd:
        identity = {name: row[name] for name in kept}
        connection.execute(
            sa.insert(tables.anomalies).values(
                **identity, severity=severity, episode_id=episode,
                reason="flow 1.2 where 5 was expected",
                observed={"flow": 1.2, "pressure": 3.9, "temperature": 60.5, "valve": "open"},
                reconstructed={"flow": 5.0, "pressure": 3.5, "temperature": 60.1, "valve": "open"},
            )
        )  # fmt: skip
        identity.pop("event_time")
        for rank, (name, seen, expected, share) in enumerate(
            [("flow", 1.2, 5.0, 0.7), ("pressure", 3.9, 3.5, 0.3)], 1
        ):
            connection.execute(
                sa.insert(tables.contributions).values(
                    **identity, rank=rank, feature=name, observed=seen, reconstructed=expected,
                    observed_text=f"{seen:g}", reconstructed_text=f"{expected:g}",
                    error=share * 9, share=share,
                )
            )  # fmt: skip
