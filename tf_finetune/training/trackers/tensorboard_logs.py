"""`TensorBoardLogs`: event files for TensorBoard in the run's folder, which stay on this machine."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_finetune.backend import tf
from tf_finetune.evaluation.class_counts import confusion_matrix
from tf_finetune.evaluation.logits import softmax
from tf_finetune.evaluation.metrics import Scores
from tf_finetune.pages.words import printable
from tf_finetune.training.trackers.parameters import flat_scores
from tf_finetune.training.trackers.picture import confusion_figure, pixels
from tf_finetune.training.trackers.tracker import FAILED, FINISHED, Opened, TrackedRun, Tracker

if TYPE_CHECKING:
    from tf_finetune.data import Examples

__all__ = ["TensorBoardLogs"]

TRAIN, VALIDATION = "train", "validation"
MARKER = "epoch_loss"
"""The value that every epoch has; it tells which epochs the files have."""
SECTIONS = ("tokens.", "model.", "fit.")
SAMPLES = 16
"""Validation rows that are shown after each epoch, always the same ones."""
LETTERS = 300
MARKDOWN = str.maketrans({char: f"&#{ord(char)};" for char in "&<>|\\`*_[]#~!\n\r"})
"""What would be mark-up in a table of Markdown, as entities."""


class TensorBoardLogs(Tracker):
    """Writes what `keras.callbacks.TensorBoard` does an epoch, under its names, and more.

    That is ``epoch_loss`` and the other values of the training and the validation rows, and the learning rate. Then the
    confusion matrix of the validation rows and some of their texts with label, prediction and probability after each
    epoch, for which these rows are computed once more; the configuration for the HParams page; and the final scores.

    Args:
        run: What is tracked.
        validation: The validation rows.
        logits: Gives the logits float32 `[n, labels]` of the validation rows by the model as it is.
        learning_rate: From epoch to the learning rate at its end.
        seed: Draws the texts that are shown.
    """

    name = "tensorboard"
    advice = "Make the folder writable, or leave --tracker tensorboard out."

    def __init__(
        self,
        run: TrackedRun,
        validation: Examples,
        logits: Callable[[], np.ndarray],
        learning_rate: Callable[[int], float],
        *,
        seed: int,
    ) -> None:
        self.run, self.validation, self.logits, self.learning_rate = run, validation, logits, learning_rate
        count = min(SAMPLES, len(validation))
        self.rows = np.sort(np.random.default_rng(seed).choice(len(validation), size=count, replace=False))
        self._writers: dict[str, Any] = {}
        self._validated = 0  # epochs whose validation values are there: it may have failed before the rest

    def open(self, run_id: str | None) -> Opened:
        """Writes the hyperparameters, unless earlier files have epochs already."""
        folder = self.run.folder.logs
        epochs, self._validated = (_epochs(folder / part) for part in (TRAIN, VALIDATION))
        if not epochs:
            from tensorboard.plugins.hparams import api

            with self._writing("", 0):
                api.hparams(_hyperparameters(self.run.parameters), trial_id=self.run.name)
        return Opened(folder.name, epochs, f"tensorboard --logdir {shlex.quote(str(folder))}")

    def log_epoch(self, epoch: int, values: Mapping[str, float], *, is_now: bool) -> None:
        """Logs the values of an epoch, and what the validation rows are taken for; its training values last."""
        if epoch >= self._validated:
            answers = self.logits() if is_now else None
            with self._writing(VALIDATION, epoch):
                _log_scalars({name.removeprefix("val_"): v for name, v in values.items() if name.startswith("val_")})
                if answers is not None:
                    self._log_answers(answers)
            self._validated = epoch + 1
        with self._writing(TRAIN, epoch):
            _log_scalars({"learning_rate": self.learning_rate(epoch)})
            _log_scalars({name: v for name, v in values.items() if not name.startswith("val_")})

    def _log_answers(self, logits: np.ndarray) -> None:
        """Logs the confusion matrix and the texts of logits float32 `[n, labels]` of the validation rows."""
        names, labels = self.validation.label_names, np.asarray(self.validation.labels)
        confusion = confusion_matrix(labels, logits.argmax(axis=1), len(names))
        tf.summary.image("confusion", pixels(confusion_figure(confusion.tolist(), names))[None])
        tf.summary.text("samples", self._samples(softmax(logits[self.rows])))

    def _samples(self, probabilities: np.ndarray) -> str:
        """A table in Markdown of the rows that are shown; `probabilities` float32 `[rows, labels]` are theirs."""
        names, labels = self.validation.label_names, np.asarray(self.validation.labels)[self.rows]
        lines = ["| text | true | found | prob. | |", "|---|---|---|---|---|"]
        for text, label, answer in zip(_texts(self.validation.take(self.rows)), labels, probabilities):
            found = int(answer.argmax())
            cells = [text, names[label], names[found], f"{answer[found]:.3f}", "" if found == label else "✗"]
            lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
        return "\n".join(lines)

    def log_scores(self, epoch: int, scores: Mapping[str, Scores]) -> None:
        """Logs the scores of the weights kept, which the HParams page shows beside the configuration."""
        with self._writing("", epoch):
            for part, found in scores.items():
                for name, value in flat_scores(part, found).items():
                    tf.summary.scalar(name, value)
                picture = pixels(confusion_figure(found.confusion, found.label_names))
                tf.summary.image(f"{part}/confusion", picture[None])

    def close(self, status: str) -> None:
        """Closes the files, and says on the HParams page how the run ended; one that was stopped has not ended."""
        from tensorboard.plugins.hparams import api_pb2, summary

        if status in (FINISHED, FAILED):
            end = summary.session_end_pb(api_pb2.STATUS_SUCCESS if status == FINISHED else api_pb2.STATUS_FAILURE)
            with self._writing("", 0):
                tf.summary.experimental.write_raw_pb(end.SerializeToString(), step=0)
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    @contextlib.contextmanager
    def _writing(self, part: str, step: int) -> Iterator[None]:
        if part not in self._writers:
            self._writers[part] = tf.summary.create_file_writer(str(self.run.folder.logs / part))
        with self._writers[part].as_default(step=step):
            yield
        self._writers[part].flush()


def _hyperparameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that scores follow from; the page gets hard to read with all of them."""
    return {name: value for name, value in parameters.items() if name.startswith(SECTIONS)}


def _log_scalars(values: Mapping[str, float]) -> None:
    for name, value in values.items():
        tf.summary.scalar(f"epoch_{name}", value)


def _texts(examples: Examples) -> Iterator[str]:
    for texts, pairs in examples.batches(SAMPLES):
        for i, text in enumerate(texts):
            yield _cut(text, LETTERS) if pairs is None else " // ".join(_cut(t, LETTERS // 2) for t in (text, pairs[i]))


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[:letters]}…"


def _cell(text: str) -> str:
    return printable(text).translate(MARKDOWN)


def _epochs(folder: Path) -> int:
    """How many epochs the event files of a folder have; a torn last record is none."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    steps = [
        event.step
        for path in sorted(folder.glob("events.out.*"))
        for event in EventFileLoader(str(path)).Load()
        if any(value.tag == MARKER for value in event.summary.value)
    ]
    return max(steps, default=-1) + 1
