"""Stacked denoising: layers are trained separately to denoise, and then all layers together."""

from dataclasses import replace

import numpy as np

from aemon.config.detector_settings import DetectorSettings
from aemon.detection.autoencoders.autoencoder import Autoencoder
from aemon.detection.autoencoders.kinds.denoising import LEARNING_RATE, MASKING, NOISE
from aemon.detection.autoencoders.kinds.kind import Kind, Progress
from aemon.detection.autoencoders.sizing import choose_shape, widened
from aemon.detection.autoencoders.training_plan import Choices, Plan, make_plan
from aemon.detection.autoencoders.training_set import TrainingSet
from aemon.detection.features.outputs import Outputs

LEAST_STEPS = 300

PRETRAINING = 0.5
"""Number of steps for each layer alone, as a share of the steps for all layers together."""

WIDTH_FACTORS, LEAST_WIDTH = (4, 2), 32
"""Default widths of the two hidden layers: multiples of the number of features, and a lower
bound."""

CHOICES = Choices(
    least_steps=LEAST_STEPS, learning_rate=LEARNING_RATE, noise=NOISE, masking=MASKING
)


def learn(
    training_set: TrainingSet, settings: DetectorSettings, seed: int, progress: Progress
) -> Autoencoder:
    """Train layer by layer, then train all layers together.

    First, each layer is trained alone: it learns to restore the clean output of the layer below
    (greedy pretraining, Bengio et al. 2007; with noise Vincent et al. 2010, section 3.5). Then the
    layers become one deep autoencoder, which is trained further (Hinton & Salakhutdinov 2006,
    figure 1). This training also uses noise, because the code is as wide as the input.
    """
    from aemon.detection.autoencoders.training import train_autoencoder

    whole = plan_whole(training_set, settings)
    pairs = pretrain(training_set, whole, seed, progress)
    part = _progress_of_part(progress, len(pairs), len(pairs) + 1)
    return train_autoencoder(training_set, whole, seed=seed, start=unroll(pairs), progress=part)


def plan_whole(training_set: TrainingSet, settings: DetectorSettings) -> Plan:
    """Return the plan for training the deep autoencoder.

    Without configured widths, the hidden layers have 4F and 2F units, and the code has F units.
    """
    features = training_set.features.shape[1]
    shape = choose_shape(
        features,
        settings,
        width=training_set.width,
        hidden=tuple(max(widened(features, factor), LEAST_WIDTH) for factor in WIDTH_FACTORS),
        code=features,
        regularised=True,
    )
    return make_plan(shape, len(training_set), settings, CHOICES)


def pretrain(
    training_set: TrainingSet, whole: Plan, seed: int, progress: Progress = None
) -> list[Autoencoder]:
    """Train one autoencoder for each layer of the encoder; return the outermost autoencoder first.

    Each autoencoder has a layer of the encoder and the matching layer of the decoder. The first
    autoencoder is trained on the features. Every later autoencoder is trained on the clean code of
    the previous autoencoder, with noise that is measured in standard deviations of this code.
    """
    from aemon.detection.autoencoders.training import train_autoencoder

    pairs: list[Autoencoder] = []
    for layer in range(whole.encoder_layers):
        spread = float(training_set.features.std()) if pairs else 1.0
        plan = replace(
            whole,
            widths=(whole.widths[layer], whole.widths[layer + 1], whole.widths[layer]),
            activations=(whole.activations[layer], whole.activations[whole.layers - 1 - layer]),
            encoder_layers=1,
            steps=max(1, round(PRETRAINING * whole.steps)),
            noise=whole.noise * spread,
        )
        part = _progress_of_part(progress, layer, whole.encoder_layers + 1)
        pairs.append(train_autoencoder(training_set, plan, seed=seed + layer, progress=part))
        training_set = above(training_set, pairs[-1])
    return pairs


def above(training_set: TrainingSet, pair: Autoencoder) -> TrainingSet:
    """Return the next layer's training set: each member's codes (M, N, C) of the records."""
    code = pair.encode(training_set.features)
    width = code.shape[-1]
    return replace(
        training_set,
        features=code,
        mask=np.ones(code.shape[1:], dtype=np.bool_),
        weights=np.ones(width, dtype=np.float32),
        outputs=Outputs.linear(width),
        width=width,
    )


def unroll(pairs: list[Autoencoder]) -> Autoencoder:
    """Return the deep autoencoder: all encoder layers in order, all decoder layers in reverse."""
    layers = [(pair, 0) for pair in pairs] + [(pair, 1) for pair in reversed(pairs)]
    return Autoencoder(
        weights=tuple(pair.weights[layer] for pair, layer in layers),
        biases=tuple(pair.biases[layer] for pair, layer in layers),
        activations=tuple(pair.activations[layer] for pair, layer in layers),
        encoder_layers=len(pairs),
        outputs=pairs[0].outputs,
    )


def _progress_of_part(progress: Progress, part: int, parts: int) -> Progress:
    """Return a callback that converts the progress of one part to progress of the whole."""
    return None if progress is None else lambda done: progress((part + done) / parts)


KIND = Kind(
    summary="denoising layers learned one by one, then together",
    learn=learn,
    regularised=True,
)
