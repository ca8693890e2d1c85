"""`import aemon` gives a Python program what it needs, and imports nothing before it is used."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import aemon


@pytest.mark.parametrize("name", aemon.__all__)
def test_every_public_name_is_there_and_has_a_docstring(name):
    found = getattr(aemon, name)
    assert name in dir(aemon)
    assert name == "__version__" or found.__doc__


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'aemon' has no attribute 'Detectors'"):
        aemon.Detectors  # noqa: B018


def test_nothing_is_imported_before_it_is_used():
    code = "import aemon, sys; print(sorted({'numpy', 'pandas', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_program_trains_judges_and_explains():
    rng = np.random.default_rng(0)
    load = rng.normal(size=400)
    table = pd.DataFrame(
        {
            "ts": pd.date_range("2026-01-01", periods=400, freq="min"),
            "id": np.arange(400),
            "flow": 10 + load,
            "pressure": 4 + 0.5 * load + 0.05 * rng.normal(size=400),
        }
    )
    frame = aemon.check_frame(table, aemon.Roles(time="ts", key="id"))
    detector = aemon.train_detector(frame, aemon.LearningSettings(), seed=0)
    broken = pd.DataFrame({"flow": [12.0], "pressure": [3.0]})
    assert detector.judge(broken).anomalous.tolist() == [True]
    assert detector.explain(broken)[0].contributions[0].column in ("flow", "pressure")
