"""Provenance of a detector: what is needed to distinguish detectors and to repeat a training."""

import hashlib
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import pandas as pd

import aemon
from aemon.frame import Frame


@dataclass(frozen=True, kw_only=True, eq=True)
class Provenance:
    """Origin of a detector: data, settings, versions. Times are in UTC, hashes are SHA-256."""

    trained_from: datetime
    trained_until: datetime
    training_records: int
    validation_records: int
    calibration_records: int
    seed: int
    validation_error: float
    settings_hash: str
    feature_map_hash: str
    data_hash: str
    versions: dict[str, str]
    seconds: float

    def to_metadata(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        times = {
            "trained_from": self.trained_from.isoformat(),
            "trained_until": self.trained_until.isoformat(),
        }
        return asdict(self) | times

    @classmethod
    def from_metadata(cls, metadata: dict[str, Any]) -> "Provenance":
        """Return the provenance that `to_metadata` wrote."""
        names = ("trained_from", "trained_until")
        times = {name: datetime.fromisoformat(metadata[name]) for name in names}
        return cls(**(metadata | times))


def hash_frame(frame: Frame) -> str:
    """Return the SHA-256 of a frame: column names, times, entities and every cell."""
    table = frame.values
    digest = hashlib.sha256("\x1f".join(map(str, table.columns)).encode())
    digest.update(frame.times.astype("datetime64[us]").astype(np.int64).tobytes())
    digest.update("\x1f".join(map(str, frame.entities)).encode())
    for place in range(table.shape[1]):
        column = table.iloc[:, place]
        if column.dtype == object:  # pandas cannot hash some values, or mixtures of types
            column = column.map(_written)
        digest.update(pd.util.hash_pandas_object(column, index=False).to_numpy().tobytes())
    return digest.hexdigest()


def _written(value: object) -> str:
    """Return a cell as text; the text of a value is the same each time it is read."""
    return repr(bytes(value) if isinstance(value, memoryview) else value)


def versions() -> dict[str, str]:
    """Return the versions of the packages that influence the result of a training.

    torch is not imported to find its version.
    """
    found = {"aemon": aemon.__version__}
    for name in ("torch", "numpy", "pandas"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found
