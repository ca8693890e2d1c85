"""The detector as a scikit-learn estimator, for pipelines, searches and comparisons.

This module needs scikit-learn, `pip install 'aemon[estimator]'`. No other module imports it.
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
"""The configuration's defaults, which are also the defaults of the estimator."""

BLOCK_RECORDS = 64
"""Number of records in a block. Records are scored in whole blocks; copies of records fill the last
block. All matrix products then have the same shape and are rounded in the same way. So the last
digits of a record's score do not depend on the other records."""


class AutoencoderDetector(TransformerMixin, OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Anomaly detection by an ensemble of autoencoders: `train_detector` as an estimator.

    X is (N, columns): an array of numbers, or a DataFrame whose columns may be numbers, booleans
    and categories. NaN is a missing cell. Rows that follow each other in time must be in the
    order of time.

    Args:
        kind: the kind of detector, as `detector.kind` in the configuration.
        false_alarm_rate: share of normal records that may be predicted as anomalies.
        series: whether rows are in the order of time. If True, a row is judged together with the
            rows above it, and its score depends on these rows. If None, each row is judged alone.
            The training then finds out whether consecutive rows are similar, and chooses views for
            a series or views for a table.
        window: number of rows that are judged together in a series; None for the default.
        members: number of autoencoders that are averaged.
        code_size: width of the code; None for the default of the kind.
        hidden_sizes: widths of the layers between features and code, the outermost first; None for
            the default of the kind.
        steps: number of training steps; None for the default of the kind.
        batch_records: number of records in one training step.
        learning_rate: the highest learning rate; None for the default of the kind.
        noise: the largest input noise in training, in standard deviations of a column; None for
            the default of the kind.
        masking: the largest share of input cells that are hidden in training; None for the default
            of the kind.
        random_state: seed of training; None for a new seed in each training.

    Attributes:
        detector_: the trained `Detector`, which accepts frames and DataFrames.
        offset_: the negated threshold; `decision_function` is 0 at the threshold.
        n_features_in_: number of columns in `fit`.
        feature_names_in_: names of the columns, if the names are text.
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
        """Train a detector on N records, most of them normal; y is ignored.

        Raises:
            ValueError: a parameter is out of its range, or X is not sufficient for training.
        """
        frame = self._frame(X, reset=True)
        if len(frame) < LEAST_RECORDS:
            warnings.warn(
                f"{len(frame)} records are too few for training; they are repeated until there "
                f"are {LEAST_RECORDS}, and the false-alarm rate is not kept",
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
        """Return the negated scores of the detector (N,): a higher value is more normal.

        A training record is compared with the other training records (`Scorer.scores`), so that
        `fit_predict` finds the anomalies among the training records. In a series, each row is
        judged together with the rows above it.

        Raises:
            NotFittedError: `fit` was not called yet.
            ValueError: the columns differ from the columns of the training records.
        """
        frame, count = self._blocks(X)
        detector = self.detector_
        try:
            if detector.series is not None:
                return -detector.judge(frame.take(slice(0, count))).scores
            features, mask = detector.features(frame)
        except FrameError as error:
            raise ValueError(str(error)) from error
        return -detector.scorer.scores(features, mask, without_itself=True)[:count]

    def transform(self, X: Any) -> Values:  # noqa: N803
        """Return the first member's codes (N, C) of N records, after estimating missing cells.

        Members start from different weights, so codes of different members cannot be compared.
        `detector_.encode` returns the codes of all members.

        Raises:
            NotFittedError: `fit` was not called yet.
            ValueError: the columns differ from the columns of the training records.
        """
        frame, count = self._blocks(X)
        try:
            return self.detector_.encode(frame)[0, :count].astype(np.float64)
        except FrameError as error:
            raise ValueError(str(error)) from error

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[np.object_]:  # noqa: ARG002 -- scikit-learn's name
        """Return names (C,) of the columns that `transform` returns.

        Raises:
            NotFittedError: `fit` was not called yet.
        """
        check_is_fitted(self)
        width = self.detector_.scorer.autoencoder.code_size
        return np.array([f"code{place}" for place in range(width)], dtype=object)

    def impute(self, X: Any) -> Any:  # noqa: N803
        """Return X with missing cells estimated: a DataFrame if X is a DataFrame, else an array.

        Raises:
            NotFittedError: `fit` was not called yet.
            ValueError: the columns differ from the columns of the training records.
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
        """Explain each record's score: the columns, their expected values, and a sentence.

        Columns of an array are named x0, x1 and so on.

        Args:
            X: a few records.
            units: units of numeric columns, used only in the sentence: `{"pressure": "bar"}`.

        Raises:
            NotFittedError: `fit` was not called yet.
            ValueError: the columns differ from the columns of the training records.
        """
        check_is_fitted(self)
        try:
            return self.detector_.explain(self._frame(X, reset=False), units)
        except FrameError as error:
            raise ValueError(str(error)) from error

    def decision_function(self, X: Any) -> Values:  # noqa: N803
        """Return `score_samples` minus `offset_` (N,): negative for anomalies.

        Raises:
            NotFittedError: `fit` was not called yet.
            ValueError: the columns differ from the columns of the training records.
        """
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> Rows:  # noqa: N803
        """Return -1 for anomalies and 1 for other records (N,).

        A record whose cells are mostly missing also has a prediction here, although its verdict by
        `detector_.judge` is `absent`.

        Raises:
            NotFittedError: `fit` was not called yet.
            ValueError: the columns differ from the columns of the training records.
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
        """Return X as a frame of whole blocks, and the number of records in X."""
        check_is_fitted(self)
        frame = self._frame(X, reset=False)
        whole = np.resize(np.arange(len(frame)), -(-len(frame) // BLOCK_RECORDS) * BLOCK_RECORDS)
        return frame.take(whole), len(frame)

    def _frame(self, X: Any, *, reset: bool) -> Frame:  # noqa: N803
        """Return X as a frame: a DataFrame unchanged, other input as numbers."""
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
