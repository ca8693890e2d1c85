"""Records at the beginning of a history in which nothing moves."""

import numpy as np
import pandas as pd

from aemon.frame import Frame
from aemon.lifecycle.idle_records import LEAST_IDLE, idle_at_first


def frame_of(values: dict[str, object], entities: object = "") -> Frame:
    table = pd.DataFrame(values)
    n = len(table)
    return Frame(
        times=np.datetime64("2026-01-01", "us") + np.arange(n).astype("timedelta64[s]"),
        keys=np.arange(n).astype(str).astype(object),
        entities=np.array([entities] * n if isinstance(entities, str) else entities, dtype=object),
        values=table,
    )


LIVE = np.random.default_rng(0).normal(5, 1, 200)


def test_zeros_before_commissioning_are_idle_and_what_follows_is_not():
    flow, state = np.r_[np.zeros(100), LIVE], ["OFF"] * 100 + ["RUN"] * 200
    found = idle_at_first(frame_of({"flow": flow, "state": state}), ["flow", "state"])
    assert found[:100].all()
    assert not found[100:].any()


def test_constants_and_missing_values_are_idle_too():
    flow = np.r_[np.full(100, np.nan), LIVE]
    level = np.r_[np.full(100, 3.2), LIVE]
    assert idle_at_first(frame_of({"flow": flow, "level": level}), ["flow", "level"]).sum() == 100


def test_a_row_number_beside_zeros_is_no_sign_of_life():
    values = {"number": np.arange(300), "flow": np.r_[np.zeros(100), LIVE]}
    assert idle_at_first(frame_of(values), ["number", "flow"]).sum() == 100


def test_a_state_that_comes_again_is_normal():
    flow = np.r_[np.zeros(100), LIVE, np.zeros(5)]
    assert not idle_at_first(frame_of({"flow": flow}), ["flow"]).any()


def test_few_records_alike_and_a_plant_that_never_moves_are_left_alone():
    flow = np.r_[np.zeros(LEAST_IDLE - 1), LIVE]
    assert not idle_at_first(frame_of({"flow": flow}), ["flow"]).any()
    assert not idle_at_first(frame_of({"flow": np.zeros(300)}), ["flow"]).any()
    assert not idle_at_first(frame_of({"flow": LIVE[:0]}), ["flow"]).any()


def test_each_entity_begins_on_its_own():
    flow = np.r_[LIVE[:100], np.zeros(100), LIVE[:60]]
    entities = ["old"] * 100 + ["new"] * 160
    found = idle_at_first(frame_of({"flow": flow}, entities), ["flow"])
    assert found.sum() == 100
    assert found[100:200].all()
