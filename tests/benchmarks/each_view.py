"""What each view of a detector says of records by itself."""

import numpy as np

from aemon.detection.detector import Detector
from aemon.detection.record_judging import Parts, see
from aemon.detection.scoring.normal_space import BLOCK_RECORDS
from aemon.detection.scoring.residuals import residuals_of
from aemon.frame import Frame

Scores = np.ndarray


def views_of(detector: Detector, frame: Frame) -> dict[str, Scores]:
    """Scores by each view of a detector alone."""
    scorer = detector.scorer
    seen = see(Parts(detector.feature_map, scorer, detector.series), frame)
    guessed = scorer.space.guess(seen.features, seen.mask)
    found: dict[str, list[Scores]] = {view.name: [] for view in scorer.views}
    for start in range(0, len(guessed), BLOCK_RECORDS):
        rows = slice(start, start + BLOCK_RECORDS)
        left = residuals_of(scorer.autoencoder, guessed[rows], seen.mask[rows])
        measured = scorer.space.measure(
            seen.features[rows], seen.mask[rows], left.residuals, scorer.wanted
        )
        for view in scorer.views:
            found[view.name].append(view.surprise(measured.values[view.name]))
    told = {name: np.concatenate(parts) for name, parts in found.items()}
    return told if seen.in_series is None else told | {"beside": seen.in_series.surprises}
