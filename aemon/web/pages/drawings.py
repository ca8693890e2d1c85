"""Small drawings as SVG: sparklines, lanes of a heat map."""

from collections.abc import Sequence

from markupsafe import Markup

HEIGHT = 24  # of a sparkline, in its own units
STEP = 3  # width of a piece of time in a sparkline
MOST_DRAWN = 2.5  # exceedance at the upper edge of a sparkline
LEVELS = (0.5, 0.8, 1.0, 1.5, 3.0)  # exceedances at which the colour of a lane changes
FULL_SHARE = 3.5  # exceedance with the colour of share 1

Values = Sequence[float | None]


def sparkline(values: Values) -> Markup:
    """Return a sparkline of exceedances: a bar for each piece of time, none where it has no record.

    >>> str(sparkline([0.5, None, 2.0])).count("<path")
    2
    """
    normal: list[str] = []
    over: list[str] = []
    for at, value in enumerate(values):
        if value is None:
            continue
        top = HEIGHT - max(1.0, min(value, MOST_DRAWN) / MOST_DRAWN * HEIGHT)
        bars = over if value > 1 else normal
        bars.append(f"M{at * STEP + 1} {HEIGHT}V{top:.0f}")
    line = HEIGHT - HEIGHT / MOST_DRAWN
    known = [value for value in values if value is not None]
    label = f"largest exceedance of the last day: {max(known):.2g}" if known else "no records"
    width = len(values) * STEP
    paths = "".join(
        f'<path class="{name}" d="{"".join(bars)}"/>'
        for name, bars in (("bars", normal), ("bars over", over))
        if bars
    )
    return Markup(  # noqa: S704 -- numbers alone
        f'<svg class="spark" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}" '
        f'role="img" aria-label="{label}">'
        f'<line class="threshold" x1="0" x2="{width}" y1="{line:.1f}" y2="{line:.1f}"/>{paths}</svg>'
    )


def level(value: float | None) -> int:
    """Return the level of an exceedance in a heat map: 0 to 5; levels from 3 on are flagged.

    >>> level(0.2), level(0.9), level(1.2), level(9.0), level(None)
    (0, 2, 3, 5, 0)
    """
    return 0 if value is None else sum(value > edge for edge in LEVELS)


def heat_map(values: Values, label: str) -> Markup:
    """Return one lane of a heat map; neighbours of the same level are drawn as one.

    >>> str(heat_map([0.9, 0.9, None, 2.0], "p1")).count("<rect")
    3
    """
    parts: list[str] = []
    at = 0
    while at < len(values):
        value = values[at]
        kind = "gap" if value is None else f"h{level(value)}"
        end = at + 1
        while (
            end < len(values)
            and ("gap" if values[end] is None else f"h{level(values[end])}") == kind
        ):
            end += 1
        parts.append(f'<rect class="{kind}" x="{at}" width="{end - at}" height="1"/>')
        at = end
    return Markup(  # noqa: S704 -- numbers alone
        f'<svg class="lane" viewBox="0 0 {len(values)} 1" preserveAspectRatio="none" role="img" '
        'aria-label="{}">' + "".join(parts) + "</svg>"
    ).format(label)


def share_map(values: Values, label: str) -> Markup:
    """Return one lane of shares between 0 and 1; the colour of 1 is that of a large exceedance."""
    return heat_map([None if value is None else value * FULL_SHARE for value in values], label)
