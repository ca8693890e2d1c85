"""The real detector on the simulated plant, as the demo's daemon sees it."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
import yaml

from aemon.config.schema import Config
from aemon.demo.files import write_demo_files
from aemon.demo.plant import Plant
from aemon.demo.planted_faults import fault_schedule
from aemon.demo.score_card import FlaggedMoment, PlantedFault, score_card
from aemon.detection.learning import train_detector
from aemon.frame import Roles, check_frame

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize("seed", [7, 0])
def test_the_demos_detector_flags_every_fault_and_hardly_anything_else(seed, plant_table, tmp_path):
    # Given ninety seconds of the plant and the demo's own configuration
    plant = Plant(seed=seed)
    faults = list(fault_schedule(plant, until=85))
    table = plant_table(plant, 90, faults)
    times = pd.Timestamp(START) + pd.to_timedelta(table.pop("seconds"), unit="s")
    table = table.rename(columns={"pump": "pump_id"}).assign(ts=times, id=range(len(table)))
    files = write_demo_files(tmp_path)
    monitor = Config.model_validate(yaml.safe_load(files.config.read_text())).monitors["pumps"]
    frame = check_frame(table, Roles(time="ts", key="id", entity="pump_id"))
    # When a detector learns from its first records and judges the others
    detector = train_detector(
        frame.take(slice(0, monitor.min_records)), monitor.learning, seed=monitor.detector.seed
    )
    judged = frame.take(slice(monitor.min_records, None))
    anomalous = np.asarray(detector.judge(judged).anomalous)
    # Then every fault is flagged within three seconds, with few false alarms
    card = score_card(
        [
            PlantedFault(
                kind=fault.kind,
                pump=fault.pump,
                started_at=START + timedelta(seconds=fault.start_seconds),
                ended_at=START + timedelta(seconds=fault.end_seconds),
                columns=fault.columns,
            )
            for fault in faults
        ],
        [
            FlaggedMoment(pump=judged.entities[row], event_time=times[monitor.min_records + row])
            for row in np.flatnonzero(anomalous)
        ],
        newest_judged=times.iloc[-1],
        records_judged_normal=int((~anomalous).sum()),
    )
    assert (card.planted, card.missed) == (5, 0)
    assert max(fault.seconds_until_flagged for fault in card.faults) <= 3
    assert card.false_alarm_share <= 0.002
