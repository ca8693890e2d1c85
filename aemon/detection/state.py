"""A detector's parts as plain arrays and JSON, and back: nothing here can carry code."""

import hashlib
import json
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from aemon.detection.autoencoder import Autoencoder
from aemon.detection.columns import ColumnReport
from aemon.detection.feature_map import FeatureMap
from aemon.detection.tail import Tail
from aemon.detection.threshold import Threshold

Arrays = dict[str, npt.NDArray[Any]]
Metadata = dict[str, Any]

LAYERS = 4


def feature_map_state(feature_map: FeatureMap) -> tuple[Arrays, Metadata]:
    """Arrays and JSON of a feature map."""
    names = ("means", "spreads", "weights", "floors", "lows", "highs")
    arrays = {f"features.{name}": getattr(feature_map, name) for name in names}
    return arrays, {
        "columns": [asdict(report) for report in feature_map.columns],
        "scaled": list(feature_map.scaled),
        "booleans": sorted(feature_map.booleans),
        "categorical": [[name, list(texts)] for name, texts in feature_map.categorical],
        "entities": list(feature_map.entities),
        "width": feature_map.width,
    }


def feature_map_from(arrays: Arrays, metadata: Metadata) -> FeatureMap:
    """The inverse of `feature_map_state`; a map stored before ranges were is unbounded."""
    anywhere = np.full(len(arrays["features.means"]), np.inf)
    return FeatureMap(
        columns=tuple(ColumnReport(**report) for report in metadata["columns"]),
        scaled=tuple(metadata["scaled"]),
        booleans=frozenset(metadata["booleans"]),
        categorical=tuple((name, tuple(texts)) for name, texts in metadata["categorical"]),
        entities=tuple(metadata["entities"]),
        means=arrays["features.means"],
        spreads=arrays["features.spreads"],
        weights=arrays["features.weights"],
        floors=arrays["features.floors"],
        lows=arrays.get("features.lows", -anywhere),
        highs=arrays.get("features.highs", anywhere),
        width=metadata["width"],
    )


def hash_feature_map(feature_map: FeatureMap) -> str:
    """SHA-256 of all that a feature map is."""
    arrays, metadata = feature_map_state(feature_map)
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def autoencoder_state(autoencoder: Autoencoder) -> Arrays:
    """The weights and biases of every layer."""
    weights = {f"autoencoder.weights.{i}": w for i, w in enumerate(autoencoder.weights)}
    return weights | {f"autoencoder.biases.{i}": b for i, b in enumerate(autoencoder.biases)}


def autoencoder_from(arrays: Arrays) -> Autoencoder:
    """The inverse of `autoencoder_state`."""
    return Autoencoder(
        weights=tuple(arrays[f"autoencoder.weights.{i}"] for i in range(LAYERS)),
        biases=tuple(arrays[f"autoencoder.biases.{i}"] for i in range(LAYERS)),
    )


def threshold_state(threshold: Threshold) -> tuple[Arrays, Metadata]:
    """Arrays and JSON of a threshold."""
    arrays: Arrays = {
        "threshold.kept": threshold.kept,
        "threshold.at_or_above": threshold.at_or_above,
    }
    return arrays, {
        "value": threshold.value,
        "method": threshold.method,
        "false_alarm_rate": threshold.false_alarm_rate,
        "records": threshold.records,
        "tail": asdict(threshold.tail),
    }


def threshold_from(arrays: Arrays, metadata: Metadata) -> Threshold:
    """The inverse of `threshold_state`."""
    return Threshold(
        value=metadata["value"],
        method=metadata["method"],
        false_alarm_rate=metadata["false_alarm_rate"],
        records=metadata["records"],
        kept=arrays["threshold.kept"],
        at_or_above=arrays["threshold.at_or_above"],
        tail=Tail(**metadata["tail"]),
    )
