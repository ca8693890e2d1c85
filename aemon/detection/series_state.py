"""Conversion of a series view to plain arrays and JSON, and back."""

from dataclasses import asdict

import numpy as np

from aemon.detection.arrays import Floats
from aemon.detection.autoencoders.autoencoder import Autoencoder
from aemon.detection.features.feature_map import FeatureMap
from aemon.detection.features.outputs import Outputs
from aemon.detection.scoring.combining import View
from aemon.detection.series.calendars import Calendar
from aemon.detection.series.residual_view import ResidualView
from aemon.detection.series.room import Room
from aemon.detection.series.seasons import Rhythm, Season
from aemon.detection.series.series_view import LevelView, SeriesView
from aemon.detection.series.tails import Tails
from aemon.detection.state import Arrays, Metadata

_LEVELS = "series.levels"


def series_state(series: SeriesView | None) -> tuple[Arrays, Metadata]:
    """Return arrays and JSON of a series view; both are empty without a series view."""
    if series is None:
        return {}, {}
    arrays: Arrays = {
        "series.means": series.means,
        "series.slopes": series.slopes,
        "series.lows": series.room.lows,
        "series.highs": series.room.highs,
        **_windows_arrays("series", series.windows),
    }
    season: Metadata | None = None
    if series.season is not None:
        arrays["series.season"] = series.season.effects
        arrays["series.season_spreads"] = series.season.spreads
        season = {name: getattr(series.season, name) for name in ("rhythm", "steps")}
        season |= asdict(series.season.calendar)
        season["view"] = asdict(series.season.view)
    levels: Metadata | None = None
    if series.levels is not None:
        arrays |= _windows_arrays(_LEVELS, series.levels.windows)
        arrays[f"{_LEVELS}.scale"] = series.levels.scale
        block, view = _microseconds(series.levels.block), asdict(series.levels.windows.view)
        levels = {"block": block, "view": view}
    return arrays, {
        "season": season,
        "levels": levels,
        "width": series.width,
        "longest_gap": _microseconds(series.longest_gap),
        "view": asdict(series.windows.view),
        "record_threshold": series.record_threshold,
        "together": series.together and asdict(series.together),
        "alone": series.alone and asdict(series.alone),
        "taught": series.training_tails.as_json(),
    }


def series_from(
    arrays: Arrays, metadata: Metadata | None, feature_map: FeatureMap
) -> SeriesView | None:
    """Return the series view that `series_state` converted; None without metadata.

    The feature map must come from the same training.
    """
    if not metadata:
        return None
    weights = feature_map.weights
    return SeriesView(
        width=metadata["width"],
        longest_gap=np.timedelta64(metadata["longest_gap"], "us"),
        means=arrays["series.means"],
        slopes=arrays["series.slopes"],
        room=Room(lows=arrays["series.lows"], highs=arrays["series.highs"]),
        weights=weights,
        windows=_windows_from(arrays, "series", metadata["view"], weights),
        record_threshold=metadata["record_threshold"],
        together=_view_from(metadata.get("together")),
        alone=_view_from(metadata.get("alone")),
        season=_season_from(metadata.get("season"), arrays),
        levels=_levels_from(metadata.get("levels"), arrays, weights),
        training_tails=Tails.from_json(metadata.get("taught")),
    )


def _windows_arrays(name: str, windows: ResidualView) -> Arrays:
    into, back = windows.autoencoder.weights
    into_biases, back_biases = windows.autoencoder.biases
    return {
        f"{name}.into": into,
        f"{name}.back": back,
        f"{name}.into_biases": into_biases,
        f"{name}.back_biases": back_biases,
        f"{name}.spreads": windows.spreads,
    }


def _windows_from(arrays: Arrays, name: str, view: Metadata, weights: Floats) -> ResidualView:
    return ResidualView(
        autoencoder=Autoencoder(
            weights=(arrays[f"{name}.into"], arrays[f"{name}.back"]),
            biases=(arrays[f"{name}.into_biases"], arrays[f"{name}.back_biases"]),
            activations=("linear", "linear"),
            encoder_layers=1,
            outputs=Outputs.linear(arrays[f"{name}.back"].shape[2]),
        ),
        weights=weights,
        spreads=arrays[f"{name}.spreads"],
        view=View(**view),
    )


def _levels_from(metadata: Metadata | None, arrays: Arrays, weights: Floats) -> LevelView | None:
    if not metadata:
        return None
    return LevelView(
        block=np.timedelta64(metadata["block"], "us"),
        scale=arrays[f"{_LEVELS}.scale"],
        windows=_windows_from(arrays, _LEVELS, metadata["view"], np.tile(weights, 2)),
    )


def _season_from(metadata: Metadata | None, arrays: Arrays) -> Season | None:
    if not metadata:
        return None
    return Season(
        rhythm=Rhythm(metadata["rhythm"]),
        steps=metadata["steps"],
        calendar=Calendar(zone=metadata["zone"], holidays=metadata.get("holidays", "")),
        effects=arrays["series.season"],
        spreads=arrays["series.season_spreads"],
        view=View(**metadata["view"]),
    )


def _view_from(metadata: Metadata | None) -> View | None:
    return View(**metadata) if metadata else None


def _microseconds(length: np.timedelta64) -> int:
    return int(length.astype("timedelta64[us]").astype(np.int64))
