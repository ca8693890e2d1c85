"""The screen of the demo: progress, then flagged records as they happen.

On a terminal, a live area at the bottom shows the progress bars and the open bursts. All other
output scrolls above this area. In a file or a pipe, every change is one plain line.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from aemon.demo.bursts import Blame, Burst, Bursts, Flagged
from aemon.demo.files import ThingsToTry
from aemon.demo.score_card import ScoreCard

_SHOWN_COLUMNS = 3  # columns shown of a record: the columns with the largest contribution
_SHARE_WIDTH = 12  # characters of the bar for a share
_BAR_WIDTH = 28
_PLAIN_PARTS = 4  # without a terminal, progress is shown after each quarter
_WHOLE_FROM = 10_000  # from this value on, numbers are shown without decimals
_REFRESH_PER_SECOND = 8
_STYLES = {"critical": "bold red", "warning": "yellow"}


@dataclass(frozen=True, kw_only=True, slots=True)
class MonitorProgress:
    """The progress of a monitor towards its first detector."""

    monitor: str
    collected: int  # number of records
    needed: int  # number of records
    training: bool = False
    detector_version: int | None = None

    def as_text(self) -> str:
        """Return the progress as one line.

        >>> MonitorProgress(monitor="pumps", collected=312, needed=1000).as_text()
        'collecting 312 of 1000 records'
        """
        if self.detector_version is not None:
            return f"watching with detector {self.detector_version}"
        if self.training:
            return f"training on {self.needed} records"
        return f"collecting {min(self.collected, self.needed)} of {self.needed} records"


class DemoScreen:
    """The demo's screen, a context manager; `update` passes all data to the screen.

    The screen itself reads no clock and no database.
    """

    def __init__(self, console: Console, things_to_try: ThingsToTry) -> None:
        self._console = console
        self._things_to_try = things_to_try
        self._progress: tuple[MonitorProgress, ...] = ()
        self._bursts = Bursts()
        self._printed: dict[str, str] = {}  # monitor -> its progress in the last plain line
        self._has_detector = False
        self._live = Live(
            console=console,
            get_renderable=self._live_area,
            refresh_per_second=_REFRESH_PER_SECOND,
            transient=True,
        )

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()
        for burst in self._bursts.open:
            self._print_end(burst)
        self._bursts = Bursts()

    def note(self, text: str) -> None:
        """Print a remark, such as the path of the demo's folder."""
        self._console.print(Text(text, style="dim"), soft_wrap=True)

    def update(
        self, progress: Sequence[MonitorProgress], flagged: Iterable[Flagged], now: datetime
    ) -> None:
        """Show the progress of the monitors, and the records flagged since the last call.

        Call this method a few times a second, even if no record was flagged; a call ends bursts
        that have had no flagged record for a while.
        """
        self._progress = tuple(progress)
        self._print_progress()
        self._bursts, changes = self._bursts.report(flagged, now)
        for change in changes:
            if change.over:
                self._print_end(change.burst)
            else:
                self._console.print(_record(change.burst.first))
        if self._console.is_terminal:
            self._live.refresh()

    def show_score_card(self, card: ScoreCard) -> None:
        """Show the score card, at the end of the demo."""
        self._console.print(score_card_table(card))

    def _print_progress(self) -> None:
        """Print a line when a monitor gets its first detector.

        Without a terminal, also print a line after each quarter of the needed records.
        """
        for progress in self._progress:
            ready = progress.detector_version is not None
            if not self._console.is_terminal or ready:
                line = f"{progress.monitor}: {progress.as_text()}"
                if self._printed.get(progress.monitor) != _coarse(progress):
                    self._printed[progress.monitor] = _coarse(progress)
                    self._console.print(Text(line, style="green" if ready else ""), soft_wrap=True)
        if not self._has_detector and any(p.detector_version is not None for p in self._progress):
            self._has_detector = True
            self._show_things_to_try()

    def _show_things_to_try(self) -> None:
        things = (
            ("ask in SQL", self._things_to_try.sql),
            ("metrics", self._things_to_try.metrics_url),
            ("status page", self._things_to_try.status_url),
        )
        if not self._console.is_terminal:
            for name, text in things:
                self._console.print(f"try {name}: {text}", markup=False, soft_wrap=True)
            return
        lines: list[RenderableType] = [
            Text.assemble((f"{name:<12}", "bold"), (text, "cyan")) for name, text in things[1:]
        ]
        # There is no frame around the command, so that a person can copy all its lines.
        self._console.print(Panel(Group(*lines), title="try now", title_align="left"))
        self._console.print(Text("or ask in SQL, in another terminal:", style="bold"))
        self._console.print(Text(self._things_to_try.sql, style="cyan"), soft_wrap=True)

    def _print_end(self, burst: Burst) -> None:
        if burst.records > 1:
            self._console.print(_burst_end(burst), soft_wrap=True)

    def _live_area(self) -> RenderableType:
        waiting = [p for p in self._progress if p.detector_version is None]
        bars = Table.grid(padding=(0, 1))
        for progress in waiting:
            bar: RenderableType = ProgressBar(
                total=progress.needed,
                completed=min(progress.collected, progress.needed),
                width=_BAR_WIDTH,
                pulse=progress.training,
            )
            bars.add_row(Text(progress.monitor, style="bold"), bar, progress.as_text())
        open_bursts = [_burst_line(burst) for burst in self._bursts.open if burst.records > 1]
        rest: list[RenderableType] = []
        if not waiting and not open_bursts and self._progress:
            rest.append(Spinner("dots", Text("all normal; Ctrl-C ends the demo", style="dim")))
        return Group(*([bars] if waiting else []), *open_bursts, *rest)


