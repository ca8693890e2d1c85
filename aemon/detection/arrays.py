"""Types of arrays in detection; the shape of each array is given where the array is used."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
"""Features, weights and reconstructions: the numbers that an autoencoder computes with."""

Values = npt.NDArray[np.float64]
"""Numeric values of columns, scores, errors and thresholds."""

Mask = npt.NDArray[np.bool_]
"""A boolean for every record, or for every cell."""

Rows = npt.NDArray[np.intp]
"""Indices of records, columns or features."""

Times = npt.NDArray[np.datetime64]
"""Event times, datetime64[us] in UTC."""

Texts = npt.NDArray[np.object_]
"""Keys, entities, categories."""
