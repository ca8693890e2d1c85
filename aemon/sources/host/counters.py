"""The kernel's counters of this machine, read by psutil; an unavailable counter is NaN."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import psutil

COLUMNS = (
    "cpu_user_percent",
    "cpu_system_percent",
    "cpu_iowait_percent",
    "load1",
    "memory_used_percent",
    "swap_used_percent",
    "disk_used_percent",
    "processes",
    "disk_read_bytes_per_second",
    "disk_written_bytes_per_second",
    "network_received_bytes_per_second",
    "network_sent_bytes_per_second",
    "context_switches_per_second",
)
"""The columns of a record of a machine, in this order. `disk_used_percent` is for `/`."""

Counters = dict[str, float]
"""Counter -> value of one reading; NaN if this machine or container does not show the counter."""


class _Reading(NamedTuple):
    """One psutil call and the numbers taken from its result."""

    call: Callable[[], Any]
    take: dict[str, Callable[[Any], float]]


_READINGS = (
    _Reading(
        psutil.cpu_times,
        {
            "cpu_user": lambda t: t.user + getattr(t, "nice", 0.0),
            "cpu_system": lambda t: t.system + getattr(t, "irq", 0.0) + getattr(t, "softirq", 0.0),
            "cpu_iowait": lambda t: getattr(t, "iowait", math.nan),
            # The time of guests is already part of the user time.
            "cpu_total": lambda t: (
                sum(t) - getattr(t, "guest", 0.0) - getattr(t, "guest_nice", 0.0)
            ),
        },
    ),
    _Reading(psutil.getloadavg, {"load1": lambda load: load[0]}),
    _Reading(psutil.virtual_memory, {"memory_used_percent": lambda m: m.percent}),
    _Reading(psutil.swap_memory, {"swap_used_percent": lambda m: m.percent}),
    _Reading(lambda: psutil.disk_usage("/"), {"disk_used_percent": lambda d: d.percent}),
    _Reading(psutil.pids, {"processes": len}),
    _Reading(
        psutil.disk_io_counters,
        {"disk_read_bytes": lambda d: d.read_bytes, "disk_written_bytes": lambda d: d.write_bytes},
    ),
    _Reading(
        psutil.net_io_counters,
        {
            "network_received_bytes": lambda n: n.bytes_recv,
            "network_sent_bytes": lambda n: n.bytes_sent,
        },
    ),
    _Reading(psutil.cpu_stats, {"context_switches": lambda s: s.ctx_switches}),
)


def read_counters() -> Counters:
    """Return the current values of all counters."""
    counters: Counters = {}
    for reading in _READINGS:
        try:
            answer = reading.call()
            counters |= {name: float(take(answer)) for name, take in reading.take.items()}
        # psutil fails in many ways where /proc is restricted: None, OSError, ValueError, ...
        except Exception:  # noqa: BLE001 -- a missing counter must not hide other counters
            counters |= dict.fromkeys(reading.take, math.nan)
    return counters


def values_between(earlier: Counters, later: Counters, seconds: float) -> tuple[float, ...]:
    """Return the values of `COLUMNS` for the time between two readings; NaN: not known."""
    grown = {name: _growth(earlier[name], later[name]) for name in later}
    values = {**later}
    for name in ("cpu_user", "cpu_system", "cpu_iowait"):
        values[f"{name}_percent"] = _ratio(100 * grown[name], grown["cpu_total"])
    values |= {f"{name}_per_second": _ratio(more, seconds) for name, more in grown.items()}
    return tuple(values[column] for column in COLUMNS)


def _growth(earlier: float, later: float) -> float:
    """Return how much a counter grew; NaN if the counter fell, which shows a reset."""
    return later - earlier if later >= earlier else math.nan


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else math.nan
