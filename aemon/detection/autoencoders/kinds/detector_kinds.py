"""The table of the kinds of detector."""

from aemon.config.detector_settings import DetectorKind
from aemon.detection.autoencoders.kinds import (
    auto,
    denoising,
    elm,
    linear,
    sparse,
    stacked_denoising,
    undercomplete,
    vanilla,
    variational,
)
from aemon.detection.autoencoders.kinds.kind import Kind

KINDS: dict[DetectorKind, Kind] = {
    "auto": auto.KIND,
    "undercomplete": undercomplete.KIND,
    "vanilla": vanilla.KIND,
    "linear": linear.KIND,
    "sparse": sparse.KIND,
    "denoising": denoising.KIND,
    "stacked_denoising": stacked_denoising.KIND,
    "elm": elm.KIND,
    "variational": variational.KIND,
}
