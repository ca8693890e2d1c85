"""One-hot features of categories and entities: 1 for a record's own category, 0 for all others."""

import numpy as np
import pandas as pd

from aemon.detection.arrays import Texts, Values
from aemon.detection.features.cells import Categories, read_texts


def one_hot(read: Categories, categories: tuple[str, ...], records: int) -> Values:
    """Return features (N, K + 1): one for each of K categories, and the last for any other text.

    A feature is 1 for the record's own text, else 0. All features of a missing cell are NaN.
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
    """Return features (N, E), one for each of E known entities: 1 for a record's entity, else 0.

    All features of a record from an unknown entity are NaN.
    """
    places = one_hot(read_texts(pd.Series(entities, dtype=object)), known, len(entities))
    places[places[:, -1] == 1] = np.nan
    return places[:, :-1]
