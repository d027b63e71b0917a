#!/usr/bin/env python3
"""How many wrong labels are found: labels of real data are flipped on purpose, and looked for.

scripts/benchmark_label_errors.py --data SST2/train.tsv --rows 4000 [--flipped 0.05] [--folds 3] [--json FILE]

DATA is labelled texts in any form that fit takes, whose labels are taken for right; what is wrong in them already
counts against the precision. A seeded share of the labels is flipped, each to another class at random. Precision is the
share of the rows found that were flipped, recall the share of the flipped rows that were found. Both are also given for
the first half of the list and for its first 50 rows.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path

from tf_finetune import Config, DataConfig, FitConfig, ModelConfig, RunConfig, TokensConfig, read_examples
from tf_finetune.data import sample_examples
from tf_finetune.files import whole_file
from tf_finetune.noise import find_label_errors


def flip(examples, share, seed):
    """The texts with some labels flipped, as JSON lines, and the numbers of the rows that were."""
    chance = random.Random(seed)
    labels = [examples.label_names[label] for label in examples.labels]
    flipped = set(chance.sample(range(len(labels)), round(share * len(labels))))
    for i in sorted(flipped):
        labels[i] = chance.choice([name for name in examples.label_names if name != labels[i]])
    rows = [json.dumps({"text": text, "label": label}) for text, label in zip(examples.texts(), labels)]
    return "\n".join(rows) + "\n", flipped


def score(errors, flipped):
    """Precision and recall of the rows found."""
    hits = sum(error.index in flipped for error in errors)
    return {"found": len(errors), "precision": hits / max(len(errors), 1), "recall": hits / len(flipped)}


def main(words=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--flipped", type=float, default=0.05)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--max-length", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--model", default=ModelConfig.model)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", help="folder of the folds, to go on with; a temporary one by default")
    parser.add_argument("--json")
    options = parser.parse_args(words)
    examples = sample_examples(read_examples([options.data]), size=options.rows, seed=options.seed)
    lines, flipped = flip(examples, options.flipped, options.seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(options.output or scratch)
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(folder / "flipped.jsonl") as file:
            file.write(lines.encode())
        config = Config(
            data=DataConfig(data=(str(folder / "flipped.jsonl"),)),
            tokens=TokensConfig(max_length=options.max_length),
            model=ModelConfig(model=options.model),
            fit=FitConfig(epochs=options.epochs, seed=options.seed),
            run=RunConfig(output=str(folder)),
        )
        started = time.monotonic()
        found = find_label_errors(config, folds=options.folds, progress=sys.stderr)
    result = {
        "rows": len(examples),
        "flipped": len(flipped),
        "folds": options.folds,
        "accuracy": found.accuracy,
        "all": score(found.errors, flipped),
        "first half": score(found.errors[: len(found.errors) // 2], flipped),
        "first 50": score(found.errors[:50], flipped),
        "seconds": round(time.monotonic() - started),
    }
    print(found.line)
    for name in ("all", "first half", "first 50"):
        print("{}: {found} found, precision {precision:.3f}, recall {recall:.3f}".format(name, **result[name]))
    if options.json:
        Path(options.json).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
