import numpy as np
import pytest

from tests.tokens.families import random_texts
from tf_finetune.data import Examples
from tf_finetune.errors import ModelError
from tf_finetune.tokens.cuts import Cuts
from tf_finetune.tokens.lengths import report_lengths
from tf_finetune.tokens.order import batch_order
from tf_finetune.tokens.table import TokenTable, encode

TEXTS = random_texts(5, count=53)


@pytest.fixture
def table(load):
    examples = Examples.from_lists(TEXTS, [str(i) for i in range(53)], label_names=[str(i) for i in range(53)])
    return encode(examples, load("wordpiece"), max_length=20)  # the label is the row's number


@pytest.fixture
def spec():
    from tf_finetune.backend import tf

    return {name: tf.TensorSpec([None, None], tf.int32, name=name) for name in ("input_ids", "attention_mask")}


def batches(dataset):
    return [({name: x.numpy() for name, x in inputs.items()}, labels.numpy()) for inputs, labels in dataset]


def test_elements_and_cardinality(table, spec):
    from tf_finetune.backend import tf
    from tf_finetune.tokens.pipeline import make_dataset, steps_per_epoch

    dataset = make_dataset(table, spec, batch_size=8, epochs=3)
    assert isinstance(dataset, tf.data.Dataset)
    inputs, labels = dataset.element_spec
    assert list(inputs) == ["input_ids", "attention_mask"]
    assert all(x.dtype == tf.int32 and x.shape.as_list() == [None, None] for x in inputs.values())
    assert labels.dtype == tf.int32 and labels.shape.as_list() == [None]
    assert steps_per_epoch(table, batch_size=8) == 7
    assert int(dataset.cardinality()) == 21 == len(batches(dataset))


def test_batches_are_the_tables_rows(table, spec):
    from tf_finetune.tokens.pipeline import make_dataset

    for inputs, labels in batches(make_dataset(table, spec, batch_size=8)):
        ids, mask, _ = table.pad(labels)
        assert inputs["input_ids"].tolist() == ids.tolist()
        assert inputs["attention_mask"].tolist() == mask.tolist()
        assert inputs["input_ids"].shape[1] in (8, 16, 20)


@pytest.mark.parametrize("order", ["bucketed", "plain", "length", "rows"])
def test_each_epoch_has_every_row_in_its_own_order(table, spec, order):
    from tf_finetune.tokens.pipeline import make_dataset

    found = [labels for _, labels in batches(make_dataset(table, spec, batch_size=8, order=order, seed=4, epochs=3))]
    assert [len(labels) for labels in found] == [8, 8, 8, 8, 8, 8, 5] * 3
    for epoch in range(3):
        rows = np.concatenate(found[epoch * 7 : (epoch + 1) * 7])
        expected = batch_order(table.lengths, batch_size=8, order=order, seed=4, epoch=epoch)
        assert rows.tolist() == expected.tolist()


def test_the_same_twice_and_from_two_iterators_at_once(table, spec):
    from tf_finetune.tokens.pipeline import make_dataset

    dataset = make_dataset(table, spec, batch_size=8, seed=1, epochs=2)
    one = [labels.tolist() for _, labels in batches(dataset)]
    assert [labels.tolist() for _, labels in batches(make_dataset(table, spec, batch_size=8, seed=1, epochs=2))] == one
    late = iter(dataset.skip(7))  # the second epoch beside the first
    for step, (_, labels) in enumerate(dataset.take(7)):
        assert labels.numpy().tolist() == one[step]
        assert next(late)[1].numpy().tolist() == one[7 + step]


@pytest.mark.parametrize("order", ["exact", "bucketed", "plain", "length", "rows"])
@pytest.mark.parametrize("start", [0, 1, 6, 7, 10, 20, 21])
def test_a_later_start_gives_the_rest_and_reads_no_row_before(table, spec, monkeypatch, order, start):
    from tf_finetune.tokens.pipeline import make_dataset

    settings = {"batch_size": 8, "order": order, "seed": 2, "epochs": 3}  # 7 batches an epoch
    rest = batches(make_dataset(table, spec, **settings))[start:]
    read, pad = [], TokenTable.pad

    def reading(self, rows, **options):
        read.append(rows.tolist())
        return pad(self, rows, **options)

    monkeypatch.setattr(TokenTable, "pad", reading)
    dataset = make_dataset(table, spec, start=start, **settings)
    found = batches(dataset)
    assert int(dataset.cardinality()) == 21 - start == len(found)
    for (inputs, labels), (expected, its_labels) in zip(found, rest, strict=True):
        assert labels.tolist() == its_labels.tolist()
        assert {name: x.tolist() for name, x in inputs.items()} == {name: x.tolist() for name, x in expected.items()}
    assert sorted(read) == sorted(labels.tolist() for _, labels in rest)


