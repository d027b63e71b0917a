#!/usr/bin/env python3
"""A training loop of your own over the package's dataset and model: GradientTape instead of `model.fit`.

python scripts/custom_training_loop.py --epochs 1 --max-train-samples 200
"""

import argparse

from tf_finetune import (
    DataConfig,
    compute_scores,
    encode,
    input_spec,
    load_model,
    load_splits,
    load_tokenizer,
    make_dataset,
    make_loss,
    make_optimizer,
    make_schedule,
    resolve_model,
    steps_per_epoch,
)
from tf_finetune.backend import seed_everything, tf
from tf_finetune.config import DEFAULT_MODEL


def main(words=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="*", default=[], help="labelled texts; the embedded sample by default")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--max-train-samples", type=int)
    options = parser.parse_args(words)
    seed_everything(42, deterministic=True)

    # Data: strings with labels, then token ids on disk
    splits = load_splits(DataConfig(data=tuple(options.data), max_train_samples=options.max_train_samples), seed=42)
    checkpoint = resolve_model(options.model)
    tokenizer = load_tokenizer(checkpoint.tokenizer_folder)
    train = encode(splits.train, tokenizer, max_length=options.max_length)
    validation = encode(splits.validation, tokenizer, max_length=options.max_length)

    # Model: any Keras model over the same inputs would do
    model = load_model(checkpoint, tokenizer, label_names=splits.train.label_names, max_length=options.max_length)
    spec = input_spec(model, tokenizer)
    steps = steps_per_epoch(train, batch_size=options.batch_size)
    loss_of = make_loss()
    optimizer = make_optimizer(make_schedule(updates=steps * options.epochs, learning_rate=options.learning_rate))

    @tf.function(input_signature=[spec, tf.TensorSpec([None], tf.int32)])
    def update(inputs, labels):
        with tf.GradientTape() as tape:
            loss = loss_of(labels, model(inputs, training=True).logits)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss

    @tf.function(input_signature=[spec])
    def probabilities(inputs):
        return tf.nn.softmax(model(inputs, training=False).logits)

    # Training: batch `i` of epoch `e` is the same in every run with this seed
    batches = make_dataset(train, spec, batch_size=options.batch_size, seed=42, epochs=options.epochs)
    for number, (inputs, labels) in enumerate(batches, start=1):
        loss = update(inputs, labels)
        if number % 10 == 0 or number == steps * options.epochs:
            print(f"update {number}/{steps * options.epochs}  loss {float(loss):.4f}")

    # Scores on the validation rows, in their order
    batches = make_dataset(validation, spec, batch_size=options.batch_size, order="rows")
    found = tf.concat([probabilities(inputs) for inputs, _ in batches], axis=0).numpy()
    scores = compute_scores(validation.labels, found, splits.train.label_names)
    print(f"validation accuracy {scores.accuracy:.3f}  macro F1 {scores.macro_f1:.3f}")
    return scores


if __name__ == "__main__":
    main()
