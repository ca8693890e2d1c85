"""Judgements as rows of the store: plain conversion, nothing is read or written."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from aemon.detection.detector import Detector
from aemon.detection.judgement import Explanation, Judgement
from aemon.frame import Frame, printable
from aemon.records import Watermark
from aemon.service.cold_start import is_provisional
from aemon.store.artifacts import pack
from aemon.store.bulk import Same
from aemon.store.detectors import NewDetector, StoredDetector
from aemon.store.verdicts import VerdictRows

if TYPE_CHECKING:
    from aemon.store.store import Row


def verdict_rows(
    frame: Frame,
    judgement: Judgement,
    explanations: Sequence[Explanation],
    *,
    stored: StoredDetector,
    hashes: npt.NDArray[np.int64],
    late: npt.NDArray[np.bool_],
    scored_at: datetime,
) -> VerdictRows:
    """Rows for one judged frame; `explanations` are those of all over the line, in order."""
    count = len(frame)
    scores = {
        "record_key": frame.keys.tolist(),
        "entity": frame.entities.tolist(),
        "event_time": frame.times,
        "scored_at": Same(scored_at, count),
        "score": _nullable(judgement.scores, judgement.absent),
        "p_value": _nullable(judgement.p_values, judgement.absent),
        "exceedance": _nullable(judgement.exceedances, judgement.absent),
        "verdict": judgement.verdicts.tolist(),
        "detector_id": Same(stored.id, count),
        "threshold_id": Same(stored.threshold_id, count),
        "provisional": Same(is_provisional(stored), count),
        "late": late.tolist(),
        "imputed_share": judgement.imputed_shares.tolist(),
        "record_hash": hashes.tolist(),
    }
    anomalies: list[Row] = []
    contributions: list[Row] = []
    for row, explanation in zip(
        np.flatnonzero(judgement.over_the_line).tolist(), explanations, strict=True
    ):
        identity = {"record_key": frame.keys[row], "entity": frame.entities[row]}
        anomalies.append(
            {
                **identity,
                "event_time": frame.aware_time(row),
                "severity": judgement.severity(row).value,
                "reason": printable(explanation.reason),
                "observed": _jsonable(explanation.observed),
                "reconstructed": _jsonable(explanation.reconstructed),
                "quiet": judgement.quiet[row].value if row in judgement.quiet else None,
            }
        )
        contributions += [
            {
                **identity,
                "rank": part.rank,
                "feature": printable(part.column),
                "observed": _number(part.observed),
                "reconstructed": _number(part.reconstructed),
                "observed_text": _text(part.observed),
                "reconstructed_text": _text(part.reconstructed),
                "error": part.error,
                "share": part.share,
            }
            for part in explanation.contributions
        ]
    return VerdictRows(scores=scores, anomalies=anomalies, contributions=contributions)


def detector_rows(detector: Detector, watermark: Watermark | None, source: str) -> NewDetector:
    """A trained detector as the store keeps it; `source` is whose watermark it is."""
    arrays, metadata = detector.state()
    provenance = detector.provenance
    names = (
        "trained_from", "trained_until", "training_records", "validation_records",
        "calibration_records", "seed", "validation_error", "settings_hash", "feature_map_hash",
        "data_hash", "versions",
    )  # fmt: skip
    return NewDetector(
        artifact=pack(arrays, metadata),
        columns={name: getattr(provenance, name) for name in names},
        threshold={
            "value": detector.threshold.value,
            "method": detector.threshold.method,
            "false_alarm_rate": detector.threshold.false_alarm_rate,
            "calibration_records": provenance.calibration_records,
        },
        watermark=watermark,
        source=source,
    )


def _nullable(values: npt.NDArray[np.float64], absent: npt.NDArray[np.bool_]) -> list[Any]:
    """Numbers a database may hold: PostgreSQL calls NaN larger than every number."""
    known = np.isfinite(values) & ~absent
    return [value if there else None for value, there in zip(values.tolist(), known, strict=True)]


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _text(value: object) -> str | None:
    """A value for people: six significant digits, so that binary noise is not shown."""
    if value is None:
        return None
    return f"{value:.6g}" if isinstance(value, float) else printable(str(value))


def _jsonable(values: dict[str, Any]) -> dict[str, Any]:
    return {printable(name): _jsonable_cell(value) for name, value in values.items()}


def _jsonable_cell(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return printable(value) if isinstance(value, str) else value
