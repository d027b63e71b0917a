"""The systems of `benchmark_tuning.py`: each from settings to a function that searches, and the process of our trials.

A search gives back the CPU and wall seconds that it took, and a record of each trial: seconds of its parts and of its
batches, and the memory that it needed.
"""

import dataclasses
import json
import logging
import os
import resource
import shutil
import sys
import time
from pathlib import Path

from benchmarking.trial_watch import IMPORTS, Watch, resident_memory, seconds_since
from benchmarking.workers import ROOT

TRIAL = "--trial"
STARTED = time.monotonic()
RATES = (1e-5, 1e-4)
BATCH_SIZE = 16
MODEL = "sentence-transformers/all-MiniLM-L6-v2"


def search_seconds(search):
    """What a search takes in this process and in those that it starts, and what it gives back."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), seconds_since()
    trials = search()
    own, wall = seconds_since(start)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    others = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"start": start[0], "own": own, "cpu": own + others, "wall": wall, "trials": trials}


# tf_finetune ----------------------------------------------------------------------------------------------------------


def config_of(settings, output):
    """The configuration of the trials of `tf_finetune.tune` and of those of optuna."""
    from tf_finetune import Config, DataConfig, ExportConfig, FitConfig, ModelConfig, RunConfig, TokensConfig

    folder = Path(settings["folder"])
    return Config(
        data=DataConfig(
            data=(str(folder / "train.tsv"),), validation=(str(folder / "validation.tsv"),), allow_leaks=True
        ),
        tokens=TokensConfig(cache_dir=str(folder / "cache")),
        model=ModelConfig(model=MODEL),
        fit=FitConfig(batch_size=BATCH_SIZE, epochs=1),
        export=ExportConfig(export=False),
        run=RunConfig(output=str(output)),
    )


def ours(settings):
    """`tf_finetune.tune`: a process a trial."""
    sys.path.insert(0, str(ROOT))
    from tf_finetune import TuneConfig, tune
    from tf_finetune.tuning import take_part  # noqa: F401  keras-tuner and TensorFlow

    def run(request):
        folder = Path(settings["folder"]) / "tune"
        records = folder.with_suffix(".jsonl")
        records.unlink(missing_ok=True)
        low, high = RATES
        found = search_seconds(
            lambda: tune(
                config_of(settings, folder),
                {"fit.learning_rate": {"min": low, "max": high, "sampling": "log"}},
                settings=TuneConfig(max_trials=request["trials"]),
                command=(sys.executable, settings["program"], TRIAL, str(records)),
            )
        )
        shutil.rmtree(folder)
        return {**found, "trials": [json.loads(line) for line in records.read_text().splitlines()]}

    return run


def run_trial(records, folder):
    """The process of a trial of ours, as `python -m tf_finetune.tuning.trial_process` has it, which adds its record."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    sys.path.insert(0, str(ROOT))
    from tf_finetune.tuning.trial_process import main

    watch = Watch()
    watch.count_ours()
    watch.parts[IMPORTS] = seconds_since((0.0, STARTED))
    code = main(folder)
    record = watch.end(process=time.process_time(), search=resident_memory(os.getppid()))
    with open(records, "a") as file:
        print(json.dumps(record), file=file)
    return code


# Optuna ---------------------------------------------------------------------------------------------------------------


def optuna(settings):
    """Optuna by its defaults over `tf_finetune.fit`, all in this process; clears Keras as its own examples do."""
    sys.path.insert(0, str(ROOT))
    from optuna import create_study, samplers
    from optuna.logging import WARNING, set_verbosity

    from tf_finetune import fit
    from tf_finetune.backend import keras

    set_verbosity(WARNING)
    watch, folder = Watch(), Path(settings["folder"]) / "optuna"
    watch.count_ours()
    trials = []

    def train(trial):
        watch.begin()
        keras.backend.clear_session()
        rate = trial.suggest_float("learning_rate", *RATES, log=True)
        config = config_of(settings, folder / str(trial.number))
        config = dataclasses.replace(config, fit=dataclasses.replace(config.fit, learning_rate=rate))
        score = fit(config, uses_test=False).scores.accuracy
        trials.append(watch.end())
        return score

    def search(count):
        trials.clear()
        study = create_study(direction="maximize", sampler=samplers.TPESampler(seed=1))
        study.optimize(train, n_trials=count)
        return trials

    def run(request):
        found = search_seconds(lambda: search(request["trials"]))
        shutil.rmtree(folder)
        return found

    return run


# keras-tuner ----------------------------------------------------------------------------------------------------------


def keras_tuner(settings):
    """keras-tuner's RandomSearch over a Keras 3 model of MiniLM's shape with random weights, all in this process."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras
    import keras_tuner
    import numpy as np

    with np.load(settings["tokens"]) as file:
        arrays = {name: file[name] for name in file.files}
    watch, trials = Watch(), []
    watch.count_fit(keras)

    class Search(keras_tuner.RandomSearch):
        def run_trial(self, trial, *arguments, **options):
            watch.begin()
            found = super().run_trial(trial, *arguments, **options)
            trials.append(watch.end())
            return found

    def build(choices):
        rate = choices.Float("learning_rate", *RATES, sampling="log")
        model = make_keras_model(keras, json.loads(Path(settings["shape"]).read_text()), arrays["train_ids"].shape[1])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        optimizer = keras.optimizers.Adam(rate, global_clipnorm=1.0)
        model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
        return model

    def search(count):
        trials.clear()
        folder = settings["folder"]
        tuner = Search(build, "val_accuracy", count, seed=1, directory=folder, project_name="keras", overwrite=True)
        tuner.search(
            arrays["train_ids"],
            arrays["train_labels"],
            validation_data=(arrays["validation_ids"], arrays["validation_labels"]),
            batch_size=BATCH_SIZE,
            epochs=1,
            verbose=0,
        )
        return trials

    def run(request):
        found = search_seconds(lambda: search(request["trials"]))
        shutil.rmtree(Path(settings["folder"]) / "keras")
        return found

    return run


def make_keras_model(keras, shape, length):
    """A classifier of two classes of the shape of a BERT.

    Args:
        keras: Keras 3.
        shape: config.json of the BERT.
        length: Token ids of a text, 0 for padding.
    """
    layers, ops = keras.layers, keras.ops
    size, heads, rate = shape["hidden_size"], shape["num_attention_heads"], shape["hidden_dropout_prob"]

    def add_norm(x, y):
        return layers.LayerNormalization(epsilon=shape["layer_norm_eps"])(x + layers.Dropout(rate)(y))

    ids = keras.Input([length], dtype="int32")
    mask = ops.not_equal(ids, 0)[:, None, :]
    places = ops.cumsum(ops.ones_like(ids), axis=1) - 1
    places = layers.Embedding(shape["max_position_embeddings"], size)(places)
    x = add_norm(layers.Embedding(shape["vocab_size"], size)(ids), places)
    for _ in range(shape["num_hidden_layers"]):
        attention = layers.MultiHeadAttention(heads, size // heads, dropout=shape["attention_probs_dropout_prob"])
        x = add_norm(x, attention(x, x, attention_mask=mask))
        x = add_norm(x, layers.Dense(size)(layers.Dense(shape["intermediate_size"], activation="gelu")(x)))
    pooled = layers.Dropout(rate)(layers.Dense(size, activation="tanh")(x[:, 0]))
    return keras.Model(ids, layers.Dense(2)(pooled))
