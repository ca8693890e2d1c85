"""Shared by the demo's tests."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import pytest

from aemon.demo.plant import TICKS_PER_SECOND, Plant
from aemon.demo.planted_faults import Fault, plant_faults

PlantTable = Callable[..., pd.DataFrame]


@pytest.fixture
def plant_table() -> PlantTable:
    """All records of a plant's first seconds, in time order."""

    def table(plant: Plant, seconds: float, faults: Iterable[Fault] = ()) -> pd.DataFrame:
        faults = tuple(faults)
        parts = []
        for pump in plant.pumps:
            healthy = plant.readings(pump, 0, round(seconds * TICKS_PER_SECOND))
            readings = plant_faults(plant, healthy, faults)
            valve = np.where(readings.throttled > 0, "throttled", "open")
            columns = {
                "seconds": readings.seconds,
                "pump": pump,
                **readings.numbers,
                "valve": valve,
            }
            parts.append(pd.DataFrame(columns))
        together = pd.concat(parts).sort_values(["seconds", "pump"], kind="stable")
        return together.reset_index(drop=True)

    return table


@pytest.fixture
def inside() -> Callable[[pd.DataFrame, Fault], pd.Series]:
    """Which of a table's records a fault touched."""

    def touched(table: pd.DataFrame, fault: Fault) -> pd.Series:
        during = (table.seconds >= fault.start_seconds) & (table.seconds < fault.end_seconds)
        return during & (table.pump == fault.pump)

    return touched
