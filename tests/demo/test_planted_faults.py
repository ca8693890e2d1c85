import itertools
import math

import numpy as np
import pandas as pd
import pytest
from sklearn.covariance import EmpiricalCovariance

from aemon.demo.plant import COLUMNS, Plant
from aemon.demo.planted_faults import Fault, FaultKind, fault_schedule, plant_faults

SEEDS = range(8)
LEARNED = 1000  # records: the first 25 s
NUMBERS = list(COLUMNS)


def by_kind(seed, kind, count=1):
    faults = (fault for fault in fault_schedule(Plant(seed=seed)) if fault.kind is kind)
    return list(itertools.islice(faults, count))


def during(plant, fault):
    first, last = round(fault.start_seconds * 10), round(fault.end_seconds * 10)
    healthy = plant.readings(fault.pump, first, last)
    return healthy, plant_faults(plant, healthy, [fault])


@pytest.mark.parametrize("seed", SEEDS)
def test_all_five_kinds_fit_into_a_demo_of_ninety_seconds(seed):
    faults = list(fault_schedule(Plant(seed=seed), until=85))
    assert [fault.kind for fault in faults] == list(FaultKind)
    assert faults[0].start_seconds == 40
    assert faults[-1].end_seconds <= 85


def test_faults_follow_one_another_with_pauses_on_changing_pumps_for_ever():
    faults = list(itertools.islice(fault_schedule(Plant(seed=7)), 40))
    for fault, following in itertools.pairwise(faults):
        assert following.start_seconds == pytest.approx(fault.end_seconds + 4)
        assert following.pump != fault.pump
    assert {fault.pump for fault in faults} == {"p1", "p2", "p3", "p4"}


def test_the_same_seed_plants_the_same_faults():
    assert list(fault_schedule(Plant(seed=3), until=300)) == list(
        fault_schedule(Plant(seed=3), until=300)
    )
    assert list(fault_schedule(Plant(seed=3), until=85)) != list(
        fault_schedule(Plant(seed=4), until=85)
    )


def test_a_plant_of_one_pump_gets_all_its_faults_there():
    faults = list(fault_schedule(Plant(seed=7, pumps=("only",)), until=85))
    assert [fault.pump for fault in faults] == ["only"] * 5


def test_faults_come_out_alike_however_readings_are_cut():
    plant = Plant(seed=7)
    for fault in fault_schedule(plant, until=85):
        first = round(fault.start_seconds * 10) - 5
        whole = plant_faults(plant, plant.readings(fault.pump, first, first + 60), [fault])
        for start in range(first, first + 60, 7):
            end = min(start + 7, first + 60)
            piece = plant_faults(plant, plant.readings(fault.pump, start, end), [fault])
            for name in NUMBERS:
                expected = whole.numbers[name][start - first : end - first]
                assert np.array_equal(piece.numbers[name], expected, equal_nan=True)


def test_a_fault_touches_only_its_pump_its_time_and_its_columns():
    plant = Plant(seed=7)
    for fault in fault_schedule(plant, until=85):
        for pump in plant.pumps:
            healthy = plant.readings(pump, 0, 900)
            readings = plant_faults(plant, healthy, [fault])
            inside = (healthy.seconds >= fault.start_seconds) & (
                healthy.seconds < fault.end_seconds
            )
            for name in NUMBERS:
                changed = readings.numbers[name] != healthy.numbers[name]
                if pump == fault.pump and name in fault.columns:
                    assert changed[inside].sum() >= 45
                    assert not changed[~inside].any()
                else:
                    assert not changed.any()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_stuck_sensor_repeats_its_first_value_while_the_load_moves(seed):
    plant = Plant(seed=seed)
    for fault in by_kind(seed, FaultKind.STUCK_SENSOR, 3):
        healthy, faulty = during(plant, fault)
        assert set(faulty.numbers["flow"]) == {healthy.numbers["flow"][0]}
        assert np.abs(healthy.load - healthy.load[0]).max() > 0.5


