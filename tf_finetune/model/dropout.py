"""`seed_dropout`: dropout whose whole state is in variables, so that a run can be saved and gone on with."""

from __future__ import annotations

from typing import Any

import numpy as np

from tf_finetune.backend import keras

__all__ = ["seed_dropout"]

STABLE_DROPOUT = ("TFDebertaStableDropout", "TFDebertaV2StableDropout")
"""Layers of transformers that draw by themselves, what Keras' dropout would draw."""


def seed_dropout(model: Any, *, seed: int) -> list[Any]:
    """Gives every dropout layer a `tf.random.Generator` of its own.

    By default Keras draws dropout's masks by operations that keep their state to themselves: a run that is gone on with
    in another process draws others. The state of a generator is a variable.

    Args:
        model: A model that was not traced yet. Layers keep their rates.
        seed: With the place of a layer in the model, what its masks follow from.

    Returns:
        The generators' states, an int64 variable each. They are no weights of the model.
    """
    states: list[Any] = []
    for layer in model.submodules:
        stable = type(layer).__name__ in STABLE_DROPOUT
        if not stable and not isinstance(layer, keras.layers.Dropout):
            continue
        source = _random_source(seed, place=len(states))
        states.append(source._generator.state)
        if stable:
            layer.xdropout = _stable_dropout(source, layer.drop_prob)
        else:
            layer._random_generator = source
    return states


def _random_source(seed: int, *, place: int) -> Any:
    """What a Keras layer draws from; the key is 31 bits that follow from the seed and the place."""
    key = int(np.random.SeedSequence((seed, place)).generate_state(1)[0]) >> 1
    source = keras.layers.Dropout(0.5, seed=key, rng_type="stateful")._random_generator
    source._maybe_init()
    return source


def _stable_dropout(source: Any, rate: float) -> Any:
    return lambda inputs: source.dropout(inputs, rate)
