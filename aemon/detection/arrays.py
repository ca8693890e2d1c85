"""The kinds of arrays in detection; the shapes are given where arrays are used."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
"""Features, weights and reconstructions, with which an autoencoder computes."""

Values = npt.NDArray[np.float64]
"""Numbers of columns, scores, errors and thresholds."""

Mask = npt.NDArray[np.bool_]
"""A boolean for every record or cell."""

Rows = npt.NDArray[np.intp]
"""Indices of records, columns or features."""

Times = npt.NDArray[np.datetime64]
"""Event times, datetime64[us] in UTC."""

Texts = npt.NDArray[np.object_]
"""Keys, entities, categories."""