def test_a_leak_lowers_pressure_and_flow_and_leaves_the_current():
    plant = Plant(seed=7)
    (fault,) = by_kind(7, FaultKind.LEAK)
    healthy, faulty = during(plant, fault)
    for name in ("pressure", "flow"):
        assert (faulty.numbers[name] < healthy.numbers[name]).all()
    assert np.array_equal(faulty.numbers["current"], healthy.numbers["current"])


def test_bearing_wear_grows():
    plant = Plant(seed=7)
    (fault,) = by_kind(7, FaultKind.BEARING_WEAR)
    healthy, faulty = during(plant, fault)
    for name in ("vibration", "temperature"):
        extra = faulty.numbers[name] - healthy.numbers[name]
        assert extra[0] == pytest.approx(0, abs=0.01)
        assert (np.diff(extra) > 0).all()


def test_a_drop_out_reads_nought_or_nothing():
    plant = Plant(seed=7)
    (fault,) = by_kind(7, FaultKind.DROP_OUT)
    _, faulty = during(plant, fault)
    values = faulty.numbers[fault.columns[0]]
    missing = np.isnan(values)
    assert 0.2 < missing.mean() < 0.3
    assert (values[~missing] == 0).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_broken_correlation_leaves_every_single_value_in_its_pumps_normal_range(
    seed, plant_table, inside
):
    plant = Plant(seed=seed)
    for fault in by_kind(seed, FaultKind.BROKEN_CORRELATION, 3):
        table = plant_table(plant, fault.end_seconds, [fault])
        learned = table[:LEARNED]
        normal = learned[learned.pump == fault.pump]
        faulty = table[inside(table, fault)]
        assert len(faulty) == 50
        for name in fault.columns:
            assert (faulty[name] >= normal[name].min()).all()
            assert (faulty[name] <= normal[name].max()).all()


def test_a_broken_correlation_moves_current_against_flow():
    plant = Plant(seed=7)
    (fault,) = by_kind(7, FaultKind.BROKEN_CORRELATION)
    healthy, faulty = during(plant, fault)
    assert np.corrcoef(healthy.numbers["current"], healthy.numbers["flow"])[0, 1] > 0.8
    assert np.corrcoef(faulty.numbers["current"], faulty.numbers["flow"])[0, 1] < -0.6


@pytest.mark.parametrize("seed", SEEDS)
def test_a_plain_multivariate_detector_flags_every_fault_within_seconds(seed, plant_table, inside):
    # Given a distance from what pump and valve explain, learned from the first 1,000 records
    faults = list(fault_schedule(Plant(seed=seed), until=85))
    table = plant_table(Plant(seed=seed), 90, faults)
    numbers = table[NUMBERS].fillna(table[NUMBERS][:LEARNED].mean()).to_numpy()
    given = pd.get_dummies(table[["pump", "valve"]], drop_first=True, dtype=float)
    given = given.assign(one=1.0).to_numpy()
    explained = np.linalg.lstsq(given[:LEARNED], numbers[:LEARNED], rcond=None)[0]
    left = numbers - given @ explained
    scores = EmpiricalCovariance().fit(left[:LEARNED]).mahalanobis(left)
    # When the rest is judged by a line somewhat above all of those scores
    flagged = scores > 1.2 * scores[:LEARNED].max()
    # Then every fault is seen soon and often, and hardly a normal record is flagged
    normal = table.seconds >= LEARNED / 40
    for fault in faults:
        touched = inside(table, fault)
        normal &= ~touched
        seen = table.seconds[touched & flagged]
        assert len(seen) >= 5, fault
        assert seen.min() - fault.start_seconds <= 3, fault
    assert flagged[normal].mean() <= 0.0015


def test_a_faults_end_is_its_start_and_its_length():
    fault = Fault(
        kind=FaultKind.LEAK, pump="p1", start_seconds=40.0, seconds=5.0, columns=("flow",)
    )
    assert fault.end_seconds == 45
    assert math.isfinite(fault.end_seconds)
