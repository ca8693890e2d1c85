"""Conversion of a detector's parts to plain arrays and JSON, and back.

Arrays and JSON cannot contain code, so it is safe to load a detector.
"""

import hashlib
import json
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from aemon.detection.autoencoders.autoencoder import Autoencoder
from aemon.detection.features.checks.constants import Constant
from aemon.detection.features.checks.firsts import Never
from aemon.detection.features.checks.pairs import Pair
from aemon.detection.features.checks.ranges import Range
from aemon.detection.features.columns import ColumnReport
from aemon.detection.features.feature_map import ARRAYS, FeatureMap
from aemon.detection.features.increases import Counter
from aemon.detection.features.logarithms import Logarithm
from aemon.detection.features.modes import Mode
from aemon.detection.features.outputs import Outputs
from aemon.detection.features.readings import Reading
from aemon.detection.scoring.combining import View
from aemon.detection.scoring.neighbours import Prototypes
from aemon.detection.scoring.normal_space import Space
from aemon.detection.scoring.outline import Outline
from aemon.detection.scoring.relations import Relations
from aemon.detection.scoring.scorer import Guard, Scorer
from aemon.detection.thresholds.by_entity import Thresholds
from aemon.detection.thresholds.methods import conformal
from aemon.detection.thresholds.tail import Tail
from aemon.detection.thresholds.threshold import CRITICAL_SHARE, Threshold

Arrays = dict[str, npt.NDArray[Any]]
Metadata = dict[str, Any]

_OUTLINE = ("ranges", "means", "components", "gaps")
_RELATIONS = ("means", "slopes", "whitening", "roots")
_SPREAD = ("autoencoder.spread.weights", "autoencoder.spread.biases")

_THRESHOLD_NUMBERS = (
    "value", "critical_value", "method", "false_alarm_rate", "critical_rate", "records",
    "independent",
)  # fmt: skip


def feature_map_state(feature_map: FeatureMap) -> tuple[Arrays, Metadata]:
    """Return arrays and JSON of a feature map."""
    arrays = {f"features.{name}": getattr(feature_map, name) for name in ARRAYS}
    return arrays, {
        "columns": [asdict(report) for report in feature_map.columns],
        "scaled": list(feature_map.scaled),
        "booleans": sorted(feature_map.booleans),
        "categorical": [[name, list(texts)] for name, texts in feature_map.categorical],
        "entities": list(feature_map.entities),
        "width": feature_map.width,
        **_optional(feature_map),
    }


def _optional(feature_map: FeatureMap) -> Metadata:
    """Return JSON of the non-empty parts that feature maps of older versions do not have."""
    found: Metadata = {
        "angles": [list(angle) for angle in feature_map.angles],
        "readings": {name: one.as_json() for name, one in feature_map.readings.items()},
        "constants": [asdict(constant) for constant in feature_map.constants],
        "decimals": list(feature_map.decimals),
        "units": list(feature_map.units),
        "limits": [list(limit) for limit in feature_map.limits],
        "ranges": [asdict(one) for one in feature_map.ranges if isinstance(one, Range)],
        "firsts": [asdict(one) for one in feature_map.ranges if isinstance(one, Never)],
        "counters": [asdict(one) for one in feature_map.counters],
        "logarithms": [asdict(one) for one in feature_map.logarithms],
        "pairs": [asdict(one) for one in feature_map.pairs],
        "mode": feature_map.mode.as_json() if feature_map.mode is not None else None,
    }
    return {name: value for name, value in found.items() if value}


def feature_map_from(arrays: Arrays, metadata: Metadata) -> FeatureMap:
    """Return the feature map that `feature_map_state` converted.

    Feature maps of older versions have no ranges; the columns of such a map become unbounded.
    """
    unbounded = np.full(len(arrays["features.means"]), np.inf)
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
        lows=arrays.get("features.lows", -unbounded),
        highs=arrays.get("features.highs", unbounded),
        width=metadata["width"],
        angles=tuple((name, low) for name, low in metadata.get("angles", ())),
        readings={
            name: Reading.from_json(stored) for name, stored in metadata.get("readings", {}).items()
        },
        constants=tuple(Constant.from_json(stored) for stored in metadata.get("constants", ())),
        decimals=tuple(metadata.get("decimals", ())),
        units=tuple(metadata.get("units", ())),
        limits=tuple((name, most) for name, most in metadata.get("limits", ())),
        ranges=(
            *(Range(**stored) for stored in metadata.get("ranges", ())),
            *(Never(**stored) for stored in metadata.get("firsts", ())),
        ),
        mode=Mode.from_json(metadata.get("mode")),
        counters=tuple(Counter(**stored) for stored in metadata.get("counters", ())),
        logarithms=tuple(Logarithm(**stored) for stored in metadata.get("logarithms", ())),
        pairs=tuple(Pair.from_json(stored) for stored in metadata.get("pairs", ())),
    )


