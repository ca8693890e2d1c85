"""The detector for scikit-learn: pipelines, searches and comparisons with other detectors.

Needs scikit-learn, `pip install 'aemon[estimator]'`; nothing else of aemon imports this module.
"""

import warnings
from typing import Any, Self

import numpy as np
import pandas as pd

try:
    from sklearn.base import BaseEstimator, OutlierMixin
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
from aemon.detection.learning import LEAST_RECORDS, train_detector
from aemon.errors import FrameError, TrainingError
from aemon.frame import Frame

DEFAULTS = DetectorSettings()
"""What the configuration's defaults are, this module's are too."""

BLOCK_RECORDS = 64
"""Records are scored in whole blocks, the last one filled up with repetitions: matrix products of
one shape round alike, so that no last digit depends on what a record is scored beside."""


class AutoencoderDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Anomaly detection by an ensemble of autoencoders, `train_detector` in scikit-learn's terms.

    X is (N, columns): an array of numbers, or a DataFrame whose columns may be numbers, truths and
    categories; in both NaN is a missing cell. Rows are in the order of time where they have one.

    Args:
        kind: of detector, as `detector.kind` in the configuration.
        false_alarm_rate: share of normal records that may be predicted as anomalies.
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
        detector_: the `Detector` that was learned; it explains, imputes and encodes.
        offset_: minus the threshold, so that `decision_function` is 0 on it.
        n_features_in_: columns seen in `fit`.
        feature_names_in_: their names, where they have text for names.
    """

    def __init__(
        self,
        *,
        kind: str = DEFAULTS.kind,
        false_alarm_rate: float = 0.01,
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
            frame = _frame(frame.values.iloc[np.resize(np.arange(len(frame)), LEAST_RECORDS)])
        seed = self.random_state
        if seed is None or isinstance(seed, np.random.RandomState):
            seed = int(check_random_state(seed).randint(np.iinfo(np.int32).max))
        try:
            self.detector_ = train_detector(frame, self._settings(), int(seed))
        except (TrainingError, FrameError) as error:
            raise ValueError(str(error)) from error
        self.offset_ = -self.detector_.threshold.value
        return self

    def score_samples(self, X: Any) -> Values:  # noqa: N803
        """Minus the detector's scores (N,): the higher, the more normal.

        A record that was learned from is held against the others (`Scorer.scores`), so that
        `fit_predict` finds the anomalies among them.

        Raises:
            NotFittedError: nothing was learned yet.
            ValueError: the columns are not those that were learned from.
        """
        check_is_fitted(self)
        frame = self._frame(X, reset=False)
        whole = np.resize(np.arange(len(frame)), -(-len(frame) // BLOCK_RECORDS) * BLOCK_RECORDS)
        detector = self.detector_
        try:
            features, mask = detector.feature_map.transform(frame.take(whole))
        except FrameError as error:
            raise ValueError(str(error)) from error
        scores = detector.scorer.scores(features, mask, apart=True)
        return -scores[: len(frame)]

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
        keys = self.get_params().keys() - {"false_alarm_rate", "random_state"}
        return LearningSettings(
            detector=DetectorSettings.model_validate({key: getattr(self, key) for key in keys}),
            threshold=ThresholdSettings(false_alarm_rate=self.false_alarm_rate),
        )

    def _frame(self, X: Any, *, reset: bool) -> Frame:  # noqa: N803
        """X as a frame; a DataFrame as it is, anything else as numbers."""
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, reset=reset, skip_check_array=True)
            if not len(X):
                raise ValueError("found 0 samples, where at least 1 is needed")
            return _frame(X)
        numbers = validate_data(
            self, X, reset=reset, dtype="numeric", ensure_all_finite="allow-nan",
            ensure_min_samples=2 if reset else 1,
        )  # fmt: skip
        return _frame(pd.DataFrame(numbers).add_prefix("x"))


def _frame(values: pd.DataFrame) -> Frame:
    """A frame of nameless records a second apart, in their order."""
    count = len(values)
    return Frame(
        times=np.arange(count).astype("datetime64[s]").astype("datetime64[us]"),
        keys=np.arange(count).astype(str).astype(object),
        entities=np.full(count, "", dtype=object),
        values=values.reset_index(drop=True),
    )
