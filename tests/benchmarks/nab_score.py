"""The score of the Numenta Anomaly Benchmark, standard profile (Lavin & Ahmad 2015).

Detections early in a window earn most, several in one window count once, false alarms cost more the
farther they are behind a window, missed windows cost one each. 0 is a detector that says nothing,
100 a perfect one. One threshold for all files is chosen by the labels, as NAB does: so the
figure is comparable with its scoreboard, and says nothing of thresholds that are learned.
"""

from typing import NamedTuple

import numpy as np

FALSE_ALARM = 0.11
PROBATION, LONGEST_PROBATION = 0.15, 750
FAR = 3.0


class Judged(NamedTuple):
    """One file: scores (N,) of all its records, and its windows, first and last row each."""

    scores: np.ndarray
    windows: list[tuple[int, int]]


def probation(records: int) -> int:
    """How many of the first records of a file are not counted."""
    return int(PROBATION * min(records, LONGEST_PROBATION / PROBATION))


def best_score(files: list[Judged]) -> tuple[float, float]:
    """The best score of all thresholds, and that threshold."""
    earned = np.concatenate([_earned(one) for one in files])
    starts = np.cumsum([0, *(len(one.windows) for one in files)])
    scores = np.concatenate([one.scores[probation(len(one.scores)) :] for one in files])
    whose = np.concatenate([_whose(one, start) for one, start in zip(files, starts, strict=False)])
    total = int(starts[-1])
    best, at = 0.0, np.inf
    current = np.zeros(total)  # the most that any detection earned in each window
    found = np.zeros(total, dtype=bool)
    sum_now, order = -float(total), np.argsort(-scores, kind="stable")
    for place, row in enumerate(order.tolist()):
        window = int(whose[row])
        if window < 0:
            sum_now += earned[row]
        elif not found[window]:
            found[window], current[window] = True, earned[row]
            sum_now += 1.0 + earned[row]
        elif earned[row] > current[window]:
            sum_now += earned[row] - current[window]
            current[window] = earned[row]
        last = place + 1 == len(order) or scores[order[place + 1]] < scores[row]
        normalised = 100 * (sum_now + total) / max(2 * total, 1)
        if last and normalised > best:
            best, at = normalised, float(scores[row])
    return best, at


def score_at(files: list[Judged], threshold: float) -> float:
    """The score at a given threshold: records at or above it are detections."""
    only = [Judged((one.scores >= threshold).astype(float), one.windows) for one in files]
    total, got = sum(len(one.windows) for one in only), 0.0
    for one in only:
        begin = probation(len(one.scores))
        earned, whose = _earned(one), _whose(one, 0)
        hits = one.scores[begin:] > 0
        got += earned[hits & (whose < 0)].sum()
        for window in range(len(one.windows)):
            inside = hits & (whose == window)
            got += earned[inside].max() if inside.any() else -1.0
    return 100 * (got + total) / (2 * total)


def _whose(one: Judged, start: int) -> np.ndarray:
    """The window each counted record lies in, counted from `start`; or -1."""
    whose = np.full(len(one.scores), -1)
    for number, (first, last) in enumerate(one.windows):
        whose[first : last + 1] = start + number
    return whose[probation(len(one.scores)) :]


def _earned(one: Judged) -> np.ndarray:
    """What a detection at each counted record earns."""
    rows = np.arange(len(one.scores))
    earned = np.full(len(rows), -FALSE_ALARM)
    for first, last in one.windows:
        width = last - first + 1
        behind = rows > last
        earned[behind] = _sigmoid((rows[behind] - last) / max(width - 1, 1)) * FALSE_ALARM
    for first, last in one.windows:
        width = last - first + 1
        inside = np.arange(first, last + 1)
        earned[first : last + 1] = _sigmoid(-(last - inside + 1) / width) / _sigmoid(np.array(-1.0))
    return earned[probation(len(one.scores)) :]


def _sigmoid(position: np.ndarray) -> np.ndarray:
    """From 1 well before the end of a window (position -1) over 0 at it to -1 behind."""
    return np.where(position > FAR, -1.0, 2 / (1 + np.exp(5 * position)) - 1)