def _coarse(progress: MonitorProgress) -> str:
    """Return the progress in quarters; a new plain line is printed when this text changes."""
    if progress.detector_version is not None or progress.training:
        return progress.as_text()
    return f"part {_PLAIN_PARTS * min(progress.collected, progress.needed) // progress.needed}"


def _record(record: Flagged) -> RenderableType:
    """Return a flagged record for the screen: time, entity, severity, p-value, contributions."""
    style = _STYLES.get(record.severity, "yellow")
    head = Text.assemble(
        (_clock_time(record.event_time), "dim"),
        "  ",
        (record.entity or record.monitor, "bold"),
        *((f" ({record.monitor})",) if record.entity else ()),
        "  ",
        (record.severity, style),
        f"  p = {record.p_value:.2g}",
    )
    blamed = Table.grid(padding=(0, 2))
    blamed.add_column(min_width=10)
    blamed.add_column(justify="right", min_width=9)
    blamed.add_column(min_width=18)
    blamed.add_column(justify="right", min_width=5)
    for blame in record.contributions[:_SHOWN_COLUMNS]:
        blamed.add_row(
            Text(f"  {blame.column}"),
            Text(_value(blame.observed), style=style),
            Text(f"expected {_value(blame.expected)}"),
            f"{blame.share:.0%}",
            Text("█" * round(blame.share * _SHARE_WIDTH), style=style),
        )
    return Group(head, blamed) if record.contributions else Group(head, Text(f"  {record.reason}"))


def _burst_line(burst: Burst) -> Text:
    """Return the line of an open burst."""
    return Text.assemble(
        (burst.name, "bold"), f" … {burst.records - 1} more flagged in {burst.seconds:.1f} s"
    )


def _burst_end(burst: Burst) -> Text:
    """Return the line of a burst that has ended, with its length and its worst record."""
    worst = ", ".join(_blame(blame) for blame in burst.worst.contributions[:2])
    return Text.assemble(
        ("          … ", "dim"),
        (burst.name, "bold"),
        f" {burst.records - 1} more in {burst.seconds:.1f} s",
        (f"; worst: {worst}" if worst else "", "dim"),
    )


def _blame(blame: Blame) -> str:
    return f"{blame.column} {_value(blame.observed)} (expected {_value(blame.expected)})"


def _value(value: float | str | None) -> str:
    """Return a value as short text: a number with four digits, a large number without decimals.

    >>> _value(5.12345), _value("12.3456789"), _value(123456.7), _value("open"), _value(None)
    ('5.123', '12.35', '123,457', 'open', 'nothing')
    """
    if value is None:
        return "nothing"
    try:
        number = float(value)
    except ValueError:
        return str(value)
    return f"{number:,.0f}" if abs(number) >= _WHOLE_FROM else f"{number:.4g}"


def _clock_time(moment: datetime) -> str:
    """Return the time of day in the local time zone, to a tenth of a second."""
    local = moment.astimezone()
    return f"{local:%H:%M:%S}.{local.microsecond // 100_000}"


def score_card_table(card: ScoreCard) -> RenderableType:
    """Return the score card as a table with a row for each fault, and a line of totals."""
    table = Table(title="planted faults", title_justify="left", title_style="bold")
    for heading in ("fault", "pump", "columns"):
        table.add_column(heading)
    for heading in ("flagged after", "records"):
        table.add_column(heading, justify="right")
    for fault in card.faults:
        after = fault.seconds_until_flagged
        flagged = Text("missed", "red") if after is None else Text(f"{after:.1f} s", "green")
        columns = ", ".join(fault.columns)
        table.add_row(fault.kind, fault.pump, columns, flagged, str(fault.records_flagged))
    totals = (
        f"{card.flagged} of {card.planted} faults flagged, {card.missed} missed; "
        f"{card.false_alarms} false alarms in "
        f"{card.records_judged_normal + card.false_alarms} normal records"
    )
    return Group(table, Text(totals))
