"""Accepts records without times and keys: a table of values is enough for the Python interface."""

import numpy as np
import pandas as pd

from aemon.frame import Frame

Records = Frame | pd.DataFrame
"""Records as a frame, or as a table that has only the values of the records."""


def as_frame(records: Records) -> Frame:
    """Return records as a frame; the rows of a table get event times one second apart."""
    if isinstance(records, Frame):
        return records
    count = len(records)
    return Frame(
        times=np.arange(count).astype("datetime64[s]").astype("datetime64[us]"),
        keys=np.arange(count).astype(str).astype(object),
        entities=np.full(count, "", dtype=object),
        values=records.reset_index(drop=True),
    )


def like(records: Records, made: pd.DataFrame) -> pd.DataFrame:
    """Return a result table (N rows) with the index of the table of the records."""
    return made.set_axis(records.index) if isinstance(records, pd.DataFrame) else made
