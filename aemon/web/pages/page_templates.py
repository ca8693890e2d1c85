"""The templates of the pages, with the filters that they use."""

from functools import cache
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from aemon import __version__
from aemon.web.pages import drawings, page_texts
from aemon.web.pages.static_files import static_url


@cache
def templates() -> Environment:
    """Return the environment of all templates; every value is escaped as text."""
    made = Environment(
        loader=PackageLoader("aemon.web"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        ago=page_texts.ago,
        duration=page_texts.duration,
        num=page_texts.number,
        part=lambda text: quote(str(text), safe=""),  # a part of a path
        percent=page_texts.percent,
        several=page_texts.several,
        time=page_texts.time_tag,
    )
    made.globals.update(
        aemon_version=__version__,
        heat_map=drawings.heat_map,
        share_map=drawings.share_map,
        sparkline=drawings.sparkline,
        static=static_url,
    )
    return made
