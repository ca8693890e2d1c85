"""The kinds of array that travel through detection; shapes stand where they are used."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
"""Features, weights, reconstructions: what an autoencoder computes with."""

Values = npt.NDArray[np.float64]
"""Scores, errors, thresholds: what is compared and kept."""

Mask = npt.NDArray[np.bool_]
"""A truth for every record or cell."""

Rows = npt.NDArray[np.intp]
"""Places of records, columns or features."""

Times = npt.NDArray[np.datetime64]
"""Event times, datetime64[us] in UTC."""

Texts = npt.NDArray[np.object_]
"""Keys, entities, categories."""
