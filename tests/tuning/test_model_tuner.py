"""Searches over Keras models of a user's own: all oracles, promotions, kills, failures, refusals."""

import gc
import json
import sys

import numpy as np
import pytest

from tf_finetune.backend import keras, tf, transformers
from tf_finetune.errors import ConfigError, DataError, DependencyError, LossError, RunError, TuningError
from tf_finetune.tuning.keras_tuner import load_keras_tuner
from tf_finetune.tuning.model_tuner import ModelTuner

kt = load_keras_tuner()
pytestmark = pytest.mark.filterwarnings("ignore:.*currentThread:DeprecationWarning", "ignore:.*getName")

CHANCE = np.random.default_rng(0)
X = CHANCE.normal(size=(20, 4)).astype("float32")
Y = (X[:, 0] > 0).astype("int32")
QUICK = tf.data.Options()
QUICK.autotune.enabled = False  # the end of `fit` waits for its thread
DATA = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8).with_options(QUICK)
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "legacy": keras.optimizers.legacy.Adam,
    "scaled": lambda rate: keras.mixed_precision.LossScaleOptimizer(keras.optimizers.Adam(rate)),
}


@pytest.fixture(scope="module", autouse=True)
def few_objects():
    """What was loaded before is not looked through for garbage at the beginning of each trial."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def whole_search(tmp_path_factory):
    """A search that nothing interrupts: two trials of 3 epochs."""
    return search(make(tmp_path_factory.mktemp("whole")), epochs=3)


def build(hp, optimizer="adam", **settings):
    """A network with dropout; computed eagerly, which spares tracing it for each trial."""
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(hp.Choice("units", [3, 5])), layers.Dropout(0.5), layers.Dense(2)]
    )
    rate = hp.Float("rate", 1e-3, 1e-1, sampling="log")
    model.compile(OPTIMIZERS[optimizer](rate), LOSS, metrics=["accuracy"], **{"run_eagerly": True, **settings})
    return model


def random_oracle(trials=2, **settings):
    return kt.oracles.RandomSearchOracle("val_loss", max_trials=trials, seed=1, **settings)


def make(folder, oracle=None, build=build, **settings):
    return ModelTuner(build, oracle=oracle or random_oracle(), directory=folder, project_name="search", **settings)


def search(tuner, **settings):
    """Searches in rows of a fixed order."""
    tuner.search(**{"x": DATA, "validation_data": DATA, "epochs": 2, "verbose": 0, **settings})
    return tuner


def outcome(tuner):
    """What came of a search, to the last bit: values, scores and curves."""
    return [
        (number, trial.status, trial.hyperparameters.values, trial.score, curve(tuner, number))
        for number, trial in sorted(tuner.oracle.trials.items())
    ]


def curve(tuner, number):
    path = tuner._folder(number) / "epochs.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


class Kill(keras.callbacks.Callback):
    """Interrupts the search when so many epochs were begun, in all trials together."""

    left = 0

    def on_train_batch_end(self, batch, logs=None):
        if batch == 1:
            Kill.left -= 1
            if Kill.left == 0:
                raise KeyboardInterrupt


def killed_and_gone_on(folder, epoch, **settings):
    """A search that is interrupted in the `epoch`-th epoch, and made again; how many epochs it then trained."""
    made = {name: settings.pop(name) for name in ("build", "oracle") if name in settings}
    callbacks = settings.pop("callbacks", [])
    oracle = made.pop("oracle", random_oracle)
    Kill.left = epoch
    with pytest.raises(KeyboardInterrupt):
        search(make(folder, oracle(), **made), callbacks=[*callbacks, Kill()], **settings)
    Kill.left = 0
    return search(make(folder, oracle(), **made), callbacks=[*callbacks, Kill()], **settings), -Kill.left


@pytest.mark.parametrize("name", ["RandomSearchOracle", "BayesianOptimizationOracle", "GridSearchOracle"])
def test_every_oracle_searches_and_its_best_model_has_its_score(name, tmp_path):
    oracle = getattr(kt.oracles, name)("val_loss", max_trials=3, seed=1)
    tuner = search(make(tmp_path, oracle))
    assert [trial.status for trial in oracle.trials.values()] == ["COMPLETED"] * 3
    best, worse = oracle.get_best_trials(2)
    assert best.score < worse.score
    loss, _ = tuner.get_best_models()[0].evaluate(DATA, verbose=0)
    assert loss == pytest.approx(best.score, rel=1e-6)
    assert tuner.get_best_hyperparameters()[0].values == best.hyperparameters.values
    assert set(best.hyperparameters.values) == {"units", "rate"}
    assert not any((tuner._folder(number) / "state").exists() for number in oracle.trials)


def test_hyperband_trains_a_promoted_trial_on_exactly(tmp_path):
    oracle = kt.oracles.HyperbandOracle("val_loss", max_epochs=2, factor=2, seed=1)
    graph = lambda hp: build(hp, run_eagerly=False)  # noqa: E731
    tuner = search(make(tmp_path, oracle, graph), epochs=None)
    promoted = [trial for trial in oracle.trials.values() if "tuner/trial_id" in trial.hyperparameters.values]
    assert promoted
    for trial in promoted:
        parent = trial.hyperparameters.values["tuner/trial_id"]
        fixed = kt.HyperParameters()
        for name in ("units", "rate"):
            fixed.Fixed(name, trial.hyperparameters.values[name])
        alone = random_oracle(1, hyperparameters=fixed, allow_new_entries=False)
        whole = search(make(tmp_path / trial.trial_id, alone, graph), epochs=2)
        assert len(curve(tuner, parent)) == 1
        assert curve(tuner, trial.trial_id) == curve(whole, "0")
        assert trial.score == alone.trials["0"].score
        weights = whole.get_best_models()[0].get_weights()
        assert all(map(np.array_equal, tuner.load_model(trial).get_weights(), weights))


def test_a_killed_search_goes_on_inside_its_trial(whole_search, tmp_path):
    tuner, epochs = killed_and_gone_on(tmp_path, 5, epochs=3)  # the second epoch of the second trial
    assert outcome(tuner) == outcome(whole_search)
    assert epochs == 2


def test_a_killed_promotion_goes_on_and_keeps_the_best_weights_of_its_parent(tmp_path):
    worst = kt.Objective("val_loss", "max")  # of the first epoch, so of the parent
    oracle = lambda: kt.oracles.HyperbandOracle(worst, max_epochs=2, factor=2, seed=1)  # noqa: E731
    whole = search(make(tmp_path / "whole", oracle()), epochs=None)
    tuner, _ = killed_and_gone_on(tmp_path / "killed", 3, oracle=oracle, epochs=None)
    assert outcome(tuner) == outcome(whole)
    promoted = tuner.oracle.trials["0002"]
    parent = tuner.oracle.trials[promoted.hyperparameters.values["tuner/trial_id"]]
    assert promoted.score == parent.score
    assert tuner.load_model(promoted).evaluate(DATA, verbose=0)[0] == pytest.approx(parent.score, rel=1e-6)


@pytest.mark.parametrize("optimizer", ["legacy", "scaled"])
def test_every_kind_of_optimizer_goes_on(optimizer, tmp_path):
    made = {"build": lambda hp: build(hp, optimizer), "oracle": lambda: random_oracle(1)}
    whole = search(make(tmp_path / "whole", made["oracle"](), made["build"]))
    tuner, epochs = killed_and_gone_on(tmp_path / "killed", 2, **made)
    assert outcome(tuner) == outcome(whole)
    assert epochs == 1


def test_a_search_without_a_seed_goes_on_with_the_values_that_it_began_with(tmp_path):
    oracle = lambda: kt.oracles.RandomSearchOracle("val_loss", max_trials=1)  # noqa: E731
    Kill.left = 2
    with pytest.raises(KeyboardInterrupt):
        begun = make(tmp_path, oracle())
        search(begun, callbacks=[Kill()])
    tuner = search(make(tmp_path, oracle()))
    assert tuner.oracle.trials["0"].hyperparameters.values == begun.oracle.trials["0"].hyperparameters.values


def test_callbacks_go_on_counting(tmp_path):
    stops = [
        keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.1, patience=1, min_delta=10.0),
        keras.callbacks.EarlyStopping("val_loss", patience=3, min_delta=10.0, restore_best_weights=True),
    ]
    oracle = lambda: random_oracle(1)  # noqa: E731
    whole = search(make(tmp_path / "whole", oracle()), epochs=9, callbacks=stops)
    tuner, epochs = killed_and_gone_on(tmp_path / "killed", 4, oracle=oracle, epochs=9, callbacks=stops)
    assert outcome(tuner) == outcome(whole)
    assert len(curve(tuner, "0")) == 4
    assert epochs == 1
    assert [round(values["lr"] / curve(tuner, "0")[0]["lr"], 6) for values in curve(tuner, "0")] == [1, 1, 0.1, 0.01]
    loss, _ = whole.get_best_models()[0].evaluate(DATA, verbose=0)  # early stopping has brought others back at the end
    assert loss == pytest.approx(whole.oracle.trials["0"].score, rel=1e-6)


def test_a_dataset_of_all_epochs_goes_on_where_it_was(tmp_path):
    data = tf.data.Dataset.from_tensor_slices((X, Y)).repeat(3).shuffle(60, seed=1, reshuffle_each_iteration=False)
    settings = {
        "x": data.batch(5).with_options(QUICK),
        "steps_per_epoch": 4,
        "epochs": 3,
        "validation_data": DATA,
        "verbose": 0,
    }
    whole = make(tmp_path / "whole")
    whole.search(**settings)
    Kill.left = 2
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "killed").search(**settings, callbacks=[Kill()])
    tuner = make(tmp_path / "killed")
    tuner.search(**settings, callbacks=[Kill()])
    assert outcome(tuner) == outcome(whole)
    with pytest.raises(kt.errors.FatalValueError, match="must hold the batches of all 4 epochs, 16. It holds 12"):
        make(tmp_path / "short").search(**{**settings, "epochs": 4})


def test_a_trial_whose_state_is_damaged_begins_again(whole_search, tmp_path, caplog):
    Kill.left = 3
    with pytest.raises(KeyboardInterrupt):
        search(make(tmp_path / "killed"), epochs=3, callbacks=[Kill()])
    [data] = tmp_path.glob("killed/search/trial_0/state/0002/tensors.data*")
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    Kill.left = 0
    tuner = search(make(tmp_path / "killed"), epochs=3, callbacks=[Kill()])
    assert "damaged" in caplog.text
    assert Kill.left == -6
    assert outcome(tuner) == outcome(whole_search)


def test_another_model_than_the_one_that_was_saved_stops_the_search(tmp_path):
    Kill.left = 2
    with pytest.raises(KeyboardInterrupt):
        search(make(tmp_path), callbacks=[Kill()])

    def wider(hp):
        model = build(hp)
        wide = keras.Sequential([model, keras.layers.Dense(2)])
        wide.compile("adam", LOSS)
        return wide

    with pytest.raises(kt.errors.FatalValueError, match="another model than build"):
        search(make(tmp_path, build=wider))


class Subclassed(keras.Model):
    """Gets its weights when it is called first."""

    def __init__(self, units):
        super().__init__()
        self.hidden, self.head = keras.layers.Dense(units), keras.layers.Dense(2)

    def call(self, inputs):
        return self.head(self.hidden(inputs["a"] + inputs["b"]))


def test_a_subclassed_model_is_loaded_without_data(tmp_path):
    def subclassed(hp):
        model = Subclassed(hp.Int("units", 2, 4))
        model.compile("adam", LOSS, run_eagerly=True)
        return model

    data = tf.data.Dataset.from_tensor_slices(({"a": X, "b": X}, Y)).batch(5).with_options(QUICK)
    make(tmp_path, build=subclassed).search(data, validation_data=data, epochs=1, verbose=0)
    tuner = make(tmp_path, build=subclassed)  # as in another process
    assert tuner.get_best_models()[0].evaluate(data, verbose=0) == pytest.approx(
        tuner.oracle.get_best_trials()[0].score, rel=1e-6
    )


def test_a_transformers_model_goes_on_too(dropping_checkpoint, tmp_path):
    ids = CHANCE.integers(5, 60, size=(8, 6)).astype("int32")
    labels = (ids[:, 1] > 30).astype("int32")

    def bert(hp):
        model = transformers.TFAutoModelForSequenceClassification.from_pretrained(dropping_checkpoint, num_labels=2)
        optimizer = keras.optimizers.Adam(hp.Float("rate", 1e-4, 1e-2, sampling="log"))
        model.compile(optimizer, LOSS, metrics=["accuracy"], run_eagerly=True)
        return model

    settings = {"x": {"input_ids": ids}, "y": labels, "validation_data": ({"input_ids": ids}, labels)}
    settings |= {"epochs": 2, "batch_size": 4, "shuffle": False, "verbose": 0}
    whole = make(tmp_path / "whole", random_oracle(1), bert)
    whole.search(**settings)
    Kill.left = 2
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "killed", random_oracle(1), bert).search(**settings, callbacks=[Kill()])
    tuner = make(tmp_path / "killed", random_oracle(1), bert)
    tuner.search(**settings)
    assert outcome(tuner) == outcome(whole)
    loss, _ = tuner.get_best_models()[0].evaluate({"input_ids": ids}, labels, batch_size=4, verbose=0)
    assert loss == pytest.approx(tuner.oracle.get_best_trials()[0].score, rel=1e-6)


@pytest.mark.parametrize(
    ("mistake", "error"),
    [(TypeError, kt.errors.FatalTypeError), (ValueError, kt.errors.FatalValueError), (KeyError, kt.errors.FatalError)],
)
def test_a_mistake_in_build_stops_the_search_at_once(mistake, error, tmp_path):
    built = []

    def wrong(hp):
        built.append(hp)
        if len(built) == 1:  # when the space is found
            return build(hp)
        raise mistake("no such layer")

    with pytest.raises(error, match=f"{mistake.__name__}: .*no such layer"):
        search(make(tmp_path, build=wrong))
    assert len(built) == 2


def test_a_mistake_in_what_fit_is_given_stops_the_search(tmp_path):
    with pytest.raises(kt.errors.FatalTypeError, match="no_such_option"):
        search(make(tmp_path), no_such_option=1)
    with pytest.raises(
        kt.errors.FatalValueError, match='name="val_auc".* gives accuracy, loss, val_accuracy, val_loss'
    ):
        search(make(tmp_path / "objective", kt.oracles.RandomSearchOracle(kt.Objective("val_auc", "max"))))


class Fails(keras.callbacks.Callback):
    """Makes the first trial fail, or diverge in an epoch."""

    def __init__(self, error=None, diverges=None):
        super().__init__()
        self.error, self.diverges = error, diverges

    def on_epoch_begin(self, epoch, logs=None):
        if self.model.layers[0].units != 5:
            return
        if self.error is not None:
            raise self.error
        if epoch >= self.diverges:
            self.model.layers[0].kernel.assign(np.full((4, 5), np.nan))


def units_oracle():
    space = kt.HyperParameters()
    space.Choice("units", [5, 3])
    space.Fixed("rate", 0.01)
    return kt.oracles.GridSearchOracle("val_loss", hyperparameters=space, allow_new_entries=False)


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ({"diverges": 0}, "is no number in any epoch; in the last one: loss nan"),
        ({"error": tf.errors.ResourceExhaustedError(None, None, "tensor of 9 TB")}, "memory does not suffice: tensor"),
        ({"error": MemoryError("too much")}, "memory does not suffice: too much"),
        ({"error": kt.errors.FailedTrialError("by hand")}, "by hand"),
    ],
)
def test_a_trial_fails_alone_and_says_why(cause, words, tmp_path):
    tuner = search(make(tmp_path, units_oracle()), callbacks=[Fails(**cause)])
    failed, completed = (tuner.oracle.trials[number] for number in sorted(tuner.oracle.trials))
    assert (failed.status, completed.status) == ("FAILED", "COMPLETED")
    assert words in failed.message
    assert tuner.oracle.get_best_trials()[0].trial_id == completed.trial_id
    with pytest.raises(RunError, match="no weights"):
        tuner.load_model(failed)


def test_a_trial_that_diverges_later_keeps_its_best_epoch(tmp_path):
    tuner = search(make(tmp_path, units_oracle()), epochs=3, callbacks=[Fails(diverges=1)])
    number = min(tuner.oracle.trials)
    trial = tuner.oracle.trials[number]
    assert trial.status == "COMPLETED"
    assert [values["val_loss"] for values in curve(tuner, number)] == [trial.score, None]
    loss, _ = tuner.load_model(trial).evaluate(DATA, verbose=0)
    assert loss == pytest.approx(trial.score, rel=1e-6)


def test_a_space_that_is_given_whole_is_not_looked_for(tmp_path):
    tuner = make(tmp_path, units_oracle(), build=lambda hp: pytest.fail("built"))
    assert [found.name for found in tuner.oracle.get_space().space] == ["units", "rate"]


def test_the_memory_of_a_trial_is_free_when_the_next_one_begins(tmp_path):
    handles = []

    def own(hp):
        model = build(hp, run_eagerly=False)
        handles.append(model.layers[-1].kernel.handle)
        return model

    search(make(tmp_path, build=own), epochs=1)
    _, first, last = (tf.raw_ops.ReadVariableOp(resource=handle, dtype=tf.float32) for handle in handles)
    assert first.shape == (0,)
    assert last.shape[1] == 2


def test_a_layer_that_all_models_share_is_left_alone(tmp_path):
    shared = keras.layers.Dense(3, trainable=False)
    shared.build((None, 4))
    kept = shared.kernel.numpy()

    def own(hp):
        model = keras.Sequential([keras.Input((4,)), shared, keras.layers.Dense(hp.Int("units", 2, 9))])
        model.compile("adam", LOSS, run_eagerly=True)
        return model

    search(make(tmp_path, build=own), epochs=1)
    assert np.array_equal(shared.kernel.numpy(), kept)


class OwnBatches(kt.HyperModel):
    """Tunes an argument of `fit`."""

    def __init__(self, passes_on=True):
        super().__init__()
        self.passes_on = passes_on

    def build(self, hp):
        return build(hp)

    def fit(self, hp, model, *data, **settings):
        if not self.passes_on:
            settings.pop("callbacks")
        return model.fit(*data, **{**settings, "batch_size": hp.Choice("batch", [5, 10])})


def test_a_hypermodel_may_tune_what_fit_is_given(tmp_path):
    tuner = search(make(tmp_path, build=OwnBatches()), x=X, y=Y)
    assert all("batch" in trial.hyperparameters.values for trial in tuner.oracle.trials.values())
    with pytest.raises(kt.errors.FatalValueError, match="does not pass epochs and callbacks on"):
        search(make(tmp_path / "swallowed", build=OwnBatches(passes_on=False)), x=X, y=Y)


def keras3(hp):
    import keras as keras3

    return keras3.Sequential([keras3.layers.Dense(2)])


SHARED = keras.optimizers.SGD()


def shared(hp):
    model = build(hp)
    SHARED.iterations.assign(1)
    model.compile(SHARED, LOSS)
    return model


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (keras3, "of Keras 3"),
        (lambda hp: None, "returned NoneType"),
        (lambda hp: keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]), "model.compile"),
        (shared, "make a new model and a new optimizer"),
    ],
)
def test_what_is_no_new_compiled_keras_model_stops_the_search(wrong, words, tmp_path):
    with pytest.raises(kt.errors.FatalValueError, match=words):
        search(make(tmp_path, build=wrong))


class NoCopy(keras.callbacks.Callback):
    def __deepcopy__(self, memo):
        raise TypeError("cannot pickle a lock")


def keras3_callback():
    import keras as keras3

    return keras3.callbacks.TerminateOnNaN()


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"callbacks": [keras3_callback()]}, LossError, "of Keras 3"),
        ({"callbacks": [NoCopy()]}, ConfigError, "NoCopy cannot be copied .*cannot pickle a lock"),
        ({"callbacks": [keras.callbacks.BackupAndRestore("backup")]}, ConfigError, "BackupAndRestore has no place"),
        ({"initial_epoch": 1}, ConfigError, "leave it out"),
        ({"epochs": 0}, ConfigError, "epochs must be 1 or more"),
        ({"steps_per_epoch": 2}, ConfigError, "goes with a tf.data.Dataset. Received data: ndarray"),
        ({"x": iter([(X, Y)]), "y": None}, DataError, "list_iterator can be read once only"),
        (
            {"x": tf.data.Dataset.from_tensors((X, Y)).filter(lambda x, y: True), "y": None},
            DataError,
            "does not know its number of batches",
        ),
    ],
)
def test_what_a_search_cannot_use_is_refused_before_it_begins(arguments, error, words, tmp_path):
    tuner = make(tmp_path)
    with pytest.raises(error, match=words):
        tuner.search(**{"x": X, "y": Y, "verbose": 0, **arguments})
    assert not tuner.oracle.trials


def test_what_does_not_fit_the_oracle_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no objective"):
        make(tmp_path, kt.oracles.RandomSearchOracle())
    with pytest.raises(ConfigError, match="seed must be 0 or more"):
        make(tmp_path, seed=-1)
    with pytest.raises(kt.errors.FatalValueError, match="HyperbandOracle sets the epochs"):
        search(make(tmp_path, kt.oracles.HyperbandOracle("val_loss", max_epochs=2)))


def test_a_grid_search_is_not_gone_on_with_but_its_results_are_there(tmp_path):
    search(make(tmp_path, units_oracle()))
    tuner = make(tmp_path, units_oracle())
    assert tuner.get_best_models()
    with pytest.raises(TuningError, match="overwrite=True"):
        search(tuner)


def test_each_trial_has_a_tensorboard_folder_of_its_own(tmp_path):
    search(make(tmp_path), epochs=1, callbacks=[keras.callbacks.TensorBoard(tmp_path / "logs")])
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == ["0", "1"]


@pytest.mark.parametrize("missing", ["keras_tuner", "scipy.optimize", "sklearn.gaussian_process"])
def test_a_missing_package_is_named(missing, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    load_keras_tuner.cache_clear()
    with pytest.raises(DependencyError, match=f"(?s){missing}.*pip install"):
        load_keras_tuner()
    load_keras_tuner.cache_clear()
