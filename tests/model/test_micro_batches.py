import numpy as np
import pytest

ROWS = 10


def classifier(dtype=None):
    """Embeddings, so that gradients are sparse as in a Transformer, and a regularized head."""
    from tf_finetune.backend import keras

    keras.utils.set_random_seed(5)
    return keras.Sequential(
        [
            keras.layers.Input([None], dtype="int32"),
            keras.layers.Embedding(20, 8),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(3, kernel_regularizer="l2", name="head"),
        ]
    )


def batches(rows=ROWS, count=1):
    from tf_finetune.backend import tf

    chance = np.random.default_rng(1)
    ids = chance.integers(0, 20, (rows * count, 6)).astype(np.int32)
    labels = chance.integers(0, 3, rows * count).astype(np.int32)
    return tf.data.Dataset.from_tensor_slices((ids, labels)).batch(rows)


def updated(parts, *, rows=ROWS, class_weight=None, count=1, **options):
    """Weights and history after one update of each batch by plain gradient descent."""
    from tf_finetune.backend import keras
    from tf_finetune.model.compile import compile_model

    model = classifier()
    optimizer = keras.optimizers.SGD(0.5)
    compile_model(model, updates=1, optimizer=optimizer, gradient_accumulation=parts, **options)
    history = model.fit(batches(rows, count), verbose=0, class_weight=class_weight).history
    return model.get_weights(), history, model


@pytest.mark.parametrize("class_weight", [None, {0: 3.0, 1: 0.5, 2: 1.0}], ids=["plain", "class weights"])
@pytest.mark.parametrize(("rows", "parts"), [(10, 3), (9, 3), (10, 4), (5, 3), (2, 3), (1, 3)])
def test_one_update_equals_that_of_the_whole_batch(rows, parts, class_weight):
    whole, history, _ = updated(1, rows=rows, class_weight=class_weight)
    in_parts, history_in_parts, _ = updated(parts, rows=rows, class_weight=class_weight)
    for one, other in zip(whole, in_parts):
        assert np.allclose(one, other, atol=1e-6)
    assert history_in_parts["loss"] == pytest.approx(history["loss"], abs=1e-6)
    assert history_in_parts["accuracy"] == pytest.approx(history["accuracy"])


def test_the_parts_differ_in_size_by_one_row_at_most():
    from tf_finetune.backend import keras, tf
    from tf_finetune.model.compile import compile_model

    model, seen = classifier(), []

    class Spy(keras.losses.Loss):
        def call(self, y_true, y_pred):
            tf.numpy_function(lambda n: seen.append(int(n)), [tf.shape(y_true)[0]], [])
            return keras.losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)

    compile_model(model, updates=1, loss=Spy(), gradient_accumulation=4)
    model.fit(batches(10), verbose=0)
    assert seen == [3, 3, 2, 2]


def test_xla_gives_the_same():
    """XLA clamps a slice that reaches beyond the batch: with uneven parts rows would count twice."""
    plain, history, _ = updated(3)
    compiled, history_compiled, _ = updated(3, jit_compile=True)
    for one, other in zip(plain, compiled):
        assert np.allclose(one, other, atol=1e-6)
    assert history_compiled["accuracy"] == pytest.approx(history["accuracy"])
    assert history_compiled["loss"] == pytest.approx(history["loss"], abs=1e-6)


def test_a_batch_is_an_update():
    _, _, model = updated(3, count=4)
    assert int(model.optimizer.iterations) == 4


def test_compiling_again_without_it_switches_it_off():
    from tf_finetune.model.compile import compile_model

    model = classifier()
    plain = model.train_step
    compile_model(model, updates=1, gradient_accumulation=3)
    assert model.train_step != plain
    compile_model(model, updates=1)
    assert model.train_step == plain
    model.train_step = own = lambda data: {}
    compile_model(model, updates=1)
    assert model.train_step is own  # not ours to remove


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(precision):
    from tf_finetune.backend import keras, precision_policy
    from tf_finetune.model.compile import compile_model

    with precision_policy(precision):
        model = classifier()
        compile_model(model, updates=1, learning_rate=0.1, gradient_accumulation=3)
    scaled = isinstance(model.optimizer, keras.mixed_precision.LossScaleOptimizer)
    assert scaled == (precision == "mixed_float16")
    before = model.get_weights()
    history = model.fit(batches(), verbose=0).history
    assert np.isfinite(history["loss"][0])
    assert int(model.optimizer.iterations) == 1
    assert all(weight.dtype == np.float32 for weight in model.get_weights())
    for old, new in zip(before[:2], model.get_weights()):
        assert np.isfinite(new).all() and not np.array_equal(old, new)
        assert np.abs(new - old).max() < 0.2  # unscaled again: one step of Adam


def test_a_transformers_model(tiny_checkpoint):
    from tf_finetune.backend import keras, tf, transformers
    from tf_finetune.model.compile import compile_model

    ids = np.random.default_rng(0).integers(5, 60, (7, 6)).astype(np.int32)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    dataset = tf.data.Dataset.from_tensors((inputs, (np.arange(7) % 3).astype(np.int32)))
    results = []
    for parts in (1, 3):
        keras.utils.set_random_seed(2)
        model = transformers.TFBertForSequenceClassification.from_pretrained(str(tiny_checkpoint), num_labels=3)
        compile_model(model, updates=1, optimizer=keras.optimizers.SGD(0.1), gradient_accumulation=parts)
        model.run_eagerly = True  # tracing would take most of the time
        history = model.fit(dataset, verbose=0).history
        results.append((model.get_weights(), history["loss"][0], history["accuracy"][0]))
    (whole, loss, accuracy), (in_parts, loss_in_parts, accuracy_in_parts) = results
    assert max(np.abs(one - other).max() for one, other in zip(whole, in_parts)) < 1e-6
    assert (loss_in_parts, accuracy_in_parts) == pytest.approx((loss, accuracy), abs=1e-6)
