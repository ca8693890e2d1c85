"""The detector: the complete, immutable result of a training on normal records."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import pandas as pd

from aemon.detection.arrays import Floats, Mask
from aemon.detection.derived_columns import Derivation, with_derived
from aemon.detection.explaining.codes import Compression, code_map, compression
from aemon.detection.explaining.imputing import Filled, fill
from aemon.detection.features.columns import listed
from aemon.detection.features.feature_map import FeatureMap
from aemon.detection.features.units import as_columns, with_gaps_filled
from aemon.detection.judgement import Explanation, Judgement
from aemon.detection.operation.operation import Operation
from aemon.detection.past import Past
from aemon.detection.provenance import Provenance
from aemon.detection.record_judging import Look, Parts, explain, look, see
from aemon.detection.scoring.scorer import Scorer
from aemon.detection.series.series_view import SeriesView
from aemon.detection.series_state import series_from, series_state
from aemon.detection.state import (
    feature_map_from,
    feature_map_state,
    scorer_from,
    scorer_state,
    thresholds_from,
    thresholds_state,
)
from aemon.detection.thresholds.by_entity import Thresholds
from aemon.detection.thresholds.by_mode import ModeScale
from aemon.detection.thresholds.threshold import Threshold
from aemon.detection.unnamed_records import Records, as_frame, like


@dataclass(frozen=True, kw_only=True, eq=False)
class Detector:
    """A fitted detector: always complete, because `train_detector` and `from_state` make it.

    Its methods accept records as a `Frame`, or as a DataFrame with only the values of the records.
    Records are in the order of time.

    Attributes:
        feature_map: converts columns to features.
        scorer: converts features to scores.
        thresholds: convert scores to verdicts.
        provenance: the origin of the training records, and the settings of the training.
        series: converts windows of features to scores; None if each record is judged alone.
        operation: rules that select the records of a working machine, because only these records
            are judged; None if all records are judged.
        mode_scale: conversion of each mode's scores to a common scale; None if no mode has its own
            scale.
        derivation: the derived columns; None if none is configured.
    """

    feature_map: FeatureMap
    scorer: Scorer
    thresholds: Thresholds
    provenance: Provenance
    series: SeriesView | None = None
    operation: Operation | None = None
    mode_scale: ModeScale | None = None
    derivation: Derivation | None = None

    @property
    def threshold(self) -> Threshold:
        """The threshold for records of entities without their own threshold."""
        return self.thresholds.pooled

    def look(self, frame: Records, before: Past | None = None) -> Look:
        """Judge records that were fetched together; the result can explain them on request.

        Context rows of the frame are read, but not judged.

        Args:
            frame: the records, in the order of time.
            before: the state after the earlier records, from `Judgement.past`.

        Raises:
            FrameError: a judged column, the column of modes or a column of the operating condition
                is missing; or no judged column can be read.
        """
        return look(self._parts, self.thresholds, as_frame(frame), before)

    @property
    def summary(self) -> str:
        """Description of how records are judged together; empty if each record is judged alone."""
        if self.series is None:
            return ""
        names = [
            name
            for name, place in self.feature_map.judged
            if self.series.season is not None and self.series.season.effects[:, place].any()
        ]
        rhythm = ""
        if self.series.season is not None:
            turn = self.series.season.summary
            rhythm = f"; {listed(names)} follow{'s' if len(names) == 1 else ''} {turn}"
        earlier = self.series.width - 1
        return f"each record is judged together with the {earlier} records before it{rhythm}"

    @property
    def context_rows(self) -> int:
        """Number of earlier records of the same entity that the score of a record depends on."""
        settling = self.operation.settle_rows if self.operation is not None else 0
        counted = 1 if self.feature_map.counters else 0
        seen = self.series.context_rows if self.series is not None else 0
        derived = self.derivation.context_rows if self.derivation is not None else 0
        return max(settling, seen + max(counted, derived))

    @property
    def _parts(self) -> Parts:
        return Parts(
            self.feature_map, self.scorer, self.series, self.operation, self.mode_scale,
            self.derivation,
        )  # fmt: skip

    def judge(self, frame: Records) -> Judgement:
        """Return the verdicts of `look` on N records that were fetched together.

        Raises:
            FrameError: for the same reasons as `look`.
        """
        return self.look(frame).judgement

    def explain(self, frame: Records, units: Mapping[str, str] | None = None) -> list[Explanation]:
        """Explain the score of each of a few records, in original units.

        For records that were judged already, `Look.explain` is quicker: the records are not read
        again.

        Args:
            frame: the records.
            units: column -> unit of a numeric column, for the text: `{"pressure": "bar"}`.

        Raises:
            FrameError: a judged column or the column of modes is missing, or no judged column can
                be read.
        """
        seen = see(self._parts, as_frame(frame))
        return explain(self._parts, self.thresholds, seen, units)

    def features(self, frame: Records) -> tuple[Floats, Mask]:
        """Return features X (N, F) of records, 0 where missing, and a mask (N, F): True if observed.

        Raises:
            FrameError: for the same reasons as `look`.
        """
        return self.feature_map.transform(with_derived(self.derivation, as_frame(frame))[0])

    def encode(self, frame: Records) -> Floats:
        """Return the codes (M, N, C) of N records, after missing cells have been filled.

        Each of the M members of the detector encodes every record.

        Raises:
            FrameError: a judged column or the column of modes is missing, or no judged column can
                be read.
        """
        _, filled = self._fill(frame)
        return self.scorer.autoencoder.encode(filled.features)

    def reconstruct(self, frame: Records) -> pd.DataFrame:
        """Return the reconstructed (denoised) judged columns of N records, in original units.

        Raises:
            FrameError: for the same reasons as `encode`.
        """
        _, filled = self._fill(frame)
        return like(frame, as_columns(self.feature_map, filled.reconstruction))

    def impute(self, frame: Records) -> pd.DataFrame:
        """Return the frame's values with estimates in missing judged cells.

        All other cells are unchanged.

        Raises:
            FrameError: for the same reasons as `encode`.
        """
        mask, filled = self._fill(frame)
        values = as_frame(frame).values
        return like(frame, with_gaps_filled(self.feature_map, values, filled.features, mask))

    def code_map(self, frame: Records) -> Floats:
        """Return coordinates (N, 2) of N records for a plot of their codes, see `codes.code_map`.

        Raises:
            FrameError: for the same reasons as `encode`.
        """
        _, filled = self._fill(frame)
        normal = self.scorer.space.normal_records
        return code_map(self.scorer.autoencoder, normal, filled.features)

    def compression(self, frame: Records) -> Compression:
        """Measure the saved space and the error if one member's codes replace stored records.

        Raises:
            FrameError: for the same reasons as `encode`.
        """
        mask, filled = self._fill(frame)
        return compression(self.feature_map, self.scorer.autoencoder, filled.features, mask)

    def _fill(self, frame: Records) -> tuple[Mask, Filled]:
        X, mask = self.features(frame)  # noqa: N806 -- (N, F)
        return mask, fill(self.scorer, X, mask)

    def state(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """Return the detector as named arrays and metadata in JSON types, for `from_state`."""
        map_arrays, map_metadata = feature_map_state(self.feature_map)
        scorer_arrays, scorer_metadata = scorer_state(self.scorer)
        threshold_arrays, threshold_metadata = thresholds_state(self.thresholds)
        series_arrays, series_metadata = series_state(self.series)
        metadata = {
            "feature_map": map_metadata,
            "scorer": scorer_metadata,
            "lines": threshold_metadata,
            "provenance": self.provenance.to_metadata(),
            **({"series": series_metadata} if series_metadata else {}),
            **({"operation": self.operation.as_json()} if self.operation else {}),
            **({"derivation": self.derivation.as_json()} if self.derivation else {}),
            **({"mode_scale": self.mode_scale.as_json()} if self.mode_scale else {}),
        }
        return {**map_arrays, **scorer_arrays, **threshold_arrays, **series_arrays}, metadata

    @classmethod
    def from_state(
        cls, arrays: dict[str, npt.NDArray[Any]], metadata: dict[str, Any]
    ) -> "Detector":
        """Return the detector that `state` converted to these arrays and this metadata.

        Raises:
            KeyError: an array or a metadata entry is missing.
        """
        feature_map = feature_map_from(arrays, metadata["feature_map"])
        return cls(
            feature_map=feature_map,
            scorer=scorer_from(arrays, metadata["scorer"], feature_map),
            thresholds=thresholds_from(arrays, metadata["lines"]),
            provenance=Provenance.from_metadata(metadata["provenance"]),
            series=series_from(arrays, metadata.get("series"), feature_map),
            operation=Operation.from_json(metadata.get("operation")),
            mode_scale=ModeScale.from_json(metadata.get("mode_scale")),
            derivation=Derivation.from_json(metadata.get("derivation")),
        )
