import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from aemon.frame import Frame

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The public data sets beside the checkout; their absence is no success."""
    if DATA.is_dir():
        return DATA
    message = f"the data sets are not at {DATA}: quality was NOT measured"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def frame_of():
    def make(table: pd.DataFrame, times=None) -> Frame:
        n = len(table)
        seconds = np.datetime64("2026-01-01", "us") + np.arange(n).astype("timedelta64[s]")
        return Frame(
            times=seconds if times is None else times,
            keys=np.array([str(i) for i in range(n)], dtype=object),
            entities=np.full(n, "", dtype=object),
            values=table.reset_index(drop=True),
        )

    return make
