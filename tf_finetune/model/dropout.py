"""`seed_dropout`: dropout whose whole state is in variables, so that a run can be saved and gone on with."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np

from tf_finetune.backend import keras

__all__ = ["seed_dropout"]

logger = logging.getLogger(__name__)

STABLE_DROPOUT = ("TFDebertaStableDropout", "TFDebertaV2StableDropout")
"""Layers of transformers that draw by themselves, what Keras' dropout would draw."""


def seed_dropout(model: Any, *, seed: int) -> list[Any]:
    """Gives every dropout layer a `tf.random.Generator` of its own.

    By default Keras draws dropout's masks by operations that keep their state to themselves: a run that is gone on with
    in another process draws others. The state of a generator is a variable.

    LayerDrop (Fan et al. 2019), which BART and FlauBERT may ask for, is turned off with a warning: transformers draws
    it in Python, so once when the step is traced, and would leave the same layers out of all updates.

    Args:
        model: A model that was not traced yet. Layers keep their rates.
        seed: With the place of a layer in the model, what its masks follow from.

    Returns:
        The generators' states, an int64 variable each, and one for each replica. They are no weights of the model.
    """
    states: list[Any] = []
    place = 0
    for layer in _layers(model):
        if getattr(layer, "layerdrop", 0):
            logger.warning("layerdrop %g of %s is turned off: no layer is left out", layer.layerdrop, layer.name)
            layer.layerdrop = 0.0
        stable = type(layer).__name__ in STABLE_DROPOUT
        if not stable and not isinstance(layer, keras.layers.Dropout):
            continue
        source = _random_source(seed, place)
        place += 1
        # replicas draw as much as they have rows, so that their states part
        states += model.distribute_strategy.experimental_local_results(source._generator.state)
        if stable:
            layer.xdropout = _stable_dropout(source, layer.drop_prob)
        else:
            layer._random_generator = source
    return states


def _layers(model: Any) -> Iterator[Any]:
    """All layers in an order that follows from the model's class, and last those that Keras does not find."""
    yield from model.submodules
    for layer in model.submodules:
        structure = getattr(layer, "attention_structure", None)  # of Funnel's encoder: no layer, but it holds two
        if structure is not None:
            yield structure.sin_dropout
            yield structure.cos_dropout


def _random_source(seed: int, place: int) -> Any:
    """What a Keras layer draws from; the key is 31 bits that follow from the seed and the place."""
    key = int(np.random.SeedSequence((seed, place)).generate_state(1)[0]) >> 1
    source = keras.layers.Dropout(0.5, seed=key, rng_type="stateful")._random_generator
    source._maybe_init()
    return source


def _stable_dropout(source: Any, rate: float) -> Any:
    return lambda inputs: source.dropout(inputs, rate)
