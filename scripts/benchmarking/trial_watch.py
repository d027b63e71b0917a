"""`Watch`: what a trial of `benchmark_tuning.py` takes, by its parts, and the memory that it needs."""

import functools
import time
from pathlib import Path

from benchmarking.workers import peak_memory

IMPORTS, DATA, TOKENS, LOAD, CHECK, FIT, SAVE, SCORE = (
    "start and imports",
    "read the data",
    "tokenizer and tokens",
    "load the model",
    "choose the encoder",
    "model.fit",
    "save the weights",
    "score them",
)
PARTS = (IMPORTS, DATA, TOKENS, LOAD, CHECK, SAVE, SCORE)
"""Parts of a trial of ours that lie outside of `model.fit`."""
TRAIN, TEST = "train", "test"


def seconds_since(start=(0.0, 0.0)):
    """CPU seconds of this process and wall seconds, since `start`."""
    return time.process_time() - start[0], time.monotonic() - start[1]


def resident_memory(process="self"):
    """Bytes that a process has resident."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


class Watch:
    """Counts what a trial takes: CPU and wall seconds of its parts, and of each batch of `model.fit`."""

    def __init__(self):
        self.begin()

    def begin(self):
        """Begins a trial."""
        self.parts, self.batches = {}, {TRAIN: [], TEST: []}
        Path("/proc/self/clear_refs").write_text("5")  # peak memory is that of the trial from now on

    def end(self, **more):
        """The record of the trial."""
        return {"parts": self.parts, "batches": self.batches, "peak": peak_memory(), **more}

    def count(self, owner, name, part):
        """Has the calls of a function or a method counted as a part of the trial."""
        plain = getattr(owner, name)

        @functools.wraps(plain)
        def counted(*arguments, **options):
            start = seconds_since()
            try:
                return plain(*arguments, **options)
            finally:
                spent = self.parts.get(part, (0.0, 0.0))
                self.parts[part] = tuple(old + new for old, new in zip(spent, seconds_since(start)))

        setattr(owner, name, counted)

    def count_fit(self, keras):
        """Has the calls of `Model.fit` counted, and each of their batches."""
        plain, watch = keras.Model.fit, self

        class Batches(keras.callbacks.Callback):
            def begin(self, batch, logs=None):
                self.start = seconds_since()

            def end_training(self, batch, logs=None):
                watch.batches[TRAIN].append(seconds_since(self.start))

            def end_test(self, batch, logs=None):
                watch.batches[TEST].append(seconds_since(self.start))

            on_train_batch_begin, on_train_batch_end = begin, end_training
            on_test_batch_begin, on_test_batch_end = begin, end_test

        def fit(model, *arguments, callbacks=(), **options):
            return plain(model, *arguments, callbacks=[*(callbacks or ()), Batches()], **options)

        keras.Model.fit = fit
        self.count(keras.Model, "fit", FIT)

    def count_ours(self):
        """Has the parts of `tf_finetune.fit` counted, all of which is imported here."""
        from tf_finetune.backend import keras, transformers
        from tf_finetune.training import fit, prepare, score_run

        self.count(fit, "load_inputs", DATA)
        for name in ("load_tokenizer", "encode"):
            self.count(prepare, name, TOKENS)
        self.count(prepare, "load_model", LOAD)
        self.count(prepare, "choose_encoder", CHECK)
        self.count(transformers.TFPreTrainedModel, "save_pretrained", SAVE)
        self.count(score_run, "table_logits", SCORE)
        self.count_fit(keras)
