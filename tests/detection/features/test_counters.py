import numpy as np
import pytest

from aemon.detection.features.counters import is_counter

N = 1000
rng = np.random.default_rng(0)
NOBODY = np.full(N, "", dtype=object)


@pytest.mark.parametrize(
    ("numbers", "direction"),
    [
        (np.arange(N), "rises"),
        (15000 + np.cumsum(rng.uniform(0, 1, N)), "rises"),
        (np.cumsum(rng.random(N) < 0.1), "rises"),
        (1e6 - np.cumsum(rng.uniform(0, 1, N)), "falls"),
        (np.cumsum(rng.uniform(0, 1, N)) % 300, "rises"),
        (np.arange(N) // 20, "rises"),
        (np.arange(N) // 160, "rises"),
        (np.arange(N) // 400, ""),
        (np.cumsum(rng.normal(size=N)), ""),
        (np.sin(np.arange(N) / 50), ""),
        (np.arange(N) >= N / 2, ""),
        (np.arange(N) % 50, ""),
        (rng.normal(size=N), ""),
        (np.zeros(N), ""),
        (np.minimum(np.arange(N), 100), ""),
    ],
    ids=[
        "row number", "meter", "slow meter", "what is left", "resets", "batch", "starts", "few starts", "random walk",
        "rhythm", "one step", "sawtooth", "noise", "constant", "start up",
    ],
)  # fmt: skip
def test_a_column_that_only_goes_one_way_is_a_counter(numbers, direction):
    assert is_counter(np.asarray(numbers, dtype=float), NOBODY) == direction


def test_each_entity_counts_for_itself_and_gaps_are_no_moves():
    entities = np.array(["a", "b"] * (N // 2), dtype=object)
    numbers = np.where(entities == "a", 1000.0, 5.0) + np.arange(N)
    numbers[::7] = np.nan
    assert is_counter(numbers, entities) == "rises"
    assert is_counter(numbers, NOBODY) == ""
