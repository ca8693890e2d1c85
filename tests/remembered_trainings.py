"""Trainings that are remembered within a session of tests: many tests learn from the same records."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from aemon.config.learning_settings import LearningSettings
from aemon.detection.learning import Learned
from aemon.detection.provenance import hash_frame
from aemon.frame import Frame

MOST_KEPT = 40
MOST_RECORDS = 5_000  # larger ones are seldom learned from twice

Learn = Callable[..., Learned]


def remembered(learn: Learn) -> Learn:
    """Return a function that learns as `learn` does, but the same only once."""
    kept: OrderedDict[tuple[str, ...], Learned] = OrderedDict()

    def learn_once(frame: Frame, settings: LearningSettings, seed: int, **options: Any) -> Learned:
        if len(frame) > MOST_RECORDS or options.get("progress") is not None:
            return learn(frame, settings, seed, **options)
        of_records = (hash_frame(frame), str(frame.keys.tolist()), str([*frame.values.dtypes]))
        key = (*of_records, settings.model_dump_json(), str(seed), str(options.get("rate")))
        if key not in kept:
            kept[key] = learn(frame, settings, seed, **options)
            while len(kept) > MOST_KEPT:
                kept.popitem(last=False)
        return kept[key]

    return learn_once
