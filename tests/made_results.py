"""Results of a monitor as a run saves them: a detector, verdicts a minute apart, some flagged."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from aemon.records import Watermark
from aemon.store.bulk import as_columns
from aemon.store.detectors import NewDetector, StoredDetector, active_detector, save_detector
from aemon.store.store import Store
from aemon.store.verdicts import VerdictRows
from tests.saving import Committed, save_all

T0 = datetime(2026, 3, 1, 8, tzinfo=UTC)
THRESHOLD = 2.0


def made_detector(store: Store, monitor: str) -> StoredDetector:
    """A first detector, without weights that anybody could load."""
    save_detector(
        store,
        monitor,
        NewDetector(
            artifact=f"weights of {monitor}".encode(),
            columns={
                "trained_from": T0 - timedelta(hours=1), "trained_until": T0,
                "training_records": 640, "validation_records": 160, "calibration_records": 200,
                "seed": 0, "validation_error": 0.12, "settings_hash": "s",
                "feature_map_hash": "f", "data_hash": "d", "versions": {"aemon": "0.1.0"},
            },
            threshold={
                "value": THRESHOLD, "method": "conformal", "false_alarm_rate": 0.01,
                "calibration_records": 200,
            },
        ),
    )  # fmt: skip
    stored = active_detector(store, monitor)
    assert stored is not None
    return stored


@dataclass(frozen=True)
class MadeResults:
    """Results of a monitor: record `n` of an entity happened `n` steps after `T0`.

    The score of record `n` is `n % 10 / 10`, and of a flagged one 9.
    """

    monitor: str = "pumps"
    records: int = 20
    entities: tuple[str, ...] = ("p1",)
    flagged: Collection[int] = ()
    step: timedelta = timedelta(minutes=1)

    def save(self, store: Store) -> Committed:
        detector = active_detector(store, self.monitor) or made_detector(store, self.monitor)
        identities = [(n, entity) for n in range(self.records) for entity in self.entities]
        rows = [self._score(n, entity, detector) for n, entity in identities]
        columns: Any = dict(as_columns(rows) or {})
        naive = [time.replace(tzinfo=None) for time in columns["event_time"]]
        found = [(n, entity) for n, entity in identities if n in self.flagged]
        made = VerdictRows(
            scores=rows,
            anomalies=[self._anomaly(*one) for one in found],
            contributions=[row for one in found for row in self._contributions(*one)],
        )
        made = replace(made, scores=columns | {"event_time": np.array(naive, "datetime64[us]")})
        last = self.records - 1
        to = Watermark(event_time=self.time(last), record_key=str(last), position="{}")
        return save_all(store, self.monitor, made, store.mark(self.monitor), to)

    def time(self, number: int) -> datetime:
        return T0 + number * self.step

    def _score(self, number: int, entity: str, detector: StoredDetector) -> dict[str, Any]:
        flagged = number in self.flagged
        score = 9.0 if flagged else number % 10 / 10
        return {
            "entity": entity, "record_key": f"{number:06d}", "event_time": self.time(number),
            "scored_at": self.time(number) + timedelta(seconds=5), "score": score,
            "p_value": 0.001 if flagged else 0.5, "exceedance": score / THRESHOLD,
            "verdict": "anomaly" if flagged else "normal", "detector_id": detector.id,
            "threshold_id": detector.threshold_id, "late": False, "imputed_share": 0.0,
            "record_hash": number,
        }  # fmt: skip

    def _anomaly(self, number: int, entity: str) -> dict[str, Any]:
        return {
            "entity": entity, "record_key": f"{number:06d}", "event_time": self.time(number),
            "severity": "warning", "reason": "flow 1 where 5 was expected",
            "observed": {"flow": 1.0, "valve": "open"},
            "reconstructed": {"flow": 5.0, "valve": "open"},
        }  # fmt: skip

    def _contributions(self, number: int, entity: str) -> list[dict[str, Any]]:
        shares = {"flow": 0.75, "valve": 0.25}
        return [
            {
                "entity": entity, "record_key": f"{number:06d}", "rank": rank, "feature": feature,
                "observed": 1.0, "reconstructed": 5.0, "observed_text": "1",
                "reconstructed_text": "5", "error": 4.0, "share": share,
            }
            for rank, (feature, share) in enumerate(shares.items(), start=1)
        ]  # fmt: skip
