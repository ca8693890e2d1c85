"""What false alarms that people named do to a line: they may raise it, by a rule that is stated.

They are among the records learned from, and calibrate. If the new detector flags one of them all the
same, its line goes up to that record's score, so that it is not flagged again: but never to the score
of a confirmed anomaly that the line catches, and never to more than `MOST_RAISED` times what normal
records made it. One wrong word must not make a detector blind. No line is ever lowered: that would
break the promise, which a raised one only keeps better.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from aemon.detection.lines import Lines
from aemon.detection.threshold import Threshold

Floats = npt.NDArray[np.float64]
Entities = npt.NDArray[np.object_]

MOST_RAISED = 2.0
"""A line may be raised to this many times its calibrated value."""


def raise_lines(
    lines: Lines,
    false_alarms: tuple[Floats, Entities],
    confirmed: tuple[Floats, Entities],
) -> Lines:
    """The lines after feedback; the same ones where it moves none.

    A fixed line is a person's own, and stays.

    Args:
        lines: as calibrated.
        false_alarms: scores (A,) and entities (A,) of records that were normal after all.
        confirmed: scores (B,) and entities (B,) of records that were anomalies.
    """

    def judged_by(name: str | None, part: tuple[Floats, Entities]) -> Floats:
        scores, entities = part
        mine = [(entity if entity in lines.own else None) == name for entity in entities]
        chosen: Floats = scores[np.array(mine, dtype=bool)]
        return chosen

    def after(name: str | None, line: Threshold) -> Threshold:
        return _raised(line, judged_by(name, false_alarms), judged_by(name, confirmed))

    return replace(
        lines,
        pooled=after(None, lines.pooled),
        own={name: after(name, line) for name, line in lines.own.items()},
    )


def _raised(line: Threshold, false_alarms: Floats, confirmed: Floats) -> Threshold:
    caught = confirmed[confirmed > line.value]
    ceiling = min(caught, default=np.inf)
    within = false_alarms[
        (false_alarms > line.value)
        & (false_alarms <= MOST_RAISED * line.value)
        & (false_alarms < ceiling)
    ]
    if not len(within) or line.method == "fixed":
        return line
    value = float(within.max())
    return replace(line, value=value, critical_value=max(line.critical_value, value))
