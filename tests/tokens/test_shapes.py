"""With few shapes, batches are the same rows in the same order, and XLA has few programs to compile."""

import itertools

import numpy as np
import pytest

from tf_finetune.data import Examples
from tf_finetune.tokens.lengths import report_lengths
from tf_finetune.tokens.shapes import FewShapes, best_lengths, few_shapes
from tf_finetune.tokens.table import encode


def padded(needed, lengths):
    return sum(min(length for length in lengths if length >= n) for n in needed)


@pytest.mark.parametrize("seed", range(6))
def test_no_other_lengths_pad_less(seed):
    chance = np.random.default_rng(seed)
    needed = chance.choice(8 * np.arange(1, 12), size=chance.integers(1, 40))
    for most in (1, 2, 3, 20):
        found = best_lengths(needed, most=most)
        assert found == tuple(sorted(set(found))) and len(found) <= most
        others = itertools.combinations(sorted(set(needed)), min(most, len(set(needed))))
        assert padded(needed, found) == min(padded(needed, other) for other in others if other[-1] == max(needed))


def test_best_lengths_by_hand():
    assert best_lengths(np.array([8, 8, 8, 16, 64, 64]), most=2) == (16, 64)
    assert best_lengths(np.array([8] * 9 + [16, 64, 64]), most=2) == (8, 64)


@pytest.fixture
def spec():
    from tf_finetune.backend import tf

    return {name: tf.TensorSpec([None, None], tf.int32, name=name) for name in ("input_ids", "attention_mask")}


def make_table(load, count):
    """Rows of 1 to 60 tokens, most of them short; the label is the row's number."""
    texts = ["QXZ"[i % 3] * (1 + i * i * 11 % 65 % (1 + i)) for i in range(count)]  # a token a letter
    names = [str(i) for i in range(count)]
    return encode(Examples.from_lists(texts, names, label_names=names), load("gpt2"), max_length=60)


@pytest.mark.parametrize("order", ["bucketed", "plain", "length"])
@pytest.mark.parametrize("count", [5, 64, 133])
def test_batches_differ_from_the_usual_ones_by_padding_alone(load, spec, order, count):
    from tf_finetune.tokens.pipeline import make_dataset

    table = make_table(load, count)
    shapes = few_shapes(table, batch_size=8, order=order, seed=4, most=3)
    settings = {"batch_size": 8, "order": order, "seed": 4, "epochs": 4}
    usual, few = make_dataset(table, spec, **settings), make_dataset(table, spec, **settings, shapes=shapes)
    found = set()
    for (ours, labels), (theirs, their_labels) in zip(few, usual, strict=True):
        assert labels.numpy().tolist() == their_labels.numpy().tolist()
        length = theirs["input_ids"].shape[1]
        for name in spec:
            assert np.array_equal(ours[name][:, :length], theirs[name])
        assert not np.any(ours["attention_mask"][:, length:])
        found.add(tuple(ours["input_ids"].shape))
    assert found <= set(shapes.shapes)
    assert len(found) <= len(shapes.shapes) == (count >= 8) * len(shapes.lengths) + (count % 8 > 0) <= 4
    assert all(length % 8 == 0 or length == table.max_length for length in shapes.lengths)


def test_the_report_counts_the_positions_of_these_batches(load, spec):
    from tf_finetune.tokens.pipeline import make_dataset

    table = make_table(load, 53)
    shapes = few_shapes(table, batch_size=8, order="bucketed", seed=2, most=2)
    report = report_lengths(table, batch_size=8, batching="bucketed", seed=2, shapes=shapes)
    batches = make_dataset(table, spec, batch_size=8, seed=2, shapes=shapes)
    assert report.padded == sum(np.size(inputs["input_ids"]) for inputs, _ in batches)
    usual = report_lengths(table, batch_size=8, batching="bucketed", seed=2)
    assert report.padded > usual.padded and report.padded_plain == usual.padded_plain


def test_the_smaller_last_batch_has_one_shape():
    shapes = FewShapes(batch_size=8, full=True, rest=3, lengths=(16, 40))
    assert [shapes.length(8, n) for n in (1, 16, 17, 40)] == [16, 16, 40, 40]
    assert shapes.length(3, 1) == 40
    assert shapes.shapes == ((8, 16), (8, 40), (3, 40))


def test_xla_gives_the_same_weights_from_one_trace(load, spec):
    from tf_finetune.backend import keras, tf
    from tf_finetune.tokens.pipeline import make_dataset

    table = make_table(load, 53)
    shapes = few_shapes(table, batch_size=8, order="bucketed", most=3)
    assert len(shapes.shapes) == 4

    def trained(jit_compile):
        keras.utils.set_random_seed(1)
        inputs = {name: keras.Input([None], dtype="int32", name=name) for name in spec}
        vectors = keras.layers.Embedding(len(load("gpt2")), 8)(inputs["input_ids"])
        weights = tf.cast(inputs["attention_mask"], tf.float32)[..., None]
        model = keras.Model(inputs, keras.layers.Dense(53)(tf.reduce_sum(vectors * weights, axis=1)))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.1), loss, jit_compile=jit_compile)
        batches = make_dataset(table, spec, batch_size=8, epochs=2, shapes=shapes if jit_compile else None)
        model.fit(batches, epochs=2, steps_per_epoch=7, verbose=0)
        return model

    compiled, plain = trained(True), trained(False)
    assert compiled.train_function.experimental_get_tracing_count() == 1
    for one, other in zip(compiled.get_weights(), plain.get_weights(), strict=True):
        assert np.allclose(one, other, atol=1e-5)
