"""Fingerprints of records, by which a corrected one is told from one that is as it was."""

import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

Hashes = npt.NDArray[np.int64]

_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: spreads what is added up


def record_hashes(values: pd.DataFrame) -> Hashes:
    """A 64-bit fingerprint (N,) of each of N records, over all columns.

    It does not depend on what else was fetched: a whole number reads as the same where a missing
    neighbour made its column floating, and columns count by name, in any order. It guards against
    mistakes, not against forgers.
    """
    total = np.zeros(len(values), dtype=np.uint64)
    with np.errstate(over="ignore"):  # wrapping is the point
        for name, column in values.items():
            total += _hash_cells(column) * (_ODD ^ np.uint64(zlib.crc32(str(name).encode()) | 1))
    return total.view(np.int64)


def _hash_cells(column: "pd.Series[Any]") -> npt.NDArray[np.uint64]:
    missing = column.isna().to_numpy(dtype=bool)
    plain = column.astype(object) if column.dtype.kind not in "iuf" else column
    numbers = pd.to_numeric(plain, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    # Adding 0 makes one zero of two.
    hashes = pd.util.hash_array(numbers + 0.0)
    words = np.isnan(numbers) & ~missing
    if words.any():
        texts = np.array([_written(cell) for cell in column[words]], dtype=object)
        hashes[words] = pd.util.hash_array(texts, categorize=True)
    hashes[missing] = 0
    return np.asarray(hashes, dtype=np.uint64)


def _written(cell: object) -> str:
    """A cell as text, the same whenever and wherever it is read."""
    return repr(bytes(cell)) if isinstance(cell, memoryview) else str(cell)
