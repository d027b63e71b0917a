"""`Tracking`: the Keras callback that tells trackers of a run, and keeps their failures from it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tf_finetune.backend import keras
from tf_finetune.errors import FinetuneError, RunError, TrainingStopped
from tf_finetune.evaluation.metrics import Scores
from tf_finetune.files import read_json, write_json
from tf_finetune.training.trackers.tracker import FAILED, FINISHED, STOPPED, Tracker

__all__ = ["Tracking"]

logger = logging.getLogger(__name__)

History = Sequence[Mapping[str, float]]
LETTERS = 500
"""Most letters of a tracker's error in a message."""
LATER = "Training goes on without it; it is tried once more at the end. All values are in the run folder, too."
IN_THE_FOLDER = "What it lacks is in the run folder."


@dataclass
class _State:
    """What is known of one tracker.

    Attributes:
        tracker: The tracker.
        run_id: Of its run; None before it was begun.
        epochs: How many epochs it has.
        scored: Whether it has the final scores.
        is_open: Whether it can be written to.
        failed: Whether something went wrong, and it is left alone.
    """

    tracker: Tracker
    run_id: str | None = None
    epochs: int = 0
    scored: bool = False
    is_open: bool = field(default=False)
    failed: bool = field(default=False)


class Tracking(keras.callbacks.Callback):  # type: ignore[misc]
    """Logs epochs and scores to trackers: each epoch once, also if the run is killed and gone on with.

    What a tracker lacks is logged with the next epoch, or at the end: it may have been away, or be new to the run. A
    tracker that fails is left alone from then on, with one warning, and tried once more when the run is scored.

    Args:
        trackers: None of several workers but the chief has any.
        path: The file of the run in which the trackers' runs are noted.
        history: Gives the values of all epochs so far.
    """

    def __init__(self, trackers: Sequence[Tracker], path: Path, history: Callable[[], History]) -> None:
        super().__init__()
        self.path, self.history = path, history
        self._states = [_State(tracker) for tracker in trackers]

    @contextlib.contextmanager
    def running(self, *, goes_on: bool) -> Iterator[Tracking]:
        """Opens the trackers' runs, and ends them however the body ends.

        Args:
            goes_on: Whether the run was begun before: a tracker that cannot be opened is no reason not to go on.

        Raises:
            FinetuneError: The run begins, and a tracker cannot be opened.
        """
        self._recall()
        for state in self._states:
            try:
                self._open(state)
            except Exception as error:  # of whatever kind it is at this tracker
                if not goes_on:
                    self._close(FAILED)
                    raise _refusal(state.tracker, error) from error
                self._warn(state, error, LATER)
        status = FAILED
        try:
            yield self
            status = FINISHED
        except (TrainingStopped, KeyboardInterrupt):
            status = STOPPED
            raise
        finally:
            self._close(status)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Logs the epoch."""
        for state in self._states:
            if not state.failed:
                with self._guarded(state, LATER):
                    self._catch_up(state, is_now=True)

    def log_scores(self, epoch: int, scores: Mapping[str, Scores]) -> None:
        """Logs what the weights kept are worth, and whatever trackers lack.

        Args:
            epoch: The epoch that they are from, counted from 0.
            scores: ``validation``, and ``test`` if there is any, to the scores.
        """
        for state in self._states:
            had_failed, state.failed = state.failed, False
            with self._guarded(state, None if had_failed else IN_THE_FOLDER):
                if not state.is_open:
                    self._open(state)
                self._catch_up(state, is_now=False)
                if not state.scored:
                    state.tracker.log_scores(epoch, scores)
                    state.scored = True
                    self._note()
                if had_failed:
                    logger.info("tracker %s: it answers again, and has everything now", state.tracker.name)

    def _open(self, state: _State) -> None:
        opened = state.tracker.open(state.run_id)
        state.is_open, state.run_id = True, opened.run_id
        if opened.epochs is not None:
            state.epochs = opened.epochs
        self._note()
        logger.info("tracker %s: %s", state.tracker.name, opened.where)

    def _catch_up(self, state: _State, *, is_now: bool) -> None:
        """Logs the epochs that a tracker lacks; `is_now` if the model is as it was after the last one."""
        history = self.history()
        for epoch in range(state.epochs, len(history)):
            state.tracker.log_epoch(epoch, history[epoch], is_now=is_now and epoch + 1 == len(history))
            state.epochs = epoch + 1
            self._note()

    def _close(self, status: str) -> None:
        for state in self._states:
            if state.is_open:
                state.is_open = False
                with self._guarded(state, None if state.failed else IN_THE_FOLDER):
                    state.tracker.close(status)

    @contextlib.contextmanager
    def _guarded(self, state: _State, then: str | None) -> Iterator[None]:
        """Keeps a tracker's error from the run; `then` says what follows from it, None that it was said before."""
        try:
            yield
        except Exception as error:  # of whatever kind it is at this tracker
            self._warn(state, error, then)

    def _warn(self, state: _State, error: Exception, then: str | None) -> None:
        state.failed = True
        level = logging.DEBUG if then is None else logging.WARNING
        logger.log(level, "tracker %s failed: %s %s", state.tracker.name, _sentence(error), then or "")

    def _recall(self) -> None:
        """Reads which of the trackers' runs belong to this one."""
        if not self.path.is_file():
            return
        try:
            recorded = read_json(self.path)
            for state in self._states:
                values = recorded.get(state.tracker.name)
                if values is not None:
                    state.run_id, state.epochs, state.scored = _checked(values)
        except (RunError, ValueError) as error:
            logger.warning("%s is damaged (%s): trackers begin new runs", self.path, error)

    def _note(self) -> None:
        """Writes down how far each tracker is; what other trackers had stays."""
        recorded: dict[str, Any] = {}
        with contextlib.suppress(RunError):
            recorded = read_json(self.path)
        for state in self._states:
            if state.run_id is not None:
                values = {"run_id": state.run_id, "epochs": state.epochs, "scored": state.scored}
                recorded[state.tracker.name] = values
        write_json(self.path, recorded)


def _checked(values: Any) -> tuple[str, int, bool]:
    if isinstance(values, dict):
        run_id, epochs, scored = (values.get(name) for name in ("run_id", "epochs", "scored"))
        if isinstance(run_id, str) and type(epochs) is int and epochs >= 0 and isinstance(scored, bool):
            return run_id, epochs, scored
    raise ValueError(f"expected run_id, epochs and scored. Received: {values!r:.80}")


def _refusal(tracker: Tracker, error: Exception) -> FinetuneError:
    if isinstance(error, FinetuneError):
        return error
    return RunError(f"--tracker {tracker.name}: no run could be begun: {_sentence(error)} {tracker.advice}")


def _sentence(error: Exception) -> str:
    """The first line of an error's words, or its kind if it has none, cut short."""
    words = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__).rstrip(".:")
    return f"{words}." if len(words) <= LETTERS else f"{words[:LETTERS]}…"
