"""The detector for scikit-learn: pipelines, searches and comparisons with other detectors.

Needs scikit-learn, `pip install 'aemon[estimator]'`; nothing else of aemon imports this module.
"""

import warnings
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

try:
    from sklearn.base import BaseEstimator, OutlierMixin, TransformerMixin
    from sklearn.utils import Tags, check_random_state
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(
        "aemon.estimator needs scikit-learn 1.6 or newer: pip install 'aemon[estimator]'"
    ) from error

from aemon.config.detector_settings import DetectorSettings
from aemon.config.learning_settings import LearningSettings
from aemon.config.threshold_settings import ThresholdSettings
from aemon.detection.arrays import Rows, Values
from aemon.detection.judgement import Explanation
from aemon.detection.learning import LEAST_RECORDS, train_detector
from aemon.detection.unnamed_records import as_frame
from aemon.errors import FrameError, TrainingError
from aemon.frame import Frame

DEFAULTS = DetectorSettings()
"""What the configuration's defaults are, this module's are too."""

BLOCK_RECORDS = 64
"""Records are scored in whole blocks, the last one filled up with repetitions: matrix products of
one shape round alike, so that no last digit depends on what a record is scored beside."""


class AutoencoderDetector(TransformerMixin, OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Anomaly detection by an ensemble of autoencoders, `train_detector` in scikit-learn's terms.

    X is (N, columns): an array of numbers, or a DataFrame whose columns may be numbers, truths and
    categories; in both NaN is a missing cell. Rows are in the order of time where they have one.

    Args:
        kind: of detector, as `detector.kind` in the configuration.
        false_alarm_rate: share of normal records that may be predicted as anomalies.
        series: whether the order of rows is that of time. True: each row is seen behind those above
            it, so that its score depends on them. None: each is judged alone, by views that suit
            the order, which is found out.
        window: rows seen together in a series; None for the default.
        members: autoencoders averaged.
        code_size: width of the code; None is the kind's choice, here and below.
        hidden_sizes: widths of the layers between features and code, the outermost first.
        steps: of training.
        batch_records: records in a training step.
        learning_rate: its peak.
        noise: most input noise in training, in spreads.
        masking: most input cells hidden in training, a share.
        random_state: seed of training; None takes another one each time.

    Attributes:
        detector_: the `Detector` that was learned; it takes frames and DataFrames.
        offset_: minus the threshold, so that `decision_function` is 0 on it.
        n_features_in_: columns seen in `fit`.
        feature_names_in_: their names, where they have text for names.
    """

    def __init__(
        self,
        *,
        kind: str = DEFAULTS.kind,
        false_alarm_rate: float = 0.01,
        series: bool | None = None,
        window: int | None = None,
        members: int = DEFAULTS.members,
        code_size: int | None = None,
        hidden_sizes: tuple[int, ...] | None = None,
        steps: int | None = None,
        batch_records: int = DEFAULTS.batch_records,
        learning_rate: float | None = None,
        noise: float | None = None,
        masking: float | None = None,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.kind = kind
        self.false_alarm_rate = false_alarm_rate
        self.series = series
        self.window = window
        self.members = members
        self.code_size = code_size
        self.hidden_sizes = hidden_sizes
        self.steps = steps
        self.batch_records = batch_records
        self.learning_rate = learning_rate
        self.noise = noise
        self.masking = masking
        self.random_state = random_state

    def fit(self, X: Any, y: object = None) -> Self:  # noqa: ARG002, N803 -- scikit-learn's names
        """Learn from N records, normal but for a few; y is not looked at.

        Raises:
            ValueError: a parameter is out of its range, or nothing can be learned from X.
        """
        frame = self._frame(X, reset=True)
        if len(frame) < LEAST_RECORDS:
            warnings.warn(
                f"{len(frame)} records are too few to learn from; they are repeated until there "
                f"are {LEAST_RECORDS}, and the false-alarm rate means nothing",
                stacklevel=2,
            )
            frame = as_frame(frame.values.iloc[np.resize(np.arange(len(frame)), LEAST_RECORDS)])
        seed = self.random_state
        if seed is None or isinstance(seed, np.random.RandomState):
            seed = int(check_random_state(seed).randint(np.iinfo(np.int32).max))
        try:
            in_order = bool(self.series)
            self.detector_ = train_detector(frame, self._settings(), int(seed), in_order=in_order)
        except (TrainingError, FrameError) as error:
            raise ValueError(str(error)) from error
        self.offset_ = -self.detector_.threshold.value
        return self

    def score_samples(self, X: Any) -> Values:  # noqa: N803
        """Minus the detector's scores (N,): the higher, the more normal.

        A record that was learned from is held against the others (`Scorer.scores`), so that
        `fit_predict` finds the anomalies among them. With a `window`, each row is seen behind those
        above it.

        Raises:
            NotFittedError: nothing was learned yet.
            ValueError: the columns are not those that were learned from.
        """
        frame, count = self._blocks(X)
        detector = self.detector_
        try:
            if detector.series is not None:
                return -detector.judge(frame.take(slice(0, count))).scores
            features, mask = detector.feature_map.transform(frame)
        except FrameError as error:
            raise ValueError(str(error)) from error
        return -detector.scorer.scores(features, mask, without_itself=True)[:count]

    def transform(self, X: Any) -> Values:  # noqa: N803
        """Codes (N, C) of N records, by the first member; gaps are filled before.

        Members start from different weights, so that their codes say nothing to one another;
        `detector_.encode` has those of all.

        Raises:
            NotFittedError: nothing was learned yet.
            ValueError: the columns are not those that were learned from.
        """
        frame, count = self._blocks(X)
        try:
            return self.detector_.encode(frame)[0, :count].astype(np.float64)
        except FrameError as error:
            raise ValueError(str(error)) from error

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[np.object_]:  # noqa: ARG002 -- scikit-learn's name
        """Names (C,) of what `transform` returns.

        Raises:
            NotFittedError: nothing was learned yet.
        """
        check_is_fitted(self)
        width = self.detector_.scorer.autoencoder.code_size
        return np.array([f"code{place}" for place in range(width)], dtype=object)

    def impute(self, X: Any) -> Any:  # noqa: N803
        """X with its missing cells estimated: an array where X is one, else a DataFrame.

        Raises:
            NotFittedError: nothing was learned yet.
            ValueError: the columns are not those that were learned from.
        """
        check_is_fitted(self)
        try:
            filled = self.detector_.impute(self._frame(X, reset=False))
        except FrameError as error:
            raise ValueError(str(error)) from error
        if isinstance(X, pd.DataFrame):
            return filled.set_axis(X.index)
        return filled.to_numpy(dtype=np.float64)

    def explain(self, X: Any, units: Mapping[str, str] | None = None) -> list[Explanation]:  # noqa: N803
        """Why each of a few records scored as it did: columns, values expected, and a sentence.

        Columns of an array are named x0, x1 and so on.

        Args:
            X: the records.
            units: of numeric columns, for the words alone: `{"pressure": "bar"}`.

        Raises:
            NotFittedError: nothing was learned yet.
            ValueError: the columns are not those that were learned from.
        """
        check_is_fitted(self)
        try:
            return self.detector_.explain(self._frame(X, reset=False), units)
        except FrameError as error:
            raise ValueError(str(error)) from error

    def decision_function(self, X: Any) -> Values:  # noqa: N803
        """`score_samples` above the threshold (N,): negative for anomalies; raises as that does."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> Rows:  # noqa: N803
        """-1 for anomalies and 1 for all others (N,); raises as `score_samples` does.

        Records that are mostly missing are predicted as others are; `detector_.judge` calls them
        absent.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _settings(self) -> LearningSettings:
        keys = self.get_params().keys() - {"false_alarm_rate", "random_state", "series", "window"}
        order = {"series": self.series, "window": self.window}
        if self.series is None:
            order = {"window": self.window or 1}
        detector = {key: getattr(self, key) for key in keys} | order
        return LearningSettings(
            detector=DetectorSettings.model_validate(detector),
            threshold=ThresholdSettings(false_alarm_rate=self.false_alarm_rate),
        )

    def _blocks(self, X: Any) -> tuple[Frame, int]:  # noqa: N803
        """X as a frame of whole blocks, and how many of its records are there."""
        check_is_fitted(self)
        frame = self._frame(X, reset=False)
        whole = np.resize(np.arange(len(frame)), -(-len(frame) // BLOCK_RECORDS) * BLOCK_RECORDS)
        return frame.take(whole), len(frame)

    def _frame(self, X: Any, *, reset: bool) -> Frame:  # noqa: N803
        """X as a frame; a DataFrame as it is, anything else as numbers."""
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, reset=reset, skip_check_array=True)
            if not len(X):
                raise ValueError("found 0 samples, where at least 1 is needed")
            return as_frame(X)
        numbers = validate_data(
            self, X, reset=reset, dtype="numeric", ensure_all_finite="allow-nan",
            ensure_min_samples=2 if reset else 1,
        )  # fmt: skip
        return as_frame(pd.DataFrame(numbers).add_prefix("x"))
