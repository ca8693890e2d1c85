"""Converts judgements to rows of the store, without reading from or writing to the store."""

import math
import zlib
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from aemon.frame import printable
from aemon.lifecycle.cold_start import is_provisional
from aemon.monitoring.judged import Judged
from aemon.store.bulk import Same
from aemon.store.detectors import StoredDetector
from aemon.store.verdicts import VerdictRows
from aemon.texts import cut

if TYPE_CHECKING:
    from aemon.store.store import Row

LONGEST_CELL = 10_000  # characters of one cell of a flagged record; longer text is cut


def verdict_rows(judged: Judged, stored: StoredDetector, scored_at: datetime) -> VerdictRows:
    """Return the rows of N judged records for the tables of verdicts.

    Args:
        judged: the records, with their judgement.
        stored: the detector that judged the records.
        scored_at: scoring time, aware UTC.
    """
    frame, judgement = judged.frame, judged.judgement
    count = len(frame)
    scores = {
        "record_key": frame.keys.tolist(),
        "entity": frame.entities.tolist(),
        "event_time": frame.times,
        "scored_at": Same(scored_at, count),
        "score": _nullable(judgement.scores, judgement.unjudged),
        "raw_score": _nullable(judgement.raw_scores, judgement.unjudged),
        "p_value": _nullable(judgement.p_values, judgement.unjudged),
        "exceedance": _nullable(judgement.exceedances, judgement.unjudged),
        "verdict": judgement.verdicts.tolist(),
        "detector_id": Same(stored.id, count),
        "threshold_id": Same(stored.threshold_id, count),
        "provisional": Same(is_provisional(stored), count),
        "late": judged.late.tolist(),
        "imputed_share": judgement.imputed_shares.tolist(),
        "record_hash": record_hashes(frame.values).tolist(),
    }
    anomalies: list[Row] = []
    contributions: list[Row] = []
    for row, explanation in zip(
        np.flatnonzero(judgement.over_threshold).tolist(), judged.explanations, strict=True
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


def _nullable(
    values: npt.NDArray[np.float64] | None, unjudged: npt.NDArray[np.bool_]
) -> Sequence[Any]:
    """Return numbers with None for unjudged records, NaN and infinity.

    NaN is not stored, because PostgreSQL sorts NaN above every number.
    """
    if values is None:
        return Same(None, len(unjudged))
    known = np.isfinite(values) & ~unjudged
    return [
        value if present else None for value, present in zip(values.tolist(), known, strict=True)
    ]


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _text(value: object) -> str | None:
    """Return a value as text for people; None stays None.

    A float has six significant digits, so rounding errors of floats are not shown.
    """
    if value is None:
        return None
    return f"{value:.6g}" if isinstance(value, float) else _shortened(str(value))


def _shortened(text: str) -> str:
    """Return text cut to `LONGEST_CELL`: databases limit cells, and people read short texts."""
    return cut(printable(text), LONGEST_CELL)


def _jsonable(values: dict[str, Any]) -> dict[str, Any]:
    return {printable(name): _jsonable_cell(value) for name, value in values.items()}


def _jsonable_cell(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return _shortened(value) if isinstance(value, str) else value


Hashes = npt.NDArray[np.int64]

_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: mixes the bits of each term of a sum


def record_hashes(values: pd.DataFrame) -> Hashes:
    """Return a 64-bit fingerprint (N,) of each of N records, over all columns.

    A fingerprint does not depend on the other records of the fetch. A whole number keeps its
    fingerprint if its column became floating because a value is missing in another record. Columns
    are identified by name, so their order does not matter. The fingerprint shows changes; it does
    not protect against forgery.
    """
    total = np.zeros(len(values), dtype=np.uint64)
    with np.errstate(over="ignore"):  # sums modulo 2^64 are intended
        for name, column in values.items():
            total += _hash_cells(column) * (_ODD ^ np.uint64(zlib.crc32(str(name).encode()) | 1))
    return total.view(np.int64)


def _hash_cells(column: "pd.Series[Any]") -> npt.NDArray[np.uint64]:
    missing = column.isna().to_numpy(dtype=bool)
    plain = column.astype(object) if column.dtype.kind not in "iuf" else column
    numbers = pd.to_numeric(plain, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    # Adding 0 turns -0.0 into 0.0.
    hashes = pd.util.hash_array(numbers + 0.0)
    words = np.isnan(numbers) & ~missing
    if words.any():
        texts = np.array([_written(cell) for cell in column[words]], dtype=object)
        hashes[words] = pd.util.hash_array(texts, categorize=True)
    hashes[missing] = 0
    return np.asarray(hashes, dtype=np.uint64)


def _written(cell: object) -> str:
    """Return a cell as text; the same cell gives the same text in every read."""
    text = repr(bytes(cell)) if isinstance(cell, memoryview) else str(cell)
    return text.encode("utf-8", "backslashreplace").decode()  # a lone surrogate has no UTF-8 form
