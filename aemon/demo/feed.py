"""The plant as a separate process: `python -m aemon.demo.feed --url sqlite:///plant.db`.

The process writes in real time. It ends at SIGTERM, at SIGINT, after `--seconds`, or when its
parent process ends.
"""

import argparse
import contextlib
import math
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import Final

from aemon.clock import Clock, utc_now
from aemon.demo.plant import COLUMNS, PUMPS, TICKS_PER_SECOND, Plant
from aemon.demo.plant_database import Reading, open_plant_database, path_of, text_of, write
from aemon.demo.plant_outputs import Output, mqtt_output, prometheus_output
from aemon.demo.planted_faults import FIRST_FAULT_SECONDS, Fault, fault_schedule, plant_faults
from aemon.demo.score_card import PlantedFault
from aemon.errors import AemonError

WRITE_EVERY_SECONDS: Final = 0.2
QUIET_END_SECONDS: Final = 5.0  # from the last fault to the plant's end, for judging the fault


class Feed:
    """The plant's readings and faults up to a time; each reading and fault is returned once."""

    def __init__(self, plant: Plant, started_at: datetime, faults: Iterator[Fault]) -> None:
        self._plant = plant
        self._started_at = started_at.astimezone(UTC)
        self._upcoming = faults
        self._next_fault = next(faults, None)
        self._active: list[Fault] = []
        self._next_tick = 0

    def until(self, now: datetime) -> tuple[list[Reading], list[PlantedFault]]:
        """Return the readings since the last call, up to `now`, and the faults that begin then."""
        elapsed = (now - self._started_at).total_seconds()
        first, last = (
            self._next_tick,
            max(self._next_tick, math.floor(elapsed * TICKS_PER_SECOND) + 1),
        )
        self._next_tick = last
        begun = list(self._begin(last / TICKS_PER_SECOND))
        rows = self._rows(first, last)
        over = first / TICKS_PER_SECOND
        self._active = [fault for fault in self._active if fault.end_seconds > over]
        return rows, begun

    def _begin(self, before: float) -> Iterator[PlantedFault]:
        while self._next_fault is not None and self._next_fault.start_seconds < before:
            fault = self._next_fault
            self._active.append(fault)
            self._next_fault = next(self._upcoming, None)
            yield PlantedFault(
                kind=fault.kind.value,
                pump=fault.pump,
                started_at=self._at(fault.start_seconds),
                ended_at=self._at(fault.end_seconds),
                columns=fault.columns,
            )

    def _rows(self, first: int, last: int) -> list[Reading]:
        """Return the readings of all pumps at the ticks first..last-1, in the order of time."""
        if first == last:
            return []
        rows: list[tuple[int, Reading]] = []
        for pump in self._plant.pumps:
            readings = plant_faults(
                self._plant, self._plant.readings(pump, first, last), self._active
            )
            numbers = zip(*(readings.numbers[name].tolist() for name in COLUMNS), strict=True)
            for tick, throttled, values in zip(
                range(first, last), readings.throttled, numbers, strict=True
            ):
                cells = [None if math.isnan(value) else value for value in values]
                moment = text_of(self._at(tick / TICKS_PER_SECOND))
                valve = "throttled" if throttled else "open"
                rows.append((tick, (moment, pump, *cells, valve)))  # type: ignore[arg-type] # as many cells as columns
        return [row for _, row in sorted(rows, key=lambda ticked: ticked[0])]

    def _at(self, seconds: float) -> datetime:
        return self._started_at + timedelta(seconds=seconds)


def write_in_real_time(
    feed: Feed,
    connection: sqlite3.Connection,
    *,
    stop: Callable[[], bool],
    clock: Clock = utc_now,
    sleep: Callable[[float], None] = time.sleep,
    output: Output | None = None,
) -> None:
    """Write readings and faults when they are due, until `stop` returns True.

    If there is an `output`, readings are sent to this output, and only faults are written to the
    database.
    """
    while not stop():
        readings, faults = feed.until(clock())
        if output is not None:
            output.send(readings)
            readings = []
        write(connection, readings, faults)
        sleep(WRITE_EVERY_SECONDS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the plant until it is stopped. Return the exit code."""
    options = _parser().parse_args(arguments)
    parent = os.getppid()
    stopped = False

    def on_signal(_number: int, _frame: object) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    started = time.monotonic()

    def stop() -> bool:
        # If the demo ends, this process gets a different parent; then the plant ends too.
        too_long = options.seconds is not None and time.monotonic() - started >= options.seconds
        return stopped or too_long or os.getppid() != parent

    plant = Plant(seed=options.seed, pumps=tuple(f"p{n + 1}" for n in range(options.pumps)))
    try:
        with (
            contextlib.closing(open_plant_database(path_of(options.url))) as connection,
            _output(options) as output,
        ):
            if output is not None:
                output.wait(stop)
            begin = utc_now() - timedelta(seconds=options.past)
            until = math.inf
            if options.seconds is not None:  # in seconds from the plant's first reading
                left = options.seconds - (time.monotonic() - started)
                until = options.past + left - QUIET_END_SECONDS
            faults = fault_schedule(plant, first_at=options.first_fault, until=until)
            write_in_real_time(Feed(plant, begin, faults), connection, stop=stop, output=output)
    except (AemonError, sqlite3.Error) as error:
        sys.stderr.write(f"aemon demo plant: {error}\n")
        return int(getattr(error, "exit_code", 1))
    return 0


def _output(options: argparse.Namespace) -> AbstractContextManager[Output | None]:
    """Return the output for the readings; None if readings are written to the database."""
    if options.publish is not None:
        return mqtt_output(options.publish)
    return contextlib.nullcontext() if options.expose is None else prometheus_output(options.expose)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m aemon.demo.feed", description="Simulated pumps that write into SQLite."
    )
    parser.add_argument("--url", required=True, help="such as sqlite:///plant.db")
    parser.add_argument("--seed", type=int, default=7, help="same seed, same readings (default 7)")
    parser.add_argument("--seconds", type=float, help="stop after this many seconds")
    parser.add_argument(
        "--first-fault",
        type=float,
        default=FIRST_FAULT_SECONDS,
        help="seconds until the first planted fault (default %(default)s)",
    )
    parser.add_argument(
        "--pumps", type=int, default=len(PUMPS), help="number of pumps (default %(default)s)"
    )
    parser.add_argument("--past", type=float, default=0, help="age of the first reading in seconds")
    outputs = parser.add_mutually_exclusive_group()
    outputs.add_argument(
        "--publish", type=int, metavar="PORT", help="port of the MQTT broker that gets the readings"
    )
    outputs.add_argument(
        "--expose", type=int, metavar="PORT", help="port at which Prometheus scrapes the readings"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
