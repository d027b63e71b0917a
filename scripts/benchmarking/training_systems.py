"""The systems of `benchmark_training.py`: each from settings to a function from a request to its result.

A request has `rows`, numbers of rows of the token ids in order of training, and `batch_size`; the result is the mean
loss. With `score` it is the accuracy on these rows.
"""

import json
import os
import statistics
import sys
from pathlib import Path

from benchmarking.workers import ROOT

RATE = 5e-5
GEMM_SIZE = 2048


def read_tokens(settings):
    """The token ids that all systems train on: ids of each row, and its label."""
    import numpy as np

    with np.load(settings["tokens"]) as file:
        return np.split(file["ids"], file["offsets"][1:-1]), file["labels"]


def padded(rows, length=None):
    """Ids and mask int32 `[batch, length]` of rows of ids, padded to the longest of them, or to `length`."""
    import numpy as np

    length = length or max(map(len, rows))
    ids = np.array([np.pad(row, (0, length - len(row))) for row in rows], np.int32)
    mask = np.array([[1] * len(row) + [0] * (length - len(row)) for row in rows], np.int32)
    return ids, mask


def named(ids, mask, spec):
    """The model's inputs by name."""
    columns = {"input_ids": ids, "attention_mask": mask, "token_type_ids": 0 * ids}
    return {name: columns[name] for name in spec}


def in_batches(request):
    """The request's rows, a list a batch."""
    rows, size = request["rows"], request["batch_size"]
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def start_tensorflow(settings, *, deterministic):
    """The checkpoint as a Keras model, and its tokenizer; both by the package, which reads weights without torch."""
    sys.path.insert(0, str(ROOT))
    from tf_finetune import load_model, load_tokenizer, resolve_model
    from tf_finetune.backend import seed_everything

    seed_everything(settings["seed"], deterministic=deterministic)
    checkpoint = resolve_model(settings["model"])
    tokenizer = load_tokenizer(checkpoint.tokenizer_folder, max_length=settings["max_length"])
    return load_model(checkpoint, tokenizer, label_names=("0", "1"), max_length=settings["max_length"]), tokenizer


def with_score(train, model, spec, tokens, labels):
    """Answers a request by `train`, or with the accuracy on its rows, without dropout."""
    from tf_finetune.evaluation.predictor import make_forward

    function = make_forward(model, spec).function

    def run(request):
        if not request.get("score"):
            return train(request)
        right = 0
        for batch in in_batches(request):
            logits = function(named(*padded([tokens[row] for row in batch]), spec)).numpy()
            right += int((logits.argmax(-1) == labels[batch]).sum())
        return right / len(request["rows"])

    return run


def ours(settings, *, adam="fused", encoder="unpadded"):
    """As `tf-finetune fit` does it on a CPU; the keywords are the levers."""
    model, tokenizer = start_tensorflow(settings, deterministic=True)
    import numpy as np

    from tf_finetune import TokenTable, compile_model, input_spec, make_dataset, make_schedule
    from tf_finetune.backend import keras

    if encoder == "unpadded":
        from tf_finetune.model.unpadded import use_unpadded_encoder

        unpadded = use_unpadded_encoder(model, seed=settings["seed"])
    schedule = make_schedule(updates=settings["updates"], learning_rate=RATE)
    optimizer = keras.optimizers.Adam(schedule, global_clipnorm=1.0) if adam == "keras" else None
    compile_model(model, updates=settings["updates"], learning_rate=RATE, optimizer=optimizer)
    spec = input_spec(model, tokenizer)
    tokens, labels = read_tokens(settings)

    def train(request):
        if encoder == "unpadded" and not unpadded.sizes:
            unpadded.sizes = sizes_of_fit(model, tokens[: settings["train_rows"]], request["batch_size"])
        rows = [tokens[row] for row in request["rows"]]
        lengths = np.array([len(row) for row in rows], np.int32)
        ids = np.concatenate(rows)
        table = TokenTable(
            ids=ids,
            types=np.zeros(len(ids), np.int8),
            offsets=np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
            full_lengths=lengths,
            labels=labels[request["rows"]],
            max_length=settings["max_length"],
            pad_id=tokenizer.pad_token_id,
            pad_type=0,
            padding_side="right",
        )
        batches = make_dataset(table, spec, batch_size=request["batch_size"], order="rows")
        return model.fit(batches, verbose=0).history["loss"][0]

    return with_score(train, model, spec, tokens, labels)


