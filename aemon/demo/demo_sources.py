"""The kinds of source that the demo's plant can use, and the size of the plant for each kind."""

from dataclasses import dataclass
from enum import StrEnum


class DemoSource(StrEnum):
    """The kind of source through which the daemon reads the plant."""

    SQL = "sql"
    MQTT = "mqtt"
    PROMETHEUS = "prometheus"


@dataclass(frozen=True, kw_only=True, slots=True)
class PlantSize:
    """The number of pumps in a plant, its history, and the time of its first fault.

    Attributes:
        pumps: number of pumps.
        past_seconds: age of the plant's first reading when the plant starts; all readings of this
            period are sent together at the start.
        first_fault_seconds: time from the plant's first reading to its first fault.
    """

    pumps: int = 4
    past_seconds: float = 0.0
    first_fault_seconds: float = (
        40.0  # 1,000 records exist after 25 s; the rest of the time is for training
    )


PLANT_SIZES = {
    DemoSource.SQL: PlantSize(),
    # Like a gateway after a time offline, the plant sends 1,000 old records with their own times.
    DemoSource.MQTT: PlantSize(past_seconds=25.0),
    # aemon reads from Prometheus once a second: a tenth of the records of each pump. So the plant
    # has ten times as many pumps. 500 records exist after 13 s.
    DemoSource.PROMETHEUS: PlantSize(pumps=40, first_fault_seconds=18.0),
}
