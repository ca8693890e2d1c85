"""Pictures of a report, as SVG text: pure functions of numbers and times.

The style sheet of the page colours the pictures by their classes, so that they fit a dark page, a
light page and paper.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import isfinite, log2

from markupsafe import Markup

from aemon.operations.episode_handling import EpisodeDetails
from aemon.operations.lists.series_views import Lanes, ScoreSeries

WIDTH, LEFT, RIGHT = 960, 48, 8  # user units
SCORE_HEIGHT, LANE_HEIGHT, COLUMN_HEIGHT, AXIS = 180, 16, 90, 22
MOST_EXCEEDANCE = 1000.0
MOST_COLUMNS = 3
"""Largest number of columns in the picture of an episode: those with the largest contributions."""

TICKS = 6
MOST_NAME = 22  # characters of an entity beside its row
LEVELS = (0.5, 0.8, 1.0, 2.0, 10.0)
"""Exceedances at which the colour of a cell changes; a record is flagged above 1."""

_PACES = tuple(
    timedelta(seconds=seconds)
    for seconds in (60, 300, 900, 3600, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000)
)


def score_picture(series: ScoreSeries, episodes: Sequence[EpisodeDetails]) -> Markup:
    """Return the largest exceedance of each bucket over time, with the threshold and episodes.

    The vertical axis is the logarithm of 1 + exceedance, so that the threshold and a peak of
    hundred thresholds are visible in the same picture.
    """
    if not series.times:
        return Markup("")
    axis = _TimeAxis(series.since, series.until)
    known = [one for one in series.exceedance_max if one is not None]
    top = _height(max([2.0, *known]))

    def y(exceedance: float) -> float:
        return SCORE_HEIGHT * (1 - _height(exceedance) / top)

    parts = [
        _rect(
            axis.x(one.started_at), 0, axis.x(one.ended_at), SCORE_HEIGHT, f"episode {one.severity}"
        )
        for one in episodes
    ]
    line = [
        (axis.at(time), y(exceedance))
        for time, exceedance in zip(series.times, series.exceedance_max, strict=True)
        if exceedance is not None
    ]
    parts += [
        Markup('<path class="score" d="{}"/>').format(_path(run)) for run in _runs(line, axis)
    ]
    parts.append(_line(LEFT, y(1), WIDTH - RIGHT, y(1), "threshold"))
    parts += [
        _dot(axis.x(point.time), y(point.exceedance or 1), 2.5, point.verdict)
        for point in series.points
    ]
    marks = [mark for mark in (1, 3, 10, 30, 100, 1000) if _height(mark) <= top]
    parts += [_text(LEFT - 6, y(mark) + 4, f"{mark}", "end") for mark in marks]
    return _svg(parts + axis.marks(SCORE_HEIGHT), SCORE_HEIGHT, "Largest exceedance over time")


def lane_picture(lanes: Lanes) -> Markup:
    """Return a row for each entity, with a cell for each bucket, coloured by its exceedance."""
    if not lanes.lanes:
        return Markup("")
    axis = _TimeAxis(lanes.since, lanes.until, left=160)
    width = lanes.bucket_seconds
    start = lanes.since.timestamp()
    parts = []
    for row, lane in enumerate(lanes.lanes):
        top = row * LANE_HEIGHT
        parts.append(_text(152, top + 12, _short(lane.entity or "(all)"), "end"))
        for bucket, exceedance in zip(lane.buckets, lane.exceedance_max, strict=True):
            left = axis.at(start + bucket * width)
            right = axis.at(start + (bucket + 1) * width)
            parts.append(
                _rect(left, top, right, top + LANE_HEIGHT - 2, f"level{_level(exceedance)}")
            )
    height = len(lanes.lanes) * LANE_HEIGHT
    return _svg(parts + axis.marks(height), height, "Largest exceedance of each entity over time")


def episode_picture(episode: EpisodeDetails) -> Markup:
    """Return observed and expected numbers of the columns to blame, at the flagged records."""
    columns = sorted(episode.blame, key=lambda name: -episode.blame[name])[:MOST_COLUMNS]
    records = sorted(episode.flagged_records, key=lambda one: one.event_time)
    if not records:
        return Markup("")
    axis = _TimeAxis(records[0].event_time, records[-1].event_time)
    parts, top = [], 0.0
    for name in columns:
        observed = [(one.event_time, _number(one.observed.get(name))) for one in records]
        expected = [(one.event_time, _number(one.reconstructed.get(name))) for one in records]
        numbers = [n for _, n in (*observed, *expected) if n is not None]
        if not numbers:
            continue
        low, high = min(numbers), max(numbers)
        scale = (COLUMN_HEIGHT - 32) / ((high - low) or 1.0)
        bottom = top + COLUMN_HEIGHT - 4
        parts.append(_text(LEFT, top + 12, name, "start"))
        parts += [_text(LEFT - 6, bottom, f"{low:.4g}", "end")]
        parts += [_text(LEFT - 6, top + 32, f"{high:.4g}", "end")] if high > low else []
        for kind, cells in (("expected", expected), ("observed", observed)):
            parts += [
                _dot(axis.x(time), bottom - (number - low) * scale, 3, kind)
                for time, number in cells
                if number is not None
            ]
        top += COLUMN_HEIGHT
    if not parts:
        return Markup("")
    return _svg(parts + axis.marks(top), top, "Observed and expected values of the flagged records")


class _TimeAxis:
    """The horizontal axis: times to positions.

    Args:
        since: the time at the left end.
        until: the time at the right end.
        left: position of the left end.
    """

    def __init__(self, since: datetime, until: datetime, left: float = LEFT) -> None:
        self._since, self._until, self._left = since, until, left
        self._seconds = max((until - since).total_seconds(), 1e-6)

    def at(self, timestamp: float) -> float:
        """Return the position of a Unix time in seconds, inside of the picture."""
        share = (timestamp - self._since.timestamp()) / self._seconds
        return self._left + min(max(share, 0.0), 1.0) * (WIDTH - RIGHT - self._left)

    def x(self, time: datetime) -> float:
        """Return the position of a time."""
        return self.at(time.timestamp())

    def marks(self, height: float) -> list[Markup]:
        """Return the marks of the axis below a picture of this height, with their times in UTC."""
        pace = next(
            (one for one in _PACES if self._seconds / one.total_seconds() <= TICKS), _PACES[-1]
        )
        step = pace.total_seconds()
        first = self._since.timestamp() // step + 1
        form = "%d %b" if pace >= timedelta(days=1) else "%d %b %H:%M"
        if self._seconds < _PACES[0].total_seconds():
            return [_text(self._left, height + 16, f"{self._since:%d %b %H:%M:%S}", "start")]
        found, time = [], first * step
        while time <= self._until.timestamp():
            place = self.at(time)
            label = f"{datetime.fromtimestamp(time, self._since.tzinfo):{form}}"
            found += [
                _line(place, 0, place, height, "grid"), _text(place, height + 16, label, "middle")
            ]  # fmt: skip
            time += step
        return found


def _height(exceedance: float) -> float:
    """Return the height of an exceedance on the vertical axis, in arbitrary units."""
    return log2(1 + min(max(exceedance, 0.0), MOST_EXCEEDANCE))


def _level(exceedance: float | None) -> str:
    """Return the class of a cell: "-none" without scores, else the number of passed levels."""
    return "-none" if exceedance is None else str(sum(exceedance > level for level in LEVELS))


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if isfinite(value) else None


def _runs(line: list[tuple[float, float]], axis: _TimeAxis) -> list[list[tuple[float, float]]]:
    """Divide a line at gaps of more than 2 % of the picture's width."""
    longest = 0.02 * (WIDTH - RIGHT - axis.at(0))
    runs: list[list[tuple[float, float]]] = []
    for point in line:
        if runs and point[0] - runs[-1][-1][0] <= longest:
            runs[-1].append(point)
        else:
            runs.append([point])
    return runs


def _path(points: list[tuple[float, float]]) -> str:
    if len(points) == 1:
        ((x, y),) = points
        return f"M{x - 0.5:.1f} {y:.1f}L{x + 0.5:.1f} {y:.1f}"
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _rect(left: float, top: float, right: float, bottom: float, kind: str) -> Markup:
    return Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
        kind, left, top, max(right - left, 1.0), bottom - top
    )


def _line(left: float, top: float, right: float, bottom: float, kind: str) -> Markup:
    return Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>').format(
        kind, left, top, right, bottom
    )


def _dot(x: float, y: float, radius: float, kind: str) -> Markup:
    return Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{}"/>').format(kind, x, y, radius)


def _text(x: float, y: float, text: str, anchor: str) -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        x, y, anchor, text
    )


def _short(text: str) -> str:
    return text if len(text) <= MOST_NAME else f"{text[: MOST_NAME - 1]}…"


def _svg(parts: Sequence[Markup], height: float, title: str) -> Markup:
    return Markup(
        '<svg viewBox="0 0 {} {}" role="img" aria-label="{}"><title>{}</title>{}</svg>'
    ).format(WIDTH, round(height + AXIS), title, title, Markup("").join(parts))