def test_plain_keras_fits_on_it(table, spec):
    from tf_finetune.backend import keras, tf
    from tf_finetune.tokens.pipeline import make_dataset

    inputs = {name: keras.Input([None], dtype="int32", name=name) for name in spec}
    vectors = keras.layers.Embedding(len(TEXTS) + 200, 8)(inputs["input_ids"])
    weights = tf.cast(inputs["attention_mask"], tf.float32)[..., None]
    model = keras.Model(inputs, keras.layers.Dense(53)(tf.reduce_sum(vectors * weights, axis=1)))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    dataset = make_dataset(table, spec, batch_size=8, epochs=2)
    history = model.fit(dataset, epochs=2, steps_per_epoch=7, verbose=0)
    assert int(model.optimizer.iterations) == 14
    assert len(history.history["loss"]) == 2


class Call:
    """A stand-in for a model: only the signature of `call` is read."""

    def __init__(self, call):
        self.call = call


class Names:
    model_input_names = ("input_ids", "token_type_ids", "attention_mask")


def test_only_inputs_that_the_model_takes():
    from tf_finetune.backend import transformers
    from tf_finetune.tokens.pipeline import input_spec

    def names(model):
        return list(input_spec(Call(model.call), Names))

    assert names(transformers.TFBertForSequenceClassification) == ["input_ids", "attention_mask", "token_type_ids"]
    assert names(transformers.TFDistilBertForSequenceClassification) == ["input_ids", "attention_mask"]
    without = type("Without", (), {"model_input_names": ("input_ids", "attention_mask")})
    assert list(input_spec(Call(transformers.TFRobertaForSequenceClassification.call), without)) == [
        "input_ids",
        "attention_mask",
    ]
    spec = input_spec(Call(transformers.TFBertForSequenceClassification.call), Names)["input_ids"]
    assert (spec.shape.as_list(), spec.dtype, spec.name) == ([None, None], "int32", "input_ids")


def test_a_model_without_named_inputs_is_refused():
    from tf_finetune.backend import keras
    from tf_finetune.tokens.pipeline import input_spec

    model = keras.Sequential([keras.layers.Input([4]), keras.layers.Dense(2)])
    with pytest.raises(ModelError, match="Sequential.call must take its inputs by name: input_ids"):
        input_spec(model, Names)


def test_lengths_report_by_hand(load):
    tokenizer = load("gpt2")  # no special tokens: one token a byte of an unknown letter
    texts = ["Q" * n for n in (1, 2, 3, 4, 5, 6, 7, 8, 20, 0)]
    table = encode(Examples.from_lists(texts, ["a", "b"] * 5), tokenizer, max_length=10)
    report = report_lengths(table, batch_size=5, batching="bucketed", seed=0)
    assert table.full_lengths.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 20, 1]
    assert report.percentiles == {50: 5, 75: 7, 90: 20, 95: 20, 99: 20, 100: 20}
    assert report.rows == 10 and report.max_length == 10
    assert report.truncated == 0.1
    assert report.lost == pytest.approx(10 / 57)
    assert report.tokens == 47
    assert report.padded == 5 * 8 + 5 * 10  # the short half, then the long one
    assert report.padding == pytest.approx(1 - 47 / 90)
    plain = batch_order(table.lengths, batch_size=5, order="plain")
    longest = [table.lengths[plain[:5]].max(), table.lengths[plain[5:]].max()]
    assert report.padded_plain == sum(5 * (8 if n <= 8 else 10) for n in longest)
    lines = report.lines()
    assert lines[1] == "truncated at 10: 10.0% of the texts, 17.5% of all tokens"
    assert "(bucketed batches; " in lines[2] and lines[0].startswith("tokens a text (percentiles): 50 %: ")
    cut = report_lengths(table, batch_size=5, batching="exact", seed=0, cuts=Cuts(exact=True, token_budget=10))
    assert (cut.tokens, cut.padded_plain) == (47, report.padded_plain) and cut.padded < report.padded
    assert "(exact batches, cut into micro-batches; " in cut.lines()[2]


def test_no_thread_tunes_the_pipeline(table, spec):
    """It sleeps for up to a minute, and the end of `fit` would wait for it."""
    from tf_finetune.tokens.pipeline import make_dataset

    assert make_dataset(table, spec, batch_size=8, order="rows").options().autotune.enabled is False