def hash_feature_map(feature_map: FeatureMap) -> str:
    """Return the SHA-256 of all parts of a feature map that influence features.

    For a feature map of an older version, the hash is the same as in that version.
    """
    arrays, metadata = feature_map_state(feature_map)
    for left_out in ("constants", "decimals", "firsts", "limits", "pairs", "ranges", "units"):
        metadata.pop(left_out, None)
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def scorer_state(scorer: Scorer) -> tuple[Arrays, Metadata]:
    """Return arrays and JSON of a scorer."""
    autoencoder, space = scorer.autoencoder, scorer.space
    arrays: Arrays = {
        **{f"autoencoder.weights.{i}": w for i, w in enumerate(autoencoder.weights)},
        **{f"autoencoder.biases.{i}": b for i, b in enumerate(autoencoder.biases)},
        "space.whitening": space.whitening,
        "space.usual": space.usual,
        "space.prototypes": space.prototypes.points,
        "space.joint": space.joint.points,
        "space.densities": space.densities,
        **{f"outline.{name}": getattr(scorer.outline, name) for name in _OUTLINE},
    }
    if autoencoder.spread is not None:
        arrays |= dict(zip(_SPREAD, autoencoder.spread, strict=True))
    if (relations := space.relations) is not None:
        arrays |= {f"relations.{name}": getattr(relations, name) for name in _RELATIONS}
        arrays["relations.points"] = relations.points.points
    return arrays, {
        "activations": list(autoencoder.activations),
        "encoder_layers": autoencoder.encoder_layers,
        "plain_outputs": autoencoder.outputs.plain,
        "views": [asdict(view) for view in scorer.views],
        "vouchers": space.vouchers,
        "guards": [asdict(guard) for guard in scorer.guards],
    }


def scorer_from(arrays: Arrays, metadata: Metadata, feature_map: FeatureMap) -> Scorer:
    """Return the scorer that `scorer_state` converted.

    The feature map must come from the same training.
    """
    layers = range(len(metadata["activations"]))
    plain = metadata.get("plain_outputs", False)
    return Scorer(
        autoencoder=Autoencoder(
            weights=tuple(arrays[f"autoencoder.weights.{i}"] for i in layers),
            biases=tuple(arrays[f"autoencoder.biases.{i}"] for i in layers),
            activations=tuple(metadata["activations"]),
            encoder_layers=metadata["encoder_layers"],
            outputs=Outputs.linear(len(feature_map)) if plain else feature_map.outputs,
            spread=(arrays[_SPREAD[0]], arrays[_SPREAD[1]]) if _SPREAD[0] in arrays else None,
        ),
        space=Space(
            weights=feature_map.weights,
            whitening=arrays["space.whitening"],
            usual=arrays["space.usual"],
            prototypes=Prototypes(points=arrays["space.prototypes"]),
            joint=Prototypes(points=arrays["space.joint"]),
            densities=arrays["space.densities"],
            vouchers=metadata["vouchers"],
            relations=_relations(arrays),
        ),
        views=tuple(View(**view) for view in metadata["views"]),
        guards=tuple(Guard(**guard) for guard in metadata.get("guards") or [metadata["guard"]]),
        outline=Outline(**{name: arrays[f"outline.{name}"] for name in _OUTLINE}),
    )


def _relations(arrays: Arrays) -> Relations | None:
    """Return the relations of a scorer; None for a detector without relations (old detectors)."""
    if "relations.points" not in arrays:
        return None
    return Relations(
        **{name: arrays[f"relations.{name}"] for name in _RELATIONS},
        points=Prototypes(points=arrays["relations.points"]),
    )


def threshold_state(threshold: Threshold) -> tuple[Arrays, Metadata]:
    """Return arrays and JSON of a threshold."""
    arrays: Arrays = {
        "threshold.kept": threshold.kept,
        "threshold.at_or_above": threshold.at_or_above,
    }
    return arrays, {
        **{name: getattr(threshold, name) for name in _THRESHOLD_NUMBERS},
        "tail": asdict(threshold.tail),
    }


def threshold_from(arrays: Arrays, metadata: Metadata) -> Threshold:
    """Return the threshold that `threshold_state` converted.

    Old detectors have no critical threshold; this function adds a critical threshold.
    """
    numbers = {name: metadata[name] for name in _THRESHOLD_NUMBERS if name in metadata}
    kept, tail = arrays["threshold.kept"], Tail(**metadata["tail"])
    if "critical_value" not in numbers:
        rate = CRITICAL_SHARE * numbers["false_alarm_rate"]
        critical = conformal(kept, numbers["records"], tail, rate)
        numbers["critical_value"] = max(critical, numbers["value"])
        numbers["critical_rate"] = rate
        numbers["independent"] = float(numbers["records"])
    return Threshold(kept=kept, at_or_above=arrays["threshold.at_or_above"], tail=tail, **numbers)


def thresholds_state(thresholds: Thresholds) -> tuple[Arrays, Metadata]:
    """Return arrays and JSON of all thresholds; the scores of all entities are in one array."""
    arrays, metadata = threshold_state(thresholds.pooled)
    own = [(name, *threshold_state(threshold)) for name, threshold in thresholds.own.items()]
    for name in tuple(arrays) if own else ():
        arrays[f"own.{name}"] = np.concatenate([parts[name] for _, parts, _ in own])
    return arrays, {
        **metadata,
        "batch_fdr": thresholds.batch_fdr,
        "own": [[name, len(parts["threshold.kept"]), threshold] for name, parts, threshold in own],
    }


def thresholds_from(arrays: Arrays, metadata: Metadata) -> Thresholds:
    """Return the thresholds that `thresholds_state` converted.

    Old detectors have a single threshold for the records of all entities.
    """
    own: dict[str, Threshold] = {}
    start = 0
    for name, size, threshold in metadata.get("own", ()):
        part = slice(start, start := start + size)
        stored = ("threshold.kept", "threshold.at_or_above")
        own[name] = threshold_from({key: arrays[f"own.{key}"][part] for key in stored}, threshold)
    return Thresholds(
        pooled=threshold_from(arrays, metadata), own=own, batch_fdr=metadata.get("batch_fdr")
    )
