"""The report as one HTML page with everything inside, to mail or to print."""

from datetime import datetime

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from aemon.clock import format_duration
from aemon.operations.reporting.pictures import episode_picture, lane_picture, score_picture
from aemon.operations.reporting.report import Report

LEAST_DRAWN = 8  # flagged records of an episode that has a picture; fewer have only a table


def report_page(report: Report) -> str:
    """Return a report as HTML: no script, and nothing that is loaded from elsewhere."""
    templates = Environment(
        loader=PackageLoader("aemon.operations.reporting"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"time": _time, "percent": _percent, "length": _length}
    return templates.get_template("report.html").render(
        report=report,
        score_picture=score_picture(report.series, report.episodes),
        lane_picture=lane_picture(report.lanes),
        episode_picture=episode_picture,
        least_drawn=LEAST_DRAWN,
    )


def _time(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S}"


def _percent(share: float | None) -> str:
    """Return a share in per cent, with two significant digits."""
    return "" if share is None else f"{100 * share:.2g} %"


def _length(begin: datetime, end: datetime) -> str:
    """Return the time between two times as a duration, such as 3h 20m."""
    return format_duration(end - begin)
