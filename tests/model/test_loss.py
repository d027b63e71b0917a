import functools

import numpy as np
import pytest

from tf_finetune.errors import LossError

LOGITS = np.array([[2.0, -1.0, 0.5], [0.1, 0.2, 3.0]], np.float32)
LABELS = np.array([0, 2])


def softmax(logits):
    shifted = np.exp(logits)
    return shifted / shifted.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_the_smoothed_loss_is_its_formula(smoothing):
    from tf_finetune.model.loss import SmoothedSparseCategoricalCrossentropy

    target = (1 - smoothing) * np.eye(3)[LABELS] + smoothing / 3
    expected = -(target * np.log(softmax(LOGITS))).sum(axis=-1)
    loss = SmoothedSparseCategoricalCrossentropy(smoothing)
    assert np.allclose(loss.call(LABELS, LOGITS), expected, atol=1e-6)
    assert np.isclose(loss(LABELS, LOGITS), expected.mean(), atol=1e-6)
    assert np.isclose(loss(LABELS, LOGITS, sample_weight=[1.0, 3.0]), (expected * [1, 3]).mean(), atol=1e-6)
    from_probabilities = SmoothedSparseCategoricalCrossentropy(smoothing, from_logits=False)
    assert np.isclose(from_probabilities(LABELS, softmax(LOGITS)), expected.mean(), atol=1e-5)


def test_without_smoothing_it_is_plain_cross_entropy():
    from tf_finetune.backend import keras
    from tf_finetune.model.loss import SmoothedSparseCategoricalCrossentropy, make_loss

    plain = make_loss()
    assert type(plain) is keras.losses.SparseCategoricalCrossentropy
    assert np.isclose(plain(LABELS, LOGITS), SmoothedSparseCategoricalCrossentropy(0.0)(LABELS, LOGITS))
    smoothed = make_loss(label_smoothing=0.2)
    assert isinstance(smoothed, SmoothedSparseCategoricalCrossentropy) and smoothed.label_smoothing == 0.2


def test_labels_may_be_a_column_and_logits_bfloat16():
    from tf_finetune.backend import tf
    from tf_finetune.model.loss import make_loss

    loss = make_loss(label_smoothing=0.1)
    assert np.isclose(loss(LABELS[:, None], LOGITS), loss(LABELS, LOGITS))
    half = loss(LABELS, tf.cast(LOGITS, tf.bfloat16))
    assert half.dtype == tf.float32 and np.isclose(half, loss(LABELS, LOGITS), atol=0.01)


def test_the_loss_survives_serialisation():
    from tf_finetune.backend import keras
    from tf_finetune.model.loss import make_loss

    again = keras.losses.deserialize(keras.losses.serialize(make_loss(label_smoothing=0.2)))
    assert (again.label_smoothing, again.from_logits) == (0.2, True)


def losses_of_probabilities():
    from tf_finetune.backend import keras
    from tf_finetune.model.loss import SmoothedSparseCategoricalCrossentropy

    return {
        "object": keras.losses.SparseCategoricalCrossentropy(),
        "dense object": keras.losses.CategoricalCrossentropy(from_logits=False),
        "function": keras.losses.sparse_categorical_crossentropy,
        "dense function": keras.losses.categorical_crossentropy,
        "name": "sparse_categorical_crossentropy",
        "class name": "SparseCategoricalCrossentropy",
        "smoothed": SmoothedSparseCategoricalCrossentropy(0.1, from_logits=False),
    }


def losses_of_logits():
    from tf_finetune.backend import keras
    from tf_finetune.model.loss import make_loss

    return {
        "object": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "dense object": keras.losses.CategoricalCrossentropy(from_logits=True),
        "smoothed": make_loss(label_smoothing=0.1),
    }


@pytest.mark.parametrize(
    "kind", ["object", "dense object", "function", "dense function", "name", "class name", "smoothed"]
)
def test_logits_taken_for_probabilities(kind):
    from tf_finetune.model.loss import check_loss

    loss = losses_of_probabilities()[kind]
    check_loss(loss, softmax(LOGITS))
    for outputs in (LOGITS, np.abs(LOGITS), np.zeros([2, 3])):
        with pytest.raises(LossError, match="from_logits=False.*gives logits.*from_logits=True"):
            check_loss(loss, outputs)


@pytest.mark.parametrize("kind", ["object", "dense object", "smoothed"])
def test_probabilities_taken_for_logits(kind):
    from tf_finetune.model.loss import check_loss

    loss = losses_of_logits()[kind]
    for outputs in (LOGITS, np.abs(LOGITS), np.full([2, 3], np.nan)):
        check_loss(loss, outputs)
    with pytest.raises(LossError, match="from_logits=True.*gives probabilities.*Remove the softmax layer"):
        check_loss(loss, softmax(LOGITS))


def test_probabilities_of_half_precision_are_recognised():
    from tf_finetune.backend import tf
    from tf_finetune.model.loss import check_loss

    logits = tf.random.stateless_normal([64, 9], seed=[1, 2])
    for dtype in (tf.bfloat16, tf.float16):
        probabilities = tf.nn.softmax(tf.cast(logits, dtype))
        check_loss(losses_of_probabilities()["object"], probabilities)
        with pytest.raises(LossError):
            check_loss(losses_of_logits()["object"], probabilities)


def test_the_output_may_be_that_of_transformers():
    from tf_finetune.backend import tf
    from tf_finetune.model.loss import check_loss

    outputs = type("Output", (), {"logits": tf.constant(LOGITS)})()
    check_loss(losses_of_logits()["object"], outputs)
    with pytest.raises(LossError):
        check_loss(losses_of_probabilities()["object"], outputs)


def test_other_losses_pass():
    from tf_finetune.backend import keras
    from tf_finetune.model.loss import check_loss

    def custom(y_true, y_pred):
        return y_pred

    class Custom(keras.losses.Loss):
        from_logits = "of my own"

    partial = functools.partial(keras.losses.sparse_categorical_crossentropy, from_logits=True)
    binary = keras.losses.BinaryCrossentropy()
    for loss in (custom, Custom(), partial, binary, "mse", "passthrough", "binary_crossentropy", None):
        check_loss(loss, LOGITS)
        check_loss(loss, softmax(LOGITS))
        check_loss(loss, np.array([[0.2], [0.9]]))


def test_objects_of_keras_3_are_refused():
    import keras as keras3

    from tf_finetune.backend import keras
    from tf_finetune.model.loss import refuse_keras3

    class Mine(keras3.callbacks.Callback):
        pass

    class Good(keras.callbacks.Callback):
        pass

    for wrong in (
        keras3.optimizers.Adam(),
        keras3.losses.SparseCategoricalCrossentropy(from_logits=True),
        keras3.losses.sparse_categorical_crossentropy,
        keras3.callbacks.EarlyStopping(),
        keras3.metrics.Mean(),
        keras3.callbacks.Callback,
        keras3.Sequential(),
        Mine(),  # a class of one's own, on the wrong base
        Mine,
        [Good(), Mine()],
    ):
        with pytest.raises(
            LossError, match="`thing` holds .* of Keras 3 \\(keras.*from tf_finetune.backend import keras"
        ):
            refuse_keras3(thing=wrong)
    for right in (Good(), Good, keras.optimizers.Adam(), keras.losses.mse, "mse", None, [], lambda y, p: p, 3):
        refuse_keras3(thing=right)
