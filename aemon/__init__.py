"""aemon: a daemon that learns what normal records look like and flags the rest, with reasons.

The names below are what a Python program needs. Each is imported when it is first used, so that
`import aemon` takes no time.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_MODULE_OF = {
    "AemonError": "aemon.errors",
    "AutoencoderDetector": "aemon.estimator",
    "ColumnSettings": "aemon.config.column_settings",
    "Config": "aemon.config.schema",
    "Detector": "aemon.detection.detector",
    "DetectorSettings": "aemon.config.detector_settings",
    "Explanation": "aemon.detection.judgement",
    "Frame": "aemon.frame",
    "Judgement": "aemon.detection.judgement",
    "LearningSettings": "aemon.config.learning_settings",
    "Roles": "aemon.frame",
    "ThresholdSettings": "aemon.config.threshold_settings",
    "check_frame": "aemon.frame",
    "load_config": "aemon.config.loading",
    "train_detector": "aemon.detection.learning",
}

__all__ = ["__version__", *_MODULE_OF]  # noqa: PLE0604 -- names of the table above


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used.

    Raises:
        AttributeError: aemon has no such name.
    """
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'aemon' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_MODULE_OF[name]), name)
    return found


def __dir__() -> list[str]:
    """Return all public names, imported or not."""
    return sorted({*globals(), *_MODULE_OF})
