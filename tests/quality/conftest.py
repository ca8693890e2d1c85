import numpy as np
import pandas as pd
import pytest

from aemon.frame import Frame


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
