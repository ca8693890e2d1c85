"""Schedules of five cron fields, with the rules of cron(8): weekday 1 is Monday, 0 is Sunday."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice, pairwise
from statistics import median_high
from typing import Self
from zoneinfo import ZoneInfo

from aemon.clock import is_wrong

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, tuple(_MONTHS)),
    ("weekday", 0, 7, WEEKDAYS),
)
_SHORTHANDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
}

Numbers = frozenset[int]


@dataclass(frozen=True, slots=True)
class Cron:
    """A schedule of moments that recur by the local clock; `parse` makes a schedule from text.

    If day and weekday are both given, a day must match only one of them, as in cron(8).
    """

    text: str
    minutes: Numbers = field(repr=False)
    hours: Numbers = field(repr=False)
    days: Numbers = field(repr=False)
    months: Numbers = field(repr=False)
    weekdays: Numbers = field(repr=False)  # 0 is Sunday
    either_day: bool = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse five fields such as `*/5 8-18 * * mon-fri`, or a word such as `@daily`.

        >>> sorted(Cron.parse("*/20 8 * * 1-2").weekdays)
        [1, 2]

        Raises:
            ValueError: the text is not a cron expression; the message names the field.
        """
        words = _SHORTHANDS.get(text.strip(), text).split()
        if len(words) != len(_FIELDS):
            raise ValueError(
                f"{text!r} has {len(words)} fields, not the five of cron: minute hour day month "
                "weekday, such as 0 2 * * 1-5"
            )
        minutes, hours, days, months, weekdays = (
            _numbers(word, *about) for word, about in zip(words, _FIELDS, strict=True)
        )
        weekdays = frozenset(number % 7 for number in weekdays)
        restricted = not words[2].startswith("*") and not words[4].startswith("*")
        found = cls(" ".join(words), minutes, hours, days, months, weekdays, restricted)
        if not found._ever():
            raise ValueError(f"{text!r} never occurs: none of its months has such a day")
        return found

    def _ever(self) -> bool:
        longest = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
        return self.either_day or any(
            min(self.days) <= longest.get(month, 31) for month in self.months
        )

    def on_day(self, day: datetime) -> bool:
        """Return whether the schedule has moments on the local date of `day`."""
        if day.month not in self.months:
            return False
        by_day = day.day in self.days
        by_weekday = day.isoweekday() % 7 in self.weekdays
        return by_day or by_weekday if self.either_day else by_day and by_weekday

    def moments(self, first: datetime, last: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        """Yield every moment from `first` to `last` (both aware), in order, as aware UTC.

        If the clock change in spring skips a moment, the moment is yielded an hour later. If the
        clock change in autumn repeats a moment, the moment is yielded once, or twice if the field
        of minutes or hours begins with `*`, as in cron(8).
        """
        start = first.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        day = start.replace(tzinfo=None) - timedelta(days=1)  # skipped moments may be after `first`
        end = last.astimezone(zone).replace(tzinfo=None)
        waiting: set[datetime] = set()
        while day <= end or waiting:
            waiting |= self._of_day(day.replace(tzinfo=zone)) if day <= end else set()
            day += timedelta(days=1)
            over = day.replace(tzinfo=zone).astimezone(UTC)
            ready = {moment for moment in waiting if moment < over}
            waiting -= ready
            yield from sorted(moment for moment in ready if first <= moment <= last)

    def _of_day(self, day: datetime) -> set[datetime]:
        """Return the moments of a local day, in UTC."""
        hours = self.hours if self.on_day(day) else ()
        return {
            day.replace(hour=hour, minute=minute, fold=fold).astimezone(UTC)
            for hour in hours
            for minute in self.minutes
            for fold in self._folds(day)
        }

    def _folds(self, day: datetime) -> tuple[int, ...]:
        """Return which passes of a repeated hour count: 0 for the first pass, 1 for the second.

        The second pass counts only on a day of a clock change, and only if the field of minutes or
        hours begins with `*`.
        """
        minutes, hours = self.text.split()[:2]
        if not (minutes.startswith("*") or hours.startswith("*")):
            return (0,)
        longer = day.utcoffset() != (day + timedelta(days=1)).utcoffset()
        return (0, 1) if longer else (0,)

    def __str__(self) -> str:
        return self.text


def _numbers(word: str, name: str, low: int, high: int, names: tuple[str, ...]) -> Numbers:
    found: set[int] = set()
    for part in word.split(","):
        span, slash, step_text = part.partition("/")
        step = int(step_text) if step_text.isascii() and step_text.isdigit() else 0
        if slash and step < 1:
            raise ValueError(f"{name} {word!r}: {part!r} has no step after its slash, such as */5")
        first_text, dash, last_text = span.partition("-")
        if span == "*":
            # 7 is a second number for Sunday, not a further day.
            first, last = low, min(high, 6) if name == "weekday" else high
        else:
            first = _number(first_text, name, low, names)
            # As in cron, 5/15 continues to the end.
            last = _number(last_text, name, low, names) if dash else (high if slash else first)
        if not low <= first <= last <= high:
            raise ValueError(f"{name} {word!r}: {part!r} is not within {low} to {high}")
        found.update(range(first, last + 1, step or 1))
    return frozenset(found)


def _number(text: str, name: str, low: int, names: tuple[str, ...]) -> int:
    lower = text.lower()
    if lower in names:
        return names.index(lower) + (low if name == "month" else 0)
    if not (text.isascii() and text.isdigit()):
        known = f" or one of {', '.join(names)}" if names else ""
        raise ValueError(f"{name} {text!r} is not a number{known}")
    return int(text)


MOST_LOOKED_AT = 2_000  # maximum moments to compare: one every five minutes for almost a week
LONGEST_LOOK = timedelta(days=800)  # how far ahead moments are searched; leap days may be later


def longest_pause(schedule: timedelta | Cron, zone: ZoneInfo, now: datetime) -> timedelta:
    """Return the longest pause between two moments of a schedule, from now on."""
    return max(_pauses(schedule, zone, now))


def usual_pause(schedule: timedelta | Cron, zone: ZoneInfo, now: datetime) -> timedelta:
    """Return the median pause between two moments of a schedule, from now on.

    If a schedule has no moments at night, the median is the pause by day.
    """
    return median_high(_pauses(schedule, zone, now))


def _pauses(schedule: timedelta | Cron, zone: ZoneInfo, now: datetime) -> tuple[timedelta, ...]:
    return (schedule,) if isinstance(schedule, timedelta) else _gaps(schedule, zone, now)


# The computation takes milliseconds, and is needed often for both schedules of a monitor.
@lru_cache(maxsize=2)
def _gaps(schedule: Cron, zone: ZoneInfo, now: datetime) -> tuple[timedelta, ...]:
    moments = list(islice(schedule.moments(now, now + LONGEST_LOOK, zone), MOST_LOOKED_AT))
    return tuple(after - before for before, after in pairwise(moments)) or (LONGEST_LOOK,)


def moment_after(schedule: timedelta | Cron, zone: ZoneInfo, now: datetime, count: int) -> datetime:
    """Return the last of the next `count` moments of a schedule after now."""
    if isinstance(schedule, timedelta):
        return now + count * schedule
    just_after = now + timedelta(microseconds=1)
    last = just_after + count * LONGEST_LOOK
    return max(islice(schedule.moments(just_after, last, zone), count), default=last)


def is_due(schedule: timedelta | Cron, since: datetime, now: datetime, zone: ZoneInfo) -> bool:
    """Return whether work that was done at `since` is due again.

    Return True if `since` is far in the future: the clock was then wrong at that time.
    """
    if is_wrong(since, now):
        return True
    if isinstance(schedule, timedelta):
        return now - since >= schedule
    just_after = since + timedelta(microseconds=1)
    return next(schedule.moments(just_after, now, zone), None) is not None
