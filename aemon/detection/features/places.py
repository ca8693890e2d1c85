"""One-hot features of categories and entities: 1 at a record's own category, 0 elsewhere."""

import numpy as np
import pandas as pd

from aemon.detection.arrays import Texts, Values
from aemon.detection.features.cells import Categories, read_texts


def one_hot(read: Categories, categories: tuple[str, ...], records: int) -> Values:
    """Return one column per category and a last one for any other text (N, K + 1).

    The values are 1 or 0, and NaN where the cell is missing.
    """
    places = np.full((records, len(categories) + 1), np.nan)
    if read is None:
        return places
    texts, codes = read
    place_of = {category: place for place, category in enumerate(categories)}
    known = np.array([place_of.get(text, len(categories)) for text in texts] + [0])
    rows = np.flatnonzero(codes >= 0)
    places[rows] = 0.0
    places[rows, known[codes[rows]]] = 1.0
    return places


def entity_places(entities: Texts, known: tuple[str, ...]) -> Values:
    """Return one column per known entity (N, E), 1 or 0; NaN throughout for an unknown entity."""
    places = one_hot(read_texts(pd.Series(entities, dtype=object)), known, len(entities))
    places[places[:, -1] == 1] = np.nan
    return places[:, :-1]
