"""The kinds of source that the demo can read its plant through, and the plant's size for each."""

from dataclasses import dataclass
from enum import StrEnum


class DemoSource(StrEnum):
    """How the plant's readings reach the daemon."""

    SQL = "sql"
    MQTT = "mqtt"
    PROMETHEUS = "prometheus"


@dataclass(frozen=True, kw_only=True, slots=True)
class PlantSize:
    """How large a plant is, and when it begins to fail.

    Attributes:
        pumps: how many there are.
        past_seconds: readings older than this at most are sent at once in the beginning.
        first_fault_seconds: from the plant's first reading to its first fault.
    """

    pumps: int = 4
    past_seconds: float = 0.0
    first_fault_seconds: float = (
        40.0  # 1,000 records are there after 25 s; the rest is for training
    )


PLANT_SIZES = {
    DemoSource.SQL: PlantSize(),
    # A gateway that was offline sends what it has kept: 1,000 records, with their own times.
    DemoSource.MQTT: PlantSize(past_seconds=25.0),
    # aemon asks Prometheus for whole seconds: a tenth of the records of each pump, so ten times
    # the pumps. 500 records are there after 13 s.
    DemoSource.PROMETHEUS: PlantSize(pumps=40, first_fault_seconds=18.0),
}
