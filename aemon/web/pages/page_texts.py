"""How pages write values: times, durations, rates and numbers."""

from datetime import UTC, datetime, timedelta

from markupsafe import Markup

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))
_TIMES = "%Y-%m-%d %H:%M:%S"


def ago(moment: datetime | None, now: datetime) -> str:
    """Return how long ago a time was, in the largest unit of which there are at least two.

    >>> from datetime import timezone
    >>> now = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
    >>> ago(now - timedelta(minutes=150), now), ago(None, now)
    ('2 h ago', 'never')
    """
    return "never" if moment is None else f"{duration(now - moment)} ago"


def duration(length: timedelta) -> str:
    """Return a duration in the largest unit of which there are at least two; at least 0 s.

    >>> duration(timedelta(days=3)), duration(timedelta(seconds=-5))
    ('3 d', '0 s')
    """
    seconds = max(0, round(length.total_seconds()))
    for unit, size in _UNITS:
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def percent(share: float | None) -> str:
    """Return a share in per cent, with two significant digits; a dash for None.

    >>> percent(0.0125), percent(None)
    ('1.2 %', '—')
    """
    return "—" if share is None else f"{100 * share:.2g} %"


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with some significant digits; a dash for None.

    >>> number(1234567), number(0.00123456), number(None)
    ('1,234,567', '0.00123', '—')
    """
    if value is None:
        return "—"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"


def time_tag(moment: datetime | None) -> Markup:
    """Return a time as a `time` element: UTC, which a script changes to the reader's zone.

    >>> time_tag(datetime(2026, 3, 1, 12, tzinfo=UTC))
    Markup('<time datetime="2026-03-01T12:00:00Z" title="2026-03-01 12:00:00 UTC">2026-03-01 12:00:00 UTC</time>')
    """
    if moment is None:
        return Markup("")
    utc = moment.astimezone(UTC)
    text = f"{utc.strftime(_TIMES)} UTC"
    written = utc.strftime("%Y-%m-%dT%H:%M:%SZ")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(written, text, text)


def several(count: int, word: str) -> str:
    """Return a count with its noun.

    >>> several(1, "episode"), several(2, "episode")
    ('1 episode', '2 episodes')
    """
    return f"{count:,} {word if count == 1 else word + 's'}"
