#!/usr/bin/env python3
"""Prediction speed: our `Predictor` against `model.predict`, PyTorch and onnxruntime, from text to probabilities.

scripts/benchmark_predict.py saved_models/NAME --imdb IMDB --sst2 SST2 [--json FILE] [--skip-onnx]

IMDB is a folder test/{pos,neg}/*.txt, of which 2,000 reviews are read; SST2 one with train.tsv, of which 5,000 short
texts are read. All systems have the weights, the tokenizer and the truncation of the model folder, whose `max_length`
is what the reviews are cut to (256 by default). PyTorch and onnxruntime get the texts sorted by tokens, in batches of
32; `model.predict` gets all texts padded to the longest, as its users do it. onnxruntime runs the model's own encoder,
which tf2onnx converts, with its GELU fused. Systems run in processes of their own and in turns on one core; a round is
one part of the texts, and ratios of CPU time are taken round by round, as median and range. Environments of the rivals
are made on first use.
"""

import argparse
import csv
import json
import sys
import tempfile
from pathlib import Path

from benchmark_serving import make_onnx
from benchmarking.predict_systems import (
    keras_predict,
    make_padded_graph,
    make_torch_weights,
    onnxruntime,
    ours,
    pytorch,
)
from benchmarking.results import print_table, ratios, show, spread
from benchmarking.workers import ENVIRONMENTS, ROOT, TUNED_MALLOC, WORKER, Worker, environment, in_turns, say, serve

TORCH = ["torch==2.13.0", "transformers==4.54.1"]
CASES = {"imdb": 2000, "sst2": 5000}
SYSTEMS = {"ours": ours, "model.predict": keras_predict, "PyTorch, sorted": pytorch, "onnxruntime, sorted": onnxruntime}
KEYS = {
    "model.predict": "vs_keras_predict",
    "PyTorch, sorted": "vs_torch_sorted",
    "onnxruntime, sorted": "vs_onnxruntime",
}
CLOSE = 1e-3


def read_texts(name, path):
    """The texts of one case, shuffled in the same way each time."""
    import numpy as np

    if name == "imdb":
        files = sorted((path / "test").glob("*/*.txt"))
        texts = [file.read_text(encoding="utf-8") for file in files]
    else:
        with open(path / "train.tsv", newline="", encoding="utf-8") as file:
            texts = [row["sentence"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
    return [texts[i] for i in np.random.default_rng(1).permutation(len(texts))[: CASES[name]]]


def start(options, folder):
    """A worker for each system."""
    weights, config = make_torch_weights(options.folder, folder)
    pythons = {"PyTorch, sorted": environment("torch", TORCH, options.environments)}
    model = None
    if not options.skip_onnx:
        graph = make_padded_graph(options.folder, folder)
        pythons["onnxruntime, sorted"], model = make_onnx(options.environments / "onnx", graph)
    workers = {}
    for name in SYSTEMS:
        if name == "onnxruntime, sorted" and model is None:
            continue
        say(f"{name} starts")
        workers[name] = Worker(
            __file__,
            name,
            cores=options.cores,
            python=pythons.get(name, sys.executable),
            variables={**TUNED_MALLOC, "HF_HUB_OFFLINE": "1"} if name.startswith("PyTorch") else {},
            folder=str(options.folder),
            weights=str(weights),
            config=str(config),
            onnx=str(model),
        )
    return workers


def compare(workers, texts, rounds):
    """Answers of all systems, and how many texts each round has; fails if two systems disagree."""
    parts = [texts[number::rounds] for number in range(rounds)]
    for worker in workers.values():
        worker.run({"texts": parts[0]})  # traces and compiles
    answers = in_turns(workers, lambda number, name: {"texts": parts[number]}, rounds=rounds)
    for name, rows in answers.items():
        pairs = [(a, b) for own, other in zip(answers["ours"], rows) for a, b in zip(own["result"], other["result"])]
        apart = max(abs(a - b) for one, two in pairs for a, b in zip(one, two))
        if apart > CLOSE:
            raise SystemExit(f"{name}: probabilities differ from ours by {apart:.1e}, more than {CLOSE:g}.")
        say(f"{name}: probabilities within {apart:.0e} of ours")
    return answers, [len(part) for part in parts]


def report(title, answers, sizes):
    """Prints one case, and gives what goes to the JSON file."""
    found = {"texts_per_cpu_second": {}, "peak_mb": {}}
    rows = []
    for name, taken in answers.items():
        rates = [spread([size / row[kind] for size, row in zip(sizes, taken)]) for kind in ("cpu", "wall")]
        compared = [ratios(answers["ours"], taken, kind) for kind in ("cpu", "wall")]
        memory = round(taken[-1]["memory"] / 1e6)
        rows.append([name, *map(show, [*rates, *compared]), memory])
        found["texts_per_cpu_second"][name], found["peak_mb"][name] = rates[0], memory
        if name in KEYS:
            found[KEYS[name]] = compared[0]
    print_table(title, ["", "texts / CPU s", "texts / s", "CPU time / ours", "wall time / ours", "peak MB"], rows)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="model folder with a run")
    parser.add_argument("--imdb", type=Path, metavar="FOLDER")
    parser.add_argument("--sst2", type=Path, metavar="FOLDER")
    parser.add_argument("--cores", type=int, choices=(1, 2), default=1)
    parser.add_argument("--rounds", type=int, default=5, help="parts that the texts are cut into")
    parser.add_argument("--texts", type=int, help="only so many texts of each case")
    parser.add_argument("--skip-onnx", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS, help="where those of the rivals are kept")
    options = parser.parse_args()
    given = {name: path for name, path in (("imdb", options.imdb), ("sst2", options.sst2)) if path}
    if not given:
        parser.error("give the data: --imdb, --sst2 or both")
    sys.path.insert(0, str(ROOT))
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, path in given.items():
            texts = read_texts(name, path)[: options.texts]
            workers = start(options, Path(folder))
            try:
                answers, sizes = compare(workers, texts, options.rounds)
            finally:
                for worker in workers.values():
                    worker.stop()
            title = (
                f"{name}: {len(texts)} texts in {options.rounds} parts, {options.cores} core{'s' * (options.cores > 1)}"
            )
            results[name] = report(title, answers, sizes)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    if sys.argv[1:] == [WORKER]:
        serve(SYSTEMS)
    else:
        main()
