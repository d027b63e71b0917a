"""`ModelTuner`: keras-tuner's search over tf_keras models of your own, which goes on after a kill."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tf_finetune.backend import keras
from tf_finetune.errors import ConfigError, TuningError
from tf_finetune.files import read_json, write_json
from tf_finetune.model.dropout import seed_dropout
from tf_finetune.training.checkpoints.tensor_file import DamagedFile
from tf_finetune.tuning.keras_models.building import build_model
from tf_finetune.tuning.keras_models.callbacks import copy_callbacks
from tf_finetune.tuning.keras_models.data import check_data, describe_inputs
from tf_finetune.tuning.keras_models.failures import sorted_failures
from tf_finetune.tuning.keras_models.memory import Variables, forget_models, variables_of
from tf_finetune.tuning.keras_models.state import TrialRecord, TrialState, assign_best, forget_state
from tf_finetune.tuning.keras_models.training import best_values, train_trial
from tf_finetune.tuning.keras_tuner import load_keras_tuner

__all__ = ["ModelTuner"]

logger = logging.getLogger(__name__)

kt: Any = load_keras_tuner()

INPUTS = "inputs.json"


class ModelTuner(kt.Tuner):  # type: ignore[misc]
    """A tuner of keras-tuner for any compiled tf_keras model, `TFAutoModel` classes among them.

    keras-tuner's own tuners take models of Keras 3 alone. Beyond that: a trial is saved after each epoch (weights,
    optimizer, dropout, the counts of callbacks), so that a search that was killed goes on inside its trial, and so that
    Hyperband trains a promoted trial on exactly from where it was. Make it again with the same arguments to go on:
    random search and Hyperband then give the same trials as without a kill, Bayesian optimization may give others, and
    keras-tuner's grid search cannot be gone on with.

    Each trial begins with a fresh Keras session and the same seed. An exception in `build` or `fit` that looks like a
    mistake of programming (TypeError, ValueError, KeyError, ...) stops the search; memory that does not suffice, an
    objective that is no number, and all else fail the trial, with the reason in its `message`. To fail a trial by
    hand, raise ``keras_tuner.errors.FailedTrialError``.

    A trial's score is the best epoch's. Folder of a trial: ``epochs.jsonl`` (its curve), ``best/`` (weights of the best
    epoch), ``state/`` (to go on from; after the trial for Hyperband alone), and keras-tuner's ``trial.json``.

    With data in a fixed order, a trial that is gone on with is bit by bit what it would have been, on devices that
    compute deterministically (``tf.config.experimental.enable_op_determinism``): with ``shuffle=False``, with a dataset
    that is not shuffled anew in each iteration, or with one of all epochs and `steps_per_epoch`, as from
    `make_dataset`. Otherwise the epochs that are left come in another order; so do draws of random layers other than
    dropout.

    Args:
        build: From ``keras_tuner.HyperParameters`` to a new compiled model; or a ``keras_tuner.HyperModel``, whose
            `fit` may change arguments such as `batch_size` and must pass all others on to `model.fit`. It is called
            once or more to find the space, unless the oracle has ``allow_new_entries=False``.
        oracle: One of ``keras_tuner.oracles``, with an objective. Its own seed is another one, where 0 means any.
        directory: Where the project's folder is made.
        project_name: Name of that folder.
        overwrite: Begin again if the folder is there.
        seed: For weights, dropout and the order of arrays that Keras shuffles, alike in all trials.

    Raises:
        ConfigError: The oracle has no objective, or the seed is negative.
    """

    def __init__(
        self,
        build: Any,
        *,
        oracle: Any,
        directory: Any = None,
        project_name: str | None = None,
        overwrite: bool = False,
        seed: int = 0,
    ) -> None:
        if isinstance(oracle, kt.Oracle) and oracle.objective.name == "default_objective":
            raise ConfigError(
                "The oracle has no objective. Name one of the values that `fit` gives, such as "
                'objective=keras_tuner.Objective("val_accuracy", "max").'
            )
        if seed < 0:
            raise ConfigError(f"seed must be 0 or more. Received: {seed}.")
        self.seed = seed
        self._was_reloaded = False
        self._model: Any = None
        self._gone: Variables = []
        super().__init__(oracle, build, directory=directory, project_name=project_name, overwrite=overwrite)

    def search(
        self,
        x: Any,
        y: Any = None,
        *,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        callbacks: Sequence[Any] | None = None,
        verbose: Any = "auto",
        **settings: Any,
    ) -> None:
        """Runs trials until the oracle has enough of them.

        Args:
            x: Training data as for `fit`: arrays, a `keras.utils.Sequence`, or a `tf.data.Dataset`: of one epoch, with
                a known number of batches; or of all epochs, with `steps_per_epoch`, as from `make_dataset`.
            y: Labels, if `x` are arrays.
            epochs: Passes over the data a trial, 1 if it is None; Hyperband sets it by itself.
            steps_per_epoch: Batches an epoch.
            callbacks: Keras callbacks, which each trial gets copies of.
            verbose: As for `fit`; 0 silences keras-tuner too.
            **settings: What else `fit` takes, such as `validation_data` and `batch_size`.

        Raises:
            ConfigError: An argument does not fit, or a callback cannot be copied.
            DataError: The data can be read once only, or has no known number of batches.
            LossError: A callback is of Keras 3.
            TuningError: The search was begun in another process, and is one of keras-tuner's grid search.
            keras_tuner.errors.FatalError: A mistake in `build`, or in what `fit` was given.
            RuntimeError: Too many trials failed one after another.
        """
        if "initial_epoch" in settings:
            raise ConfigError("initial_epoch is set for each trial by itself: leave it out.")
        if epochs is not None and epochs < 1:
            raise ConfigError(f"epochs must be 1 or more. Received: {epochs}.")
        check_data(x, steps_per_epoch)
        callbacks = list(callbacks or ())
        copy_callbacks(callbacks, "")
        if self._was_reloaded and isinstance(self.oracle, kt.oracles.GridSearchOracle):
            raise TuningError(
                f"The grid search in {self.project_dir} was begun in another process, and keras-tuner's "
                "GridSearchOracle does not save where it is. Its results are there (get_best_models); to search, begin "
                "again: overwrite=True."
            )
        super().search(
            x, y, epochs=epochs, steps_per_epoch=steps_per_epoch, callbacks=callbacks, verbose=verbose, **settings
        )

    def on_search_begin(self) -> None:
        """Saves the search: keras-tuner does so after a trial, and would begin again if the first one was killed."""
        super().on_search_begin()
        self.save()

    def run_trial(self, trial: Any, x: Any, y: Any, **settings: Any) -> dict[str, float]:
        """Trains one trial; called by `search`.

        Args:
            trial: From the oracle.
            x: Training data.
            y: Labels.
            **settings: As for `search`.

        Returns:
            The values of its best epoch.
        """
        with sorted_failures():
            epochs = _planned_epochs(trial.hyperparameters.values, settings.pop("epochs"))
            callbacks = copy_callbacks(settings.pop("callbacks"), trial.trial_id)
            state, record = self._begin(trial, x)

            def fit(x: Any, **arguments: Any) -> Any:
                data = (x,) if y is None else (x, y)
                return self.hypermodel.fit(trial.hyperparameters, state.model, *data, **arguments)

            train_trial(
                fit,
                state,
                record,
                x=x,
                epochs=epochs,
                callbacks=callbacks,
                objective=self.oracle.objective,
                seed=self.seed,
                **settings,
            )
            return best_values(record.history, self.oracle.objective)

    def on_trial_end(self, trial: Any) -> None:
        """Reports a trial, lets go of its model, and removes what only a promotion would need."""
        super().on_trial_end(trial)
        if self._model is not None:
            self._gone = variables_of(self._model)
            self._model = None
        status = self.oracle.get_trial(trial.trial_id).status
        if status in ("COMPLETED", "FAILED") and "tuner/epochs" not in trial.hyperparameters.values:
            forget_state(self._folder(trial.trial_id))

    def load_model(self, trial: Any) -> Any:
        """A compiled model with the weights of a trial's best epoch.

        Args:
            trial: From the oracle.

        Raises:
            RunError: The trial failed, or its weights are damaged or of another model.
        """
        folder = self._folder(trial.trial_id)
        model = build_model(self.hypermodel, trial.hyperparameters, lambda: read_json(folder / INPUTS)["inputs"])
        assign_best(folder, model)
        return model

    def reload(self) -> None:
        """Takes over a search from its folder."""
        super().reload()
        self._was_reloaded = True

    def _populate_initial_space(self) -> None:
        """Finds the space by building models, unless the oracle was given all of it."""
        if self.oracle.allow_new_entries:
            super()._populate_initial_space()

    def _folder(self, trial_id: str) -> Path:
        return Path(self.get_trial_dir(trial_id))

    def _begin(self, trial: Any, x: Any) -> tuple[TrialState, TrialRecord]:
        """A new model, or what was saved of the trial, or of the one that it was promoted from."""
        folder = self._folder(trial.trial_id)
        state = self._new_state(folder, trial, x)
        try:
            record = state.load()
        except DamagedFile as error:
            logger.warning("the state in %s is damaged (%s); the trial begins again", folder, error)
            forget_state(folder)
            record = None
        parent = trial.hyperparameters.values.get("tuner/trial_id")
        if record is None and parent:
            try:
                record = state.promote(self._folder(parent))
            except DamagedFile as error:
                raise kt.errors.FailedTrialError(f"Trial {parent}, to go on from, is damaged: {error}") from error
        return state, record or TrialRecord()

    def _new_state(self, folder: Path, trial: Any, x: Any) -> TrialState:
        forget_models(self._gone)
        keras.utils.set_random_seed(self.seed)

        def inputs() -> Any:
            found = describe_inputs(x)
            write_json(folder / INPUTS, {"inputs": found})  # for `load_model`
            return found

        model = build_model(self.hypermodel, trial.hyperparameters, inputs)
        self._model = model
        return TrialState(folder, model, seed_dropout(model, seed=self.seed))


def _planned_epochs(values: Mapping[str, Any], epochs: int | None) -> int:
    """Epochs of a trial, those of its parents included."""
    if "tuner/epochs" not in values:
        return 1 if epochs is None else epochs
    if epochs is not None:
        raise ConfigError("HyperbandOracle sets the epochs of each trial (max_epochs, factor): leave epochs out.")
    return int(values["tuner/epochs"])