def sizes_of_fit(model, tokens, batch_size, *, epochs=3):
    """The sizes that fit chooses for a run on all training rows in random batches."""
    import numpy as np

    from tf_finetune.model.unpadded import choose_sizes, training_operations
    from tf_finetune.tokens.order import batch_tokens

    lengths = np.array([len(row) for row in tokens])
    counts = batch_tokens(lengths, batch_size=batch_size, order="plain", seed=0, epochs=epochs)
    return choose_sizes(counts, token_operations=training_operations(model))


def plain_keras(settings):
    """As the Hugging Face examples for TensorFlow do it: batches padded to their longest row, Keras' Adam and fit."""
    model, tokenizer = start_tensorflow(settings, deterministic=False)
    from tf_finetune import input_spec, make_schedule
    from tf_finetune.backend import keras, tf

    schedule = make_schedule(updates=settings["updates"], learning_rate=RATE)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(schedule, global_clipnorm=1.0), loss=loss, metrics=["accuracy"])
    spec = input_spec(model, tokenizer)
    tokens, labels = read_tokens(settings)

    def train(request):
        def batches():
            for batch in in_batches(request):
                yield named(*padded([tokens[row] for row in batch]), spec), labels[batch]

        signature = (spec, tf.TensorSpec([None], tf.int32))
        dataset = tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(tf.data.AUTOTUNE)
        return model.fit(dataset, verbose=0).history["loss"][0]

    return with_score(train, model, spec, tokens, labels)


def pytorch(settings):
    """A PyTorch loop with what the Trainer does in a step: fused AdamW, clipping, attention by its own kernel."""
    import torch
    from transformers import AutoModelForSequenceClassification

    torch.set_num_threads(settings["cores"])
    torch.manual_seed(settings["seed"])
    model = AutoModelForSequenceClassification.from_pretrained(settings["checkpoint"], num_labels=2).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0, fused=True)
    tokens, labels = read_tokens(settings)

    def run(request):
        losses = []
        for batch in in_batches(request):
            ids, mask = (torch.from_numpy(array).long() for array in padded([tokens[row] for row in batch]))
            targets = torch.from_numpy(labels[batch]).long()
            loss = model(input_ids=ids, attention_mask=mask, labels=targets).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
        return statistics.mean(losses)

    return run


def keras_hub(settings):
    """KerasHub's text classifier at its own conventions: all rows padded to one length, and its own compilation."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras
    from keras_hub.models import BertBackbone, BertTextClassifier

    keras.utils.set_random_seed(settings["seed"])
    shape = json.loads((Path(settings["checkpoint"]) / "config.json").read_text())
    backbone = BertBackbone(
        vocabulary_size=shape["vocab_size"],
        num_layers=shape["num_hidden_layers"],
        num_heads=shape["num_attention_heads"],
        hidden_dim=shape["hidden_size"],
        intermediate_dim=shape["intermediate_size"],
        max_sequence_length=shape["max_position_embeddings"],
    )
    model = BertTextClassifier(backbone=backbone, num_classes=2, preprocessor=None)
    tokens, labels = read_tokens(settings)

    def run(request):
        rows = request["rows"]
        ids, mask = padded([tokens[row] for row in rows], settings["max_length"])
        inputs = {"token_ids": ids, "segment_ids": 0 * ids, "padding_mask": mask}
        options = {"batch_size": request["batch_size"], "shuffle": False, "verbose": 0}
        return model.fit(inputs, labels[rows], **options).history["loss"][0]

    return run


def gemm(settings):
    """The machine's limit: large float32 matrix products by TensorFlow."""
    import tensorflow as tf

    a, b = (tf.random.normal([GEMM_SIZE, GEMM_SIZE]) for _ in range(2))
    product = tf.function(tf.linalg.matmul)
    product(a, b).numpy()

    def run(request):
        for _ in range(request["products"]):
            last = product(a, b)
        return float(last[0, 0])

    return run
