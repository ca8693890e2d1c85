"""Made-up records for tests: three columns that hang together, and times a second apart."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

START = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = ("flow REAL", "pressure REAL", "current REAL")
LEARNED = 200  # records that a first detector learns from


def values(count: int, *, seed: int = 0, first: int = 0) -> np.ndarray:
    """(count, 3): flow, pressure and current under one load; the same record for the same number."""
    rows = []
    for number in range(first, first + count):
        rng = np.random.default_rng([seed, number])
        load = rng.uniform(0.2, 1.0)
        noise = rng.normal(size=3) * 0.02
        rows.append([10 * load + noise[0], 4 - 2 * load + noise[1], 3 * load + noise[2]])
    return np.array(rows).reshape(count, 3)


def rows(count: int, *, first: int = 0, seed: int = 0) -> Iterator[tuple[Any, ...]]:
    """(id, ts, flow, pressure, current) as a table holds them."""
    for number, row in enumerate(values(count, seed=seed, first=first).tolist(), start=first):
        yield (number, (START + timedelta(seconds=number)).isoformat(), *row)


def table(count: int, *, first: int = 0, seed: int = 0) -> pd.DataFrame:
    return pd.DataFrame(
        list(rows(count, first=first, seed=seed)),
        columns=["id", "ts", "flow", "pressure", "current"],
    )
